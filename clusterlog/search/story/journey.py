"""One request as a whole: its events in causal order, the lanes they lie in, the pauses between them, and the header.

Everything here follows from the documents alone. Where calls measure that a clock is off by more than the measurement's
error, its times are shown corrected; where they only prove that it is wrong, the lane says by how much at least, and
nothing is bent to fit. The documents stay as they were recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from clusterlog.errors import NotFound
from clusterlog.search.instant import rfc3339
from clusterlog.search.story.clocks import Clock, Clocks, measured, set_back, without_absurd_times
from clusterlog.search.story.event import Document, Event, content, is_state, read
from clusterlog.search.story.gaps import Gap, gaps
from clusterlog.search.story.merged import taken_apart
from clusterlog.search.story.order import Hop, Order, Visit, ordered

__all__ = ["Clock", "Clocks", "Entry", "Gap", "Journey", "Lane", "Other", "Outcome", "journey"]

Outcome = Literal["ok", "failed", "running", "unknown"]
"""``unknown``: lines of programs that log no answers, so that nothing tells of an end (ingested files, mostly)."""


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

    ``certain``: that the event comes after the one before it follows from a cause, from one clock that told both, or
    from two that are measured well enough.
    """

    event: Event
    lane: int
    after: tuple[str, ...]
    certain: bool


@dataclass(frozen=True, slots=True)
class Other:
    """A further request that carries the same id: its access event, and the ids of all events of it."""

    access: Event
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class Journey:
    """One request.

    ``root`` is its outermost access event, missing while the request runs; then ``status`` is unknown, ``method`` and
    ``route`` are empty, and ``duration_ns`` is the time seen so far. Where it is that of a balancer, the route is that
    of the node it went to. ``others`` are further requests of one id, told
    together with this one. ``absurd`` are events whose time cannot be right; here they have none.
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
    clocks: Clocks
    others: tuple[Other, ...]
    absurd: frozenset[str]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes, in the order of first appearance."""
        return tuple(dict.fromkeys(lane.node for lane in self.lanes))

    @property
    def services(self) -> tuple[str, ...]:
        """The services, in the order of first appearance."""
        return tuple(dict.fromkeys(lane.service for lane in self.lanes if lane.service))

    @property
    def ended(self) -> str:
        """How it ended, in words for people."""
        return {"ok": "ok", "unknown": "no answer logged"}.get(self.outcome, self.outcome.upper())

    @property
    def spans(self) -> int:
        """How many spans have ended: answered requests, outgoing calls and steps."""
        return len({entry.event.span for entry in self.entries if entry.event.kind != "line" and entry.event.span})

    def own_events(self) -> list[Event]:
        """The events in causal order, without those of other requests that carry the same id."""
        if not self.others:
            return [entry.event for entry in self.entries]
        foreign = frozenset[str]().union(*(other.events for other in self.others))
        return [entry.event for entry in self.entries if entry.event.id not in foreign]

    @property
    def started(self) -> str:
        """When the request began, as ``@timestamp`` is written; empty if no event tells a time."""
        if self.started_ns is None:
            return ""
        try:
            return rfc3339(self.started_ns)
        except OverflowError:
            return ""

    def time_ns(self, event: Event) -> int | None:
        """When an event was logged, by its clock as it is shown: corrected, or as recorded."""
        return self.clocks.time_ns(event)

    def offset_ns(self, event: Event) -> int | None:
        """How long after the request's begin an event was logged, by the times as they are shown."""
        time = self.time_ns(event)
        return None if time is None or self.started_ns is None else time - self.started_ns


def journey(documents: Iterable[Document], *, raw_times: bool = False) -> Journey:
    """Put one request together from its documents, in whatever order they come.

    ``documents`` are parsed events with one ``http.request.id``, or one ``trace.id``. State events are left out, and
    several copies of an ``event.id`` are one event. With ``raw_times`` no clock is corrected. Raises ``NotFound`` if
    nothing is left.
    """
    events, absurd = without_absurd_times(taken_apart(_unique(documents)))
    if not events:
        raise NotFound("no event belongs to this request")
    order = ordered(events)
    root = _root(order)
    reference = (root or order.events[0]).clock
    clocks = measured(order.hops, reference, set_back=set_back(order.events), raw_times=raw_times)
    if any(clock.corrected for clock in clocks.of.values()):
        order = order.by_time(clocks.shift_ns)
    lanes, lane_of = _lanes(order.events, clocks)
    entries = _entries(order, clocks, lane_of)
    started = _started(order.events, root, clocks)
    duration = _duration(order.events, root, started, clocks)
    return Journey(
        id=_id(order.events, root),
        trace_ids=tuple(dict.fromkeys(event.trace for event in order.events if event.trace)),
        method=root.method if root else "",
        route=_route(root, order.hops),
        status=root.status if root else None,
        outcome=_outcome(root, order.events),
        started_ns=started,
        duration_ns=duration,
        root=root,
        lanes=lanes,
        entries=entries,
        gaps=gaps(order.events, clocks, root, started, duration),
        visits=order.visits,
        hops=order.hops,
        cycles=order.cycles,
        clocks=clocks,
        others=_others(order, root, clocks),
        absurd=frozenset(absurd),
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

    Where several qualify, one that names no parent at all goes first, then the first to begin. One that names an
    unknown parent is not believed while an earlier visit is still open: its caller has not told of the call yet.
    """
    place = {event.id: number for number, event in enumerate(order.events)}
    caused = {id(hop.visit) for hop in order.hops}
    outer = [(v, min(place[event.id] for event in v.events)) for v in order.visits if id(v) not in caused]
    ended = [(visit, access, first) for visit, first in outer if (access := visit.access) is not None]
    if not ended:
        return None
    visit, _, first = min(ended, key=lambda found: (bool(found[0].parent), *_begin(found[1]), found[2]))
    done = {visit.span for visit in order.visits if visit.access is not None}
    open_before = any(v.access is None and v.span and v.span not in done and at < first for v, at in outer)
    return None if visit.parent and open_before else visit.access


def _route(root: Event | None, hops: Iterable[Hop]) -> str:
    """What was asked, by the first on the way that knows routes: a balancer knows paths only."""
    if root is None or not root.is_edge:
        return root.path if root else ""
    within = [hop.visit.access for hop in hops if hop.caller is root and hop.visit.access is not None]
    return _route(within[-1], hops) if within else root.path


def _begin(access: Event) -> tuple[bool, int, int]:
    """By what the outermost of several is chosen: the first to begin, and of these the longest."""
    return access.started_ns is None, access.started_ns or 0, -(access.duration_ns or 0)


def _outcome(root: Event | None, events: Sequence[Event]) -> Outcome:
    """Whoever logs answers gives each line the span of its request: without one, no answer is to be waited for."""
    if root is not None:
        return "failed" if root.failed else "ok"
    return "running" if any(event.span for event in events) else "unknown"


def _id(events: Sequence[Event], root: Event | None) -> str:
    if root is not None and root.request:
        return root.request
    counted = Counter(event.request for event in events if event.request)
    return min(counted, key=lambda found: (-counted[found], found), default="")


def _others(order: Order, root: Event | None, clocks: Clocks) -> tuple[Other, ...]:
    """Outermost visits that are requests of their own: not work for this one whose caller has told of no call."""
    home = {event.id: number for number, visit in enumerate(order.visits) for event in visit.events}
    causes = {home[hop.visit.events[0].id]: home[hop.caller.id] for hop in order.hops}
    outer = [number for number, visit in enumerate(order.visits) if number not in causes and visit.access is not None]
    if root is None or len(outer) < 2:
        return ()
    families: dict[int, set[int]] = {}
    for number in range(len(order.visits)):
        top = number
        while top in causes:
            top = causes[top]
        families.setdefault(top, set()).add(number)
    found = []
    for number in outer:
        access = order.visits[number].access
        if access is not None and access is not root and _is_apart(order.visits[number], access, root, clocks):
            inside = frozenset(event.id for one in families[number] for event in order.visits[one].events)
            found.append(Other(access, inside))
    begins = {other.access.id: clocks.started_ns(other.access) for other in found}
    return tuple(sorted(found, key=lambda other: (begins[other.access.id] or 0, other.access.id)))


def _is_apart(visit: Visit, access: Event, root: Event, clocks: Clocks) -> bool:
    """Whether an outermost visit is another request, by its id, its trace, its service and its time."""
    if access.request != root.request:
        return True
    if visit.parent and access.trace == root.trace:
        return False
    if access.service == root.service:
        return True
    begun, ended = clocks.started_ns(access), clocks.time_ns(access)
    limits = clocks.started_ns(root), clocks.time_ns(root)
    if begun is None or ended is None or limits[0] is None or limits[1] is None:
        return False
    return begun < limits[0] or ended > limits[1]


def _started(events: Sequence[Event], root: Event | None, clocks: Clocks) -> int | None:
    """The begin of the root; without one, of the earliest event on the clock that told the first."""
    if root is not None and root.duration_ns is not None and root.time_ns is not None:
        return root.started_ns
    reference = root or next((event for event in events if event.time_ns is not None), None)
    if reference is None:
        return None
    near = (event for event in events if event.clock == reference.clock)
    return min((begun for event in near if (begun := clocks.started_ns(event)) is not None), default=None)


def _duration(events: Sequence[Event], root: Event | None, started: int | None, clocks: Clocks) -> int | None:
    if root is not None and root.duration_ns is not None:
        return root.duration_ns
    if started is None:
        return None
    ends = [root] if root is not None else [event for event in events if not clocks.clock(event).wrong]
    return max((time - started for event in ends if (time := clocks.time_ns(event)) is not None), default=None)


def _lanes(events: Sequence[Event], clocks: Clocks) -> tuple[tuple[Lane, ...], dict[str, int]]:
    lanes: dict[tuple[str, str], Lane] = {}
    lane_of: dict[str, int] = {}
    places: dict[tuple[str, str], int] = {}
    # Of what a balancer did there is one event, at its end; but with it the request began.
    edges = sorted((event for event in events if event.is_edge), key=lambda event: event.started_ns or 0)
    for event in (*edges, *events):
        key = event.instance, "" if event.instance else event.node
        if key not in lanes:
            places[key] = len(lanes)
            lanes[key] = Lane(event.node, event.service, event.instance, clocks.clock(event))
        lane_of[event.id] = places[key]
    return tuple(lanes.values()), lane_of


def _entries(order: Order, clocks: Clocks, lane_of: Mapping[str, int]) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for number, event in enumerate(order.events):
        after = order.after[event.id]
        before = order.events[number - 1]
        certain = number == 0 or before.id in after or clocks.surely_before(before, event)
        entries.append(Entry(event, lane_of[event.id], after, certain))
    return tuple(entries)
