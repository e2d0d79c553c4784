"""Which stay of one request in a service corresponds to which of the other, and their events side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from clusterlog.search.compare.alignment import Item, aligned
from clusterlog.search.story.event import Event
from clusterlog.search.story.journey import Journey
from clusterlog.search.story.order import Visit
from clusterlog.search.template import template

EventPair = tuple[Event, Event]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stay in one process in ``a`` beside the one in ``b`` that corresponds to it; ``None`` where there is none.

    ``pairs`` are in the order of both, ``moved`` stand elsewhere in the other. ``only_a`` and ``only_b`` have nothing
    that corresponds.
    """

    a: Visit | None
    b: Visit | None
    pairs: tuple[EventPair, ...]
    moved: tuple[EventPair, ...]
    only_a: tuple[Event, ...]
    only_b: tuple[Event, ...]

    def rows(self) -> Iterator[tuple[Event | None, Event | None]]:
        """Every event of both sides, in the order of each: those in common order together, others alone."""
        rest_a = deque(self.a.events if self.a else ())
        rest_b = deque(self.b.events if self.b else ())
        for one, other in self.pairs:
            while rest_a[0] is not one:
                yield rest_a.popleft(), None
            while rest_b[0] is not other:
                yield None, rest_b.popleft()
            yield rest_a.popleft(), rest_b.popleft()
        yield from ((event, None) for event in rest_a)
        yield from ((None, event) for event in rest_b)


def stretches(a: Journey, b: Journey) -> tuple[Stretch, ...]:
    """Every stay of both requests, those that correspond together.

    The outermost stays correspond, and those that corresponding calls have led to; what is left by service, the same
    node before others, in causal order. So it does not matter which of several nodes, or processes of a node, a
    balancer has chosen.
    """
    return _Matching(a, b).stretches()


class _Side:
    """One request: its stays in causal order, and which of them a call has led to."""

    def __init__(self, journey: Journey) -> None:
        place = {entry.event.id: number for number, entry in enumerate(journey.entries)}
        self.place = {id(visit): min(place[event.id] for event in visit.events) for visit in journey.visits}
        self.visits = sorted(journey.visits, key=lambda visit: self.place[id(visit)])
        self.caused: dict[str, list[Visit]] = {}
        for hop in journey.hops:
            self.caused.setdefault(hop.caller.id, []).append(hop.visit)
        called = {id(hop.visit) for hop in journey.hops}
        outer = [visit for visit in self.visits if journey.root is not None and visit.access is journey.root]
        outer += [visit for visit in self.visits if id(visit) not in called]
        self.outermost = outer[0] if outer else self.visits[0]

    def items(self, visit: Visit) -> list[Item]:
        """The events of a stay as things to be aligned."""
        return [(self._key(event), (event.level, event.outcome, event.status)) for event in visit.events]

    def _key(self, event: Event) -> tuple[str, ...]:
        """What makes two events correspond. A stay answers one request, whatever its route."""
        if event.serves:
            return (event.kind, "serves")
        if event.kind == "call":
            return ("call", template(event), *(visit_service(visit) for visit in self.caused.get(event.id, ())))
        return (event.kind, event.logger, template(event))


class _Matching:
    def __init__(self, a: Journey, b: Journey) -> None:
        self._a = _Side(a)
        self._b = _Side(b)
        self._done: set[int] = set()
        self._found: list[Stretch] = []

    def stretches(self) -> tuple[Stretch, ...]:
        """All of them: first where ``a`` was, in its order, then where only ``b`` was."""
        self._follow(self._a.outermost, self._b.outermost)
        for same_node in (True, False):
            for visit in self._left(self._a):
                other = self._alike(visit, same_node)
                if id(visit) not in self._done and other is not None:
                    self._follow(visit, other)
        self._found += [Stretch(visit, None, (), (), visit.events, ()) for visit in self._left(self._a)]
        self._found += [Stretch(None, visit, (), (), (), visit.events) for visit in self._left(self._b)]
        return tuple(sorted(self._found, key=self._place))

    def _place(self, stretch: Stretch) -> tuple[bool, int]:
        if stretch.a is not None:
            return False, self._a.place[id(stretch.a)]
        return True, self._b.place[id(stretch.b)]

    def _follow(self, a: Visit, b: Visit) -> None:
        """These correspond; and so do the stays that their corresponding calls have led to."""
        waiting = deque([(a, b)])
        while waiting:
            one, other = waiting.popleft()
            if id(one) in self._done or id(other) in self._done:
                continue
            self._done |= {id(one), id(other)}
            stretch = self._beside(one, other)
            self._found.append(stretch)
            for mine, theirs in (*stretch.pairs, *stretch.moved):
                callees = zip(self._a.caused.get(mine.id, ()), self._b.caused.get(theirs.id, ()), strict=False)
                waiting.extend((x, y) for x, y in callees if visit_service(x) == visit_service(y))

    def _beside(self, a: Visit, b: Visit) -> Stretch:
        found = aligned(self._a.items(a), self._b.items(b))
        both = (*found.pairs, *found.moved)
        taken_a, taken_b = {i for i, _ in both}, {j for _, j in both}
        return Stretch(
            a,
            b,
            tuple((a.events[i], b.events[j]) for i, j in found.pairs),
            tuple((a.events[i], b.events[j]) for i, j in found.moved),
            tuple(event for i, event in enumerate(a.events) if i not in taken_a),
            tuple(event for j, event in enumerate(b.events) if j not in taken_b),
        )

    def _left(self, side: _Side) -> list[Visit]:
        return [visit for visit in side.visits if id(visit) not in self._done]

    def _alike(self, visit: Visit, same_node: bool) -> Visit | None:
        for other in self._left(self._b):
            if visit_service(other) == visit_service(visit):
                if not same_node or visit_node(other) == visit_node(visit):
                    return other
        return None


def visit_service(visit: Visit) -> str:
    """The service of a stay; where it has no name, that of its node."""
    return visit.events[0].service or visit.events[0].node


def visit_node(visit: Visit) -> str:
    """The node of a stay."""
    return visit.events[0].node
