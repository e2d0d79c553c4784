"""Two requests compared: the differences that count, and under them both as a whole, side by side."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from clusterlog.search.compare.delays import Delay, delays
from clusterlog.search.compare.stretches import EventPair, Stretch, stretches, visit_service
from clusterlog.search.compare.values import Change, changes
from clusterlog.search.story.event import Event
from clusterlog.search.story.journey import Journey
from clusterlog.search.story.order import Visit
from clusterlog.search.template import template


@dataclass(frozen=True, slots=True)
class Lone:
    """What only one of the requests has: events of one template in one stay, or a ``whole`` stay."""

    service: str
    node: str
    events: tuple[Event, ...]
    whole: bool

    @property
    def text(self) -> str:
        """What it is, in words."""
        where = f"{self.service} on {self.node}"
        if self.whole:
            return f"all of {where}, {len(self.events)} event{'' if len(self.events) == 1 else 's'}"
        times = f", {len(self.events)} times" if len(self.events) > 1 else ""
        return f"{template(self.events[0]) or self.events[0].logger} in {where}{times}"


@dataclass(frozen=True, slots=True)
class Moved:
    """Something both have in another order. ``after`` is what stands before it in each, ``None`` at the beginning."""

    service: str
    pair: EventPair
    after: tuple[Event | None, Event | None]

    @property
    def text(self) -> str:
        """The difference as a sentence."""
        a, b = ("at the beginning" if each is None else f'after "{template(each)}"' for each in self.after)
        return f'"{template(self.pair[0])}" in {self.service} stands {a} in A, {b} in B'


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two requests and how they differ; every difference names the events it stands on."""

    a: Journey
    b: Journey
    stretches: tuple[Stretch, ...]
    only_a: tuple[Lone, ...]
    only_b: tuple[Lone, ...]
    delays: tuple[Delay, ...]
    changes: tuple[Change, ...]
    moved: tuple[Moved, ...]

    @property
    def differ(self) -> bool:
        """Whether there is any difference to tell."""
        return bool(self.only_a or self.only_b or self.delays or self.changes or self.moved)


def compare(a: Journey, b: Journey) -> Comparison:
    """Compare two requests; the result follows from their events alone."""
    found = stretches(a, b)
    place = {entry.event.id: number for number, entry in enumerate(a.entries)}
    linked = frozenset(hop.caller.id for journey in (a, b) for hop in journey.hops)
    return Comparison(
        a=a,
        b=b,
        stretches=found,
        only_a=_lone(a, ((each.only_a, each.b is None) for each in found)),
        only_b=_lone(b, ((each.only_b, each.a is None) for each in found)),
        delays=delays(a, b, found),
        changes=changes(found, place, linked),
        moved=tuple(moved for each in found for moved in _moved(each)),
    )


def _lone(journey: Journey, found: Iterable[tuple[Sequence[Event], bool]]) -> tuple[Lone, ...]:
    """In causal order of what comes first; equal templates of one stay are folded."""
    place = {entry.event.id: number for number, entry in enumerate(journey.entries)}
    told = []
    for events, whole in found:
        groups: dict[tuple[str, ...], list[Event]] = {}
        for event in events:
            groups.setdefault(() if whole else (event.kind, event.logger, template(event)), []).append(event)
        for alike in groups.values():
            first = alike[0]
            told.append(Lone(first.service or first.node, first.node, tuple(alike), whole))
    return tuple(sorted(told, key=lambda lone: min(place[event.id] for event in lone.events)))


def _moved(stretch: Stretch) -> Iterator[Moved]:
    if stretch.a is None or stretch.b is None:
        return
    for pair in stretch.moved:
        before_a = _before(pair[0], stretch.a, {a.id for a, _ in stretch.pairs})
        before_b = _before(pair[1], stretch.b, {b.id for _, b in stretch.pairs})
        yield Moved(visit_service(stretch.a), pair, (before_a, before_b))


def _before(event: Event, visit: Visit, fixed: Container[str]) -> Event | None:
    """The last event before this one of those that both requests have in one order."""
    last = None
    for each in visit.events:
        if each is event:
            break
        if each.id in fixed:
            last = each
    return last
