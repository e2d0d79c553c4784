"""One request as a whole: its events in causal order, the lanes they lie in, the pauses between them, and the header.

Everything here follows from the documents alone. Times are those that were recorded; where the evidence of calls shows
that a clock cannot be right, the lane says by how much at least, and nothing is bent to fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from clusterlog.errors import NotFound
from clusterlog.search.instant import rfc3339
from clusterlog.search.story.event import Document, Event, content, is_state, method_and_route, read, text
from clusterlog.search.story.order import Hop, Order, Visit, ordered

GAP_NS = 50_000_000
"""A pause is told if it is longer than this and than a twentieth of the request."""
GAP_SHARE = 20

# A callee begins neither before its caller calls nor after the answer is there. What is beyond that by more than clocks
# are read apart is a wrong clock.
_SLACK_NS = 1_000_000

Outcome = Literal["ok", "failed", "running"]


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known of a process's clock against that of the root's process; positive is ahead.

    ``offset_ns`` and ``error_ns`` are a measurement. ``at_least_ns`` is what calls prove without one: the clock is off
    by this much or more.
    """

    offset_ns: int | None = None
    error_ns: int | None = None
    at_least_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """One process the request was in; lanes are in the order of first appearance."""

    node: str
    service: str
    instance: str
    clock: Clock


@dataclass(frozen=True, slots=True)
class Entry:
    """An event at its place. ``lane`` numbers the lanes, ``after`` are the ids of its direct causal predecessors.

    ``certain``: that the event comes after the one before it follows from a cause, or from one clock that told both.
    """

    event: Event
    lane: int
    after: tuple[str, ...]
    certain: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """A pause without events before the entry of number ``place``; ``open`` are the events that end what was going on.

    ``inside`` is false for a pause after the response, in work that outlived it.
    """

    place: int
    length_ns: int
    open: tuple[Event, ...]
    inside: bool


@dataclass(frozen=True, slots=True)
class Journey:
    """One request.

    ``root`` is its outermost access event, missing while the request runs; then ``status`` is unknown, ``method`` and
    ``route`` are empty, and ``duration_ns`` is the time seen so far.
    """

    id: str
    trace_ids: tuple[str, ...]
    method: str
    route: str
    status: int | None
    outcome: Outcome
    started_ns: int | None
    duration_ns: int | None
    root: Event | None
    lanes: tuple[Lane, ...]
    entries: tuple[Entry, ...]
    gaps: tuple[Gap, ...]
    visits: tuple[Visit, ...]
    hops: tuple[Hop, ...]
    cycles: tuple[tuple[str, ...], ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes, in the order of first appearance."""
        return tuple(dict.fromkeys(lane.node for lane in self.lanes))

    @property
    def services(self) -> tuple[str, ...]:
        """The services, in the order of first appearance."""
        return tuple(dict.fromkeys(lane.service for lane in self.lanes if lane.service))

    @property
    def spans(self) -> int:
        """How many spans have ended: answered requests, outgoing calls and steps."""
        return len({entry.event.span for entry in self.entries if entry.event.kind != "line" and entry.event.span})

    @property
    def started(self) -> str:
        """When the request began, as ``@timestamp`` is written; empty if no event tells a time."""
        if self.started_ns is None:
            return ""
        try:
            return rfc3339(self.started_ns)
        except OverflowError:
            return ""

    def offset_ns(self, event: Event) -> int | None:
        """How long after the request's begin an event was logged, by the recorded times."""
        if event.time_ns is None or self.started_ns is None:
            return None
        return event.time_ns - self.started_ns


def journey(documents: Iterable[Document]) -> Journey:
    """Put one request together from its documents, in whatever order they come.

    ``documents`` are parsed events with one ``http.request.id``, or one ``trace.id``. State events are left out, and
    several copies of an ``event.id`` are one event. Raises ``NotFound`` if nothing is left.
    """
    events = _unique(documents)
    if not events:
        raise NotFound("no event belongs to this request")
    order = ordered(events)
    root = _root(order)
    first = order.events[0]
    clocks = _clocks(order.hops, (root or first).instance)
    lanes, lane_of = _lanes(order.events, clocks)
    entries = _entries(order, lanes, lane_of)
    started = _started(order.events, root)
    duration = _duration(order.events, root, started)
    return Journey(
        id=_id(order.events, root),
        trace_ids=tuple(dict.fromkeys(filter(None, (text(e.document, "trace.id") for e in order.events)))),
        method=text(root.document, "http.request.method") if root else "",
        route=_route(root) if root else "",
        status=root.status if root else None,
        outcome="running" if root is None else "failed" if root.failed else "ok",
        started_ns=started,
        duration_ns=duration,
        root=root,
        lanes=lanes,
        entries=entries,
        gaps=_gaps(entries, lanes, root, started, duration),
        visits=order.visits,
        hops=order.hops,
        cycles=order.cycles,
    )


def _unique(documents: Iterable[Document]) -> list[Event]:
    """One event per id; of copies that differ the same one, whichever came first."""
    events: dict[str, Event] = {}
    for document in documents:
        if is_state(document):
            continue
        event = read(document)
        known = events.get(event.id)
        if known is None or (known.document != document and content(document) < content(known.document)):
            events[event.id] = event
    return list(events.values())


def _root(order: Order) -> Event | None:
    """The access event of the outermost visit: no other event of the request has the span that caused it.

    Where several qualify, one that names no parent at all goes first, then the causally first. One that names an
    unknown parent is not believed while an earlier visit is still open: its caller has not told of the call yet.
    """
    place = {event.id: number for number, event in enumerate(order.events)}
    caused = {id(hop.visit) for hop in order.hops}
    outer = [(v, min(place[event.id] for event in v.events)) for v in order.visits if id(v) not in caused]
    ended = [(bool(visit.parent), first, visit) for visit, first in outer if visit.access is not None]
    if not ended:
        return None
    has_parent, first, visit = min(ended, key=lambda found: (*found[:2], -_length(found[2].access)))
    done = {visit.span for visit in order.visits if visit.access is not None}
    open_before = any(v.access is None and v.span and v.span not in done and at < first for v, at in outer)
    return None if has_parent and open_before else visit.access


def _length(event: Event | None) -> int:
    return event.duration_ns or 0 if event else 0


def _id(events: Sequence[Event], root: Event | None) -> str:
    named = text(root.document, "http.request.id") if root else ""
    if named:
        return named
    counted = Counter(filter(None, (text(event.document, "http.request.id") for event in events)))
    return min(counted, key=lambda found: (-counted[found], found), default="")


def _route(root: Event) -> str:
    return method_and_route(root).removeprefix(text(root.document, "http.request.method")).strip()


def _started(events: Sequence[Event], root: Event | None) -> int | None:
    """The begin of the root; without one, of the earliest event on the clock that told the first."""
    if root is not None and root.duration_ns is not None:
        return root.started_ns
    reference = root or next((event for event in events if event.time_ns is not None), None)
    if reference is None:
        return None
    times = [event.started_ns for event in events if event.clock == reference.clock and event.started_ns is not None]
    return min(times, default=None)


def _duration(events: Sequence[Event], root: Event | None, started: int | None) -> int | None:
    if root is not None and root.duration_ns is not None:
        return root.duration_ns
    if started is None:
        return None
    reference = root or next(event for event in events if event.time_ns is not None)
    ends = [root] if root is not None else [event for event in events if event.clock == reference.clock]
    return max((event.time_ns - started for event in ends if event.time_ns is not None), default=None)


def _clocks(hops: Sequence[Hop], root: str) -> Mapping[str, Clock]:
    """What calls prove about the clock of each process against the root's: bounds of its offset, added along calls."""
    between: dict[tuple[str, str], tuple[float, float]] = {}
    for hop in hops:
        caller, callee = hop.caller.instance, hop.visit.instance
        low, high = _bounds(hop)
        known_low, known_high = between.get((caller, callee), (-_FAR, _FAR))
        between[caller, callee] = max(low, known_low), min(high, known_high)
        between[callee, caller] = -between[caller, callee][1], -between[caller, callee][0]
    near: dict[str, list[str]] = {}
    for caller, callee in between:
        near.setdefault(caller, []).append(callee)
    against_root = {root: (0.0, 0.0)}
    reached = [root]
    for instance in reached:  # grows while it is walked
        for other in near.get(instance, ()):
            if other not in against_root:
                low, high = between[instance, other]
                known = against_root[instance]
                against_root[other] = known[0] + low, known[1] + high
                reached.append(other)
    return {instance: _clock(*bounds) for instance, bounds in against_root.items()}


_FAR = float("inf")


def _bounds(hop: Hop) -> tuple[float, float]:
    """Between which offsets (ns against the caller's) the callee's clock must be for its visit to begin in the call."""
    caller, visit = hop.caller, hop.visit
    if caller.instance == visit.instance or caller.started_ns is None or caller.duration_ns is None:
        return -_FAR, _FAR
    begins = [event.time_ns for event in visit.events if event.time_ns is not None]
    if visit.access is not None and visit.access.started_ns is not None:
        begins.append(visit.access.started_ns)
    if not begins or caller.time_ns is None:
        return -_FAR, _FAR
    began = min(begins)
    return began - caller.time_ns if hop.answered else -_FAR, began - caller.started_ns


def _clock(low: float, high: float) -> Clock:
    if low > _SLACK_NS:
        return Clock(at_least_ns=int(low))
    if high < -_SLACK_NS:
        return Clock(at_least_ns=int(high))
    return Clock()


def _lanes(events: Sequence[Event], clocks: Mapping[str, Clock]) -> tuple[tuple[Lane, ...], dict[str, int]]:
    lanes: dict[tuple[str, str], Lane] = {}
    lane_of: dict[str, int] = {}
    places: dict[tuple[str, str], int] = {}
    for event in events:
        key = event.instance, "" if event.instance else event.node
        if key not in lanes:
            places[key] = len(lanes)
            lanes[key] = Lane(event.node, event.service, event.instance, clocks.get(event.instance, Clock()))
        lane_of[event.id] = places[key]
    return tuple(lanes.values()), lane_of


def _entries(order: Order, lanes: Sequence[Lane], lane_of: Mapping[str, int]) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for number, event in enumerate(order.events):
        after = order.after[event.id]
        certain = number == 0 or _known_after(event, order.events[number - 1], after, lanes, lane_of)
        entries.append(Entry(event, lane_of[event.id], after, certain))
    return tuple(entries)


def _known_after(
    event: Event, before: Event, after: Sequence[str], lanes: Sequence[Lane], lane_of: Mapping[str, int]
) -> bool:
    if before.id in after:
        return True
    if event.clock != before.clock or event.time_ns is None or before.time_ns is None:
        return False
    trusted = all(lanes[lane_of[one.id]].clock.at_least_ns is None for one in (event, before))
    return trusted and before.time_ns < event.time_ns


def _gaps(
    entries: Sequence[Entry], lanes: Sequence[Lane], root: Event | None, started: int | None, duration: int | None
) -> tuple[Gap, ...]:
    if started is None or duration is None:
        return ()
    comparable = _Comparable(lanes)
    last = next((n for n, entry in enumerate(entries) if entry.event is root), len(entries) - 1)
    whole = max(duration, *(entry.event.time_ns - started for entry in entries if entry.event.time_ns is not None))
    gaps = []
    for number, latest, length in _silences(entries, started, comparable):
        entry = entries[number]
        inside = number <= last
        if length > GAP_NS and length * GAP_SHARE > (duration if inside else whole):
            around = [other.event for other in entries if comparable(entry, other)]
            gaps.append(Gap(number, length, _open(around, latest, length), inside))
    return tuple(gaps)


class _Comparable:
    """Whether the times of two entries can be compared: unless one of their clocks is known to be wrong."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.wrong = {number for number, lane in enumerate(lanes) if lane.clock.at_least_ns is not None}

    def __call__(self, one: Entry, other: Entry) -> bool:
        return one.lane == other.lane or self.wrong.isdisjoint((one.lane, other.lane))


def _silences(entries: Sequence[Entry], started: int, comparable: _Comparable) -> Iterable[tuple[int, int, int]]:
    """Where two neighbours can be compared: the number of the later, the latest time before it, and the time between.

    An event without a time may have happened at any moment between its neighbours, so nothing is said of those.
    """
    latest: int | None = started
    before: Entry | None = None
    for number, entry in enumerate(entries):
        time = entry.event.time_ns
        if not (comparable(before, entry) if before is not None else entry.lane not in comparable.wrong):
            latest = None
        if time is not None and latest is not None:
            yield number, latest, time - latest
            latest = max(latest, time)
        else:
            latest = time
        before = entry


def _open(events: Iterable[Event], begin: int, length: int) -> tuple[Event, ...]:
    """The events that end what went on for at least half of a pause: calls and steps before requests, short first."""
    found = []
    for event in events:
        if event.kind == "line" or event.time_ns is None or event.duration_ns is None:
            continue
        overlap = min(event.time_ns, begin + length) - max(event.time_ns - event.duration_ns, begin)
        if overlap * 2 >= length:
            found.append((event.kind == "access", event.duration_ns, event.id, event))
    return tuple(event for *_, event in sorted(found, key=lambda item: item[:3]))
