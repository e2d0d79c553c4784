"""How far the clocks of a request's hosts are apart, measured by the calls between them.

A call and the visit it caused are four times: the call's begin and end by the caller's clock, the visit's by the
callee's. The visit began after the call did, and was over before the answer was there: so the callee's clock is ahead
of the caller's by no more than the one difference and by no less than the other. What all calls of a request say
together is a system of such differences; its tightest bounds are shortest paths from the host of reference (see Duda
et al., "Estimating global time in distributed systems", 1987). Where both bounds of a clock are known it is measured:
the offset is the middle between them. Middles of tightest bounds obey every single bound, so that correcting all
clocks by them makes no callee begin before its caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from clusterlog.search.story.event import Event, part, whole
from clusterlog.search.story.order import LATE_NS, Hop

SLACK_NS = 1_000_000
"""Times of one moment, read by two processes, are apart by up to this much though their clocks are right."""

ERROR_NS = LATE_NS // 2
"""Added to half the width of a measurement: a callee may tell of its answer so much later than it gave it."""

STEP_NS = 1_000_000_000
"""By more than this no sequence of one process goes back in time unless its clock was set."""

_FIRST_NS, _LAST_NS = 946_684_800_000_000_000, 7_258_118_400_000_000_000  # the years 2000 to 2200
_BODY = 65_536  # bytes of an answer from which on its callee may be busy sending when the caller has the headers


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known of a process's clock against that of the root's host; positive is ahead.

    ``offset_ns`` and ``error_ns`` are a measurement; ``corrected`` says that times of this clock are shown with the
    offset taken off. ``at_least_ns`` is what calls prove without a measurement: the clock is off by this much or more.
    ``stepped_ns``: by how much it was set while the request ran, it or that of the process at the other end of calls
    that contradict each other by so much.
    """

    offset_ns: int | None = None
    error_ns: int | None = None
    at_least_ns: int | None = None
    corrected: bool = False
    stepped_ns: int | None = None

    @property
    def wrong(self) -> bool:
        """Whether times shown of this clock are known to be wrong, so that other clocks' times say nothing of them."""
        if self.at_least_ns is not None or self.stepped_ns is not None:
            return True
        measured = self.offset_ns is not None and self.error_ns is not None
        return measured and not self.corrected and abs(self.offset_ns or 0) > (self.error_ns or 0)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two calls between two clocks that cannot both have been told by clocks nobody set meanwhile."""

    clocks: tuple[str, str]
    by_ns: int
    calls: tuple[Event, Event]


@dataclass(frozen=True, slots=True)
class Clocks:
    """All clocks of a request by the name that ``Event.clock`` gives; what is not in here nothing is known of.

    ``bounds`` are the least and the greatest offset against the reference's clock, in ns.
    """

    of: Mapping[str, Clock]
    bounds: Mapping[str, tuple[float, float]]
    contradictions: tuple[Contradiction, ...]

    def clock(self, event: Event) -> Clock:
        """What is known of the clock that told an event's time."""
        return self.of.get(event.clock, _UNKNOWN)

    def shift_ns(self, event: Event) -> int:
        """What to take off an event's recorded time to show it."""
        clock = self.of.get(event.clock, _UNKNOWN)
        return clock.offset_ns or 0 if clock.corrected else 0

    def time_ns(self, event: Event) -> int | None:
        """When an event was logged, by its clock as it is shown: corrected, or as recorded."""
        return None if event.time_ns is None else event.time_ns - self.shift_ns(event)

    def started_ns(self, event: Event) -> int | None:
        """When what an event ends began, as it is shown."""
        return None if event.started_ns is None else event.started_ns - self.shift_ns(event)

    def surely_before(self, one: Event, other: Event) -> bool:
        """Whether times alone prove that one event was before another: by one clock, or by measured ones."""
        if one.time_ns is None or other.time_ns is None:
            return False
        if one.clock == other.clock:
            return not self.clock(one).stepped_ns and one.time_ns < other.time_ns
        least, most = self.bounds.get(one.clock), self.bounds.get(other.clock)
        if least is None or most is None or self.clock(one).stepped_ns or self.clock(other).stepped_ns:
            return False
        return one.time_ns - least[0] < other.time_ns - most[1]


_UNKNOWN = Clock()
_FAR = float("inf")
_Limits = dict[tuple[str, str], float]


def measured(
    hops: Iterable[Hop], reference: str, *, set_back: Mapping[str, int] | None = None, raw_times: bool = False
) -> Clocks:
    """Measure all clocks that calls connect with the clock ``reference``.

    A clock is corrected if its offset is greater than its error; with ``raw_times`` none is, nor is one of
    ``set_back``, by how many ns.
    """
    limits = _limited(hops)
    bounds, contradictions = limits.solved(reference)
    stepped = {_farther(found.clocks, bounds, reference): found.by_ns for found in contradictions}
    stepped.update(set_back or {})
    corrected = {} if raw_times else _settled(limits, bounds, reference, stepped)
    clocks = {}
    for name in {**bounds, **stepped}:
        clock = Clock() if name == reference else _clock(bounds.get(name, (-_FAR, _FAR)), corrected.get(name))
        clocks[name] = replace(clock, corrected=name in corrected, stepped_ns=stepped.get(name))
    known = {
        name: (low - ERROR_NS, high + ERROR_NS) if name != reference else (low, high)
        for name, (low, high) in bounds.items()
    }
    return Clocks(clocks, known, contradictions)


def without_absurd_times(events: Iterable[Event]) -> tuple[list[Event], list[str]]:
    """The events, those without their time whose time cannot be right, and the ids of these.

    That is one outside of two centuries, unless all times of its clock are: then the clock is off, and can be measured.
    """
    kept = list(events)
    odd = [number for number, event in enumerate(kept) if event.time_ns is not None and not _is_sane(event.time_ns)]
    if not odd:
        return kept, []
    sane = {event.clock for event in kept if event.time_ns is not None and _is_sane(event.time_ns)}
    odd = [number for number in odd if kept[number].clock in sane]
    for number in odd:
        kept[number] = kept[number]._replace(time_ns=None)
    return kept, sorted(kept[number].id for number in odd)


def set_back(events: Iterable[Event]) -> dict[str, int]:
    """By how much the times of a process go back within its sequence, for each clock of which any does.

    ``events`` are in causal order, so that those of a process are in that of its sequence.
    """
    found: dict[str, int] = {}
    latest: dict[str, int] = {}
    for event in events:
        time, before = event.time_ns, latest.get(event.instance)
        if time is None or event.sequence is None or not event.instance:
            continue
        if before is not None and before - time > STEP_NS and not _is_told_late(event):
            found[event.clock] = max(found.get(event.clock, 0), before - time)
        latest[event.instance] = time
    return found


def _is_told_late(event: Event) -> bool:
    """Whether an event may be told long after its time: another tracer's span, or a line of another logger's file."""
    return bool(event.role) or part(event.document, "clusterlog.ingest") is not None


def _is_sane(time_ns: int) -> bool:
    return _FIRST_NS <= time_ns < _LAST_NS


def _clock(bounds: tuple[float, float], settled: tuple[float, float] | None = None) -> Clock:
    low, high = bounds
    if low > -_FAR and high < _FAR:
        least, most = settled or bounds
        offset = int(least) + int(most - least) // 2
        return Clock(offset, int(max(high - offset, offset - low)) + ERROR_NS)
    if low > SLACK_NS:
        return Clock(at_least_ns=int(low))
    if high < -SLACK_NS:
        return Clock(at_least_ns=int(high))
    return Clock()


def _is_off(clock: Clock) -> bool:
    return clock.offset_ns is not None and clock.error_ns is not None and abs(clock.offset_ns) > clock.error_ns


def _farther(pair: tuple[str, str], bounds: Mapping[str, tuple[float, float]], reference: str) -> str:
    """The one of two clocks that is told of a contradiction: the callee's, unless that is the one to measure by."""
    return pair[0] if pair[1] == reference or (pair[1] in bounds and pair[0] not in bounds) else pair[1]


def _settled(
    limits: _System, bounds: Mapping[str, tuple[float, float]], reference: str, stepped: Mapping[str, int]
) -> Mapping[str, tuple[float, float]]:
    """The clocks to correct, and the bounds they have if all others are taken to be right.

    A clock known within seconds stays as recorded. What it called is to be shown against it as it is shown, and not
    against the middle of those seconds.
    """
    kept = {reference, *stepped}
    while True:
        left = dict(bounds)
        for name in sorted(kept.intersection(left)):
            low, high = left[name]
            limits.narrow(left, name, min(max(low, 0), high))
        right = {name for name in left if name not in kept and not _is_off(_clock(bounds[name], left[name]))}
        if not right:
            return {name: found for name, found in left.items() if name not in kept}
        kept |= right


def _limited(hops: Iterable[Hop]) -> _System:
    """What each call says of two clocks."""
    found = _System()
    for hop in hops:
        caller, access = hop.caller, hop.visit.access
        here, there = caller.clock, hop.visit.events[0].clock
        begun = access.started_ns if access is not None else None
        if begun is None:
            begun = min((event.time_ns for event in hop.visit.events if event.time_ns is not None), default=None)
        if here == there or not here or not there or begun is None:
            continue
        if caller.started_ns is None or caller.time_ns is None or caller.duration_ns is None:
            continue
        found.limit(here, there, begun - caller.started_ns, caller)
        if hop.answered and access is not None and access.duration_ns is not None:
            found.limit(there, here, caller.time_ns - begun, caller)
            if hop.returned and access.time_ns is not None and not _is_long(access):
                found.limit_by_end(there, here, caller.time_ns - access.time_ns)
    return found


def _is_long(access: Event) -> bool:
    """Whether an answer was so long that the caller may have had its begin well before the callee its end."""
    size = whole(access.document, "http.response.body.bytes")
    return size is not None and size > _BODY


class _System:
    """Limits of differences: by how much one clock may be ahead of another, at most."""

    def __init__(self) -> None:
        self._limits: _Limits = {}
        self._by_end: dict[tuple[str, str], list[float]] = {}
        self._calls: dict[tuple[str, str], Event] = {}
        self._near: dict[str, dict[str, tuple[float, float]]] = {}

    def limit(self, here: str, there: str, most: float, call: Event) -> None:
        """The clock ``there`` is ahead of ``here`` by ``most`` ns at most."""
        known = self._limits.get((here, there), _FAR)
        if most < known or (most == known and call.id < self._calls[here, there].id):
            self._limits[here, there] = most
            self._calls[here, there] = call

    def limit_by_end(self, here: str, there: str, most: float) -> None:
        """The same, by the end of a visit: what contradicts begins by more than ``LATE_NS`` was a late end."""
        self._by_end.setdefault((here, there), []).append(most)

    def solved(self, reference: str) -> tuple[dict[str, tuple[float, float]], tuple[Contradiction, ...]]:
        """The bounds of every clock against the reference's, and the contradictions that were left out."""
        contradictions = []
        for here, there in sorted(self._limits):
            gap = -(self._limits[here, there] + self._limits.get((there, here), _FAR))
            if here < there and gap > SLACK_NS:
                calls = self._calls[here, there], self._calls[there, here]
                contradictions.append(Contradiction((here, there), int(gap), calls))
        for found in contradictions:
            self._forget(*found.clocks)
        for by_end in (True, False):
            self._connect(by_end)
            bounds: dict[str, tuple[float, float]] = {reference: (0, 0)}
            if (torn := self._spread(bounds, [reference])) is None:
                return bounds, tuple(contradictions)
        while torn is not None:  # a circle of three or more
            self._forget(*torn)
            self._connect(by_end=False)
            bounds = {reference: (0, 0)}
            torn = self._spread(bounds, [reference])
        return bounds, tuple(contradictions)

    def narrow(self, bounds: dict[str, tuple[float, float]], name: str, offset: float) -> None:
        """Take a clock's offset as given, which must be within its bounds, and narrow those of all others."""
        bounds[name] = offset, offset
        self._spread(bounds, [name])

    def _forget(self, one: str, other: str) -> None:
        for pair in ((one, other), (other, one)):
            self._limits.pop(pair, None)
            self._by_end.pop(pair, None)

    def _connect(self, by_end: bool) -> None:
        """Bring the limits into the form in which they spread: neighbours, each with how far it may be from here."""
        limits = dict(self._limits)
        for (here, there), ends in sorted(self._by_end.items()) if by_end else ():
            back = limits.get((there, here), _FAR)
            sound = [end for end in ends if end + back >= -LATE_NS]
            limits[here, there] = min(limits.get((here, there), _FAR), max(min(sound, default=_FAR), -back))
        self._near = {}
        for one, other in sorted({(min(pair), max(pair)) for pair in limits}):
            most = limits.get((one, other), _FAR)
            back = max(limits.get((other, one), _FAR), -most)  # apart by no more than clocks are read apart
            self._near.setdefault(one, {})[other] = -back, most
            self._near.setdefault(other, {})[one] = -most, back

    def _spread(self, bounds: dict[str, tuple[float, float]], changed: Sequence[str]) -> tuple[str, str] | None:
        """Narrow all bounds by those that changed. Gives the pair that cannot be, if there is one."""
        waiting = dict.fromkeys(changed)
        rounds = dict.fromkeys(self._near, 0)
        while waiting:
            here = next(iter(waiting))
            del waiting[here]
            for there, (least, most) in self._near.get(here, {}).items():
                known = bounds.get(there, (-_FAR, _FAR))
                narrowed = max(known[0], bounds[here][0] + least), min(known[1], bounds[here][1] + most)
                if narrowed == known and there in bounds:
                    continue
                rounds[there] += there not in waiting
                if narrowed[0] > narrowed[1] or rounds[there] > len(rounds):
                    return here, there
                bounds[there] = narrowed
                waiting[there] = None
        return None
