"""Where one of two requests took longer: in which call, step or pause, without what others needed inside of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from clusterlog.search.compare.stretches import EventPair, Stretch, visit_service
from clusterlog.search.instant import milliseconds
from clusterlog.search.story.event import Event, name
from clusterlog.search.story.journey import Journey
from clusterlog.search.story.order import Visit
from clusterlog.search.template import template

SHARE = 20
"""A delay is told if it is more than this part of the longer request, and than ``LEAST_NS``."""
LEAST_NS = 1_000_000
_FAR = 1 << 80

Kind = Literal["call", "way", "step", "pause", "own"]


@dataclass(frozen=True, slots=True)
class Delay:
    """One thing that both requests did, or one of them, and what it took in each (ns).

    ``call``: an outgoing call, as a whole; ``way``: a call without what its callee needed; ``step``: a step without
    the calls and steps inside of it; ``pause``: from the first to the second event of each side, without calls and
    steps begun between them; ``own``: a whole stay, without its calls, steps and pauses. Of calls and steps that only
    one request has, those of one template are one, and the other side has no events.
    """

    kind: Kind
    service: str
    what: str
    a_ns: int
    b_ns: int
    a: tuple[Event, ...]
    b: tuple[Event, ...]

    @property
    def more_ns(self) -> int:
        """How much longer it took in ``a``; negative where ``b`` is the slower one."""
        return self.a_ns - self.b_ns

    @property
    def text(self) -> str:
        """The delay as a sentence."""
        slower, fast, slow = ("A", self.b_ns, self.a_ns) if self.more_ns > 0 else ("B", self.a_ns, self.b_ns)
        other = "B" if slower == "A" else "A"
        there = f"{milliseconds(fast)} in {other}" if self.a and self.b else f"not in {other}"
        return f"{self.what}: {milliseconds(slow)} in {slower}, {there}"


def delays(a: Journey, b: Journey, stretches: Iterable[Stretch]) -> tuple[Delay, ...]:
    """What took longer in one of the two, most first; each delay once, where it is told best."""
    least = max(LEAST_NS, max(a.duration_ns or 0, b.duration_ns or 0) // SHARE)
    callees = _needed_by_callee(a), _needed_by_callee(b)
    found: list[Delay] = []
    for stretch in stretches:
        if stretch.a is not None and stretch.b is not None:
            found += _of_stretch(stretch, callees, least)
    return tuple(sorted(found, key=lambda delay: -abs(delay.more_ns)))


_Sides = tuple["_Stay", "_Stay"]


def _of_stretch(stretch: Stretch, callees: tuple[Mapping[str, int], Mapping[str, int]], least: int) -> list[Delay]:
    """Calls and steps first; pauses unless those tell them; the stay itself where nothing else does."""
    if stretch.a is None or stretch.b is None:
        return []
    service = visit_service(stretch.a)
    sides = _Stay(stretch.a), _Stay(stretch.b)
    told: list[Delay] = []
    for pair in (*stretch.pairs, *stretch.moved):
        if pair[0].kind in ("call", "span") and not pair[0].serves:
            told += _of_span(pair, service, sides, callees)
    told += _lone(stretch.only_a, service, sides[0], in_a=True)
    told += _lone(stretch.only_b, service, sides[1], in_a=False)
    told = [delay for delay in told if abs(delay.more_ns) > least]
    tellers = [delay for delay in told if delay.kind == "step" or not (delay.a and delay.b)]
    pauses = [pause for pause in _pauses(stretch.pairs, service, sides) if abs(pause.more_ns) > least]
    pauses = [pause for pause in pauses if not any(_within(pause, teller) for teller in tellers)]
    whole = [delay for delay in _whole(stretch.pairs, service, sides, pauses) if abs(delay.more_ns) > least]
    return [*told, *pauses, *whole]


def _of_span(
    pair: EventPair, service: str, sides: _Sides, callees: tuple[Mapping[str, int], Mapping[str, int]]
) -> Iterator[Delay]:
    a, b = pair
    if a.duration_ns is None or b.duration_ns is None:
        return
    if a.kind == "call" or a.role == "client":
        needed = callees[0].get(a.id), callees[1].get(b.id)
        on_the_way = None not in needed
        what = f"{name(a)} from {service}{', on the way' if on_the_way else ''}"
        took = [
            max(0, whole - (there or 0)) for whole, there in zip((a.duration_ns, b.duration_ns), needed, strict=True)
        ]
        yield Delay("way" if on_the_way else "call", service, what, took[0], took[1], (a,), (b,))
    else:
        own = [side.own_ns(event) for side, event in zip(sides, pair, strict=True)]
        if own[0] is not None and own[1] is not None:
            yield Delay("step", service, f"{name(a)} on {service}", own[0], own[1], (a,), (b,))


def _lone(events: Iterable[Event], service: str, stay: _Stay, *, in_a: bool) -> Iterator[Delay]:
    """Calls and steps that the other request does not have."""
    groups: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        if event.kind in ("call", "span") and not event.serves and event.duration_ns is not None:
            groups.setdefault((event.kind, template(event)), []).append(event)
    for (kind, _), alike in groups.items():
        if kind == "call":
            intervals = ((e.started_ns, e.time_ns) for e in alike if e.started_ns is not None and e.time_ns is not None)
            took = _covered(intervals, 0, _FAR)
        else:
            took = sum(stay.own_ns(event) or 0 for event in alike)
        times = f", {len(alike)} times" if len(alike) > 1 else ""
        what = f"{name(alike[0])} {'from' if kind == 'call' else 'on'} {service}{times}"
        told: Kind = "call" if kind == "call" else "step"
        side = tuple(alike)
        yield Delay(told, service, what, took, 0, side, ()) if in_a else Delay(told, service, what, 0, took, (), side)


def _pauses(pairs: Sequence[EventPair], service: str, sides: _Sides) -> Iterator[Delay]:
    """Between each two neighbours of those that both have, in one order."""
    for before, after in pairwise(pairs):
        took = [side.between_ns(one, other) for side, one, other in zip(sides, before, after, strict=True)]
        if took[0] is not None and took[1] is not None:
            what = f'"{_said(before[0])}" to "{_said(after[0])}" on {service}'
            yield Delay("pause", service, what, took[0], took[1], (before[0], after[0]), (before[1], after[1]))


def _whole(pairs: Sequence[EventPair], service: str, sides: _Sides, pauses: Sequence[Delay]) -> Iterator[Delay]:
    """What a stay took without its calls and steps, and without the pauses that are told already."""
    for a, b in pairs:
        own = (sides[0].own_ns(a), sides[1].own_ns(b)) if a.serves else (None, None)
        if own[0] is not None and own[1] is not None:
            a_ns = max(0, own[0] - sum(pause.a_ns for pause in pauses))
            b_ns = max(0, own[1] - sum(pause.b_ns for pause in pauses))
            yield Delay("own", service, f"{name(a)} on {service}, by itself", a_ns, b_ns, (a,), (b,))


def _within(pause: Delay, told: Delay) -> bool:
    """Whether a delay tells of a pause: in the slower request most of the pause lies within its events."""
    (before, after), inside = (pause.a, told.a) if pause.more_ns > 0 else (pause.b, told.b)
    if before.time_ns is None or after.time_ns is None:
        return False
    intervals = ((e.started_ns, e.time_ns) for e in inside if e.started_ns is not None and e.time_ns is not None)
    return _covered(intervals, before.time_ns, after.time_ns) * 2 > after.time_ns - before.time_ns


class _Stay:
    """The times of one stay; one clock has told them all."""

    def __init__(self, visit: Visit) -> None:
        self._spans = [
            (event.started_ns, event.time_ns, event)
            for event in visit.events
            if event.kind in ("call", "span") and not event.serves
            if event.started_ns is not None and event.time_ns is not None and event.duration_ns is not None
        ]

    def own_ns(self, event: Event) -> int | None:
        """What the work that an event ends took, without the calls and steps directly inside of it."""
        if event.time_ns is None or event.started_ns is None or event.duration_ns is None:
            return None
        inside = ((begin, end) for begin, end, span in self._spans if span.parent == event.span and span is not event)
        return event.duration_ns - _covered(inside, event.started_ns, event.time_ns)

    def between_ns(self, before: Event, after: Event) -> int | None:
        """From one event to the next, or to the begin of what it ends, without calls and steps begun between them."""
        begin = before.time_ns
        end = after.started_ns if after.kind in ("call", "span") and not after.serves else after.time_ns
        if begin is None or end is None or end < begin:
            return None
        return end - begin - _covered(((b, e) for b, e, _ in self._spans if b >= begin), begin, end)


def _covered(intervals: Iterable[tuple[int, int]], begin: int, end: int) -> int:
    """How much of a stretch of time lies in any of the intervals."""
    covered, reached = 0, begin
    for low, high in sorted(intervals):
        low, high = max(low, reached), min(high, end)
        if high > low:
            covered += high - low
            reached = high
    return covered


def _needed_by_callee(journey: Journey) -> dict[str, int]:
    """What each answered call's callee took itself, by the caller's event."""
    return {
        hop.caller.id: hop.visit.access.duration_ns
        for hop in journey.hops
        if hop.visit.access is not None and hop.visit.access.duration_ns is not None
    }


def _said(event: Event) -> str:
    return template(event) or event.logger
