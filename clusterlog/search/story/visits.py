"""Where a request stayed, and which call led there: its visits to processes, and the hops between them.

A span id that two processes name is the evidence: the caller's call event has it as its own, what the callee did names
it as its parent. Spans of another tracer may lie between, in the caller's process or in the callee's: the chain of
parents is followed through them, as far as a process tells of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from clusterlog.search.story.event import Event, text

LATE_NS = 10_000_000
"""How much longer than its call a visit may take and still be said to have been over when the answer was there."""

T = TypeVar("T")

_THROUGH = frozenset({"server", "consumer", "internal"})  # spans around an access event in its own process
_WITHIN = frozenset({"", "client", "producer"})  # spans whose parents are of their own process; a step has no role


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay of a request in one process: the events of one server span, by sequence.

    ``span`` is empty for events that belong to no span. ``parent`` is the span that caused the visit, in whatever
    process; ``access`` is the event that ended it, an access event or, without one, another tracer's server span. It
    is missing while the visit lasts, and where its end was not told.
    """

    instance: str
    span: str
    parent: str
    access: Event | None
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Hop:
    """A call and the visit it caused. ``caller`` is the event that ended the call, or whatever else has its span."""

    caller: Event
    visit: Visit

    @property
    def answered(self) -> bool:
        """Whether the caller waited for an answer and got it."""
        return self.caller.answered

    @property
    def returned(self) -> bool:
        """Whether the visit was over when its answer was there, so that its access event lies before the caller's.

        It was not if it took longer than the call: that needs no clock to be right.
        """
        caller, access = self.caller, self.visit.access
        if access is None or not self.answered:
            return False
        if caller.duration_ns is None or access.duration_ns is None:
            return True
        return access.duration_ns <= caller.duration_ns + LATE_NS


def visited(arranged: Sequence[Event]) -> tuple[list[Visit], list[tuple[str, ...]]]:
    """The visits of events, which are sorted by process and sequence, and the event ids of spans that go in circles."""
    processes: dict[tuple[str, str], list[Event]] = {}
    for event in arranged:
        processes.setdefault((event.instance, "" if event.instance else event.node), []).append(event)
    visits = []
    circles: list[tuple[str, ...]] = []
    for (instance, _), events in processes.items():
        spans = _Spans(events)
        stays: dict[str, list[Event]] = {}
        for event in events:
            stays.setdefault(spans.server_of(event), []).append(event)
        visits += [_visit(instance, span, spans, stay) for span, stay in stays.items()]
        circles += spans.circles(events)
    return visits, circles


def _visit(instance: str, span: str, spans: _Spans, events: list[Event]) -> Visit:
    own = [event for event in events if span and event.span == span]
    access = next((event for event in own if event.kind == "access"), None)
    access = access or next((event for event in own if event.serves), None)
    return Visit(instance, span, spans.cause_of(span), access, tuple(events))


class _Spans:
    """The spans one process tells of."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._parents = {event.span: event.parent for event in events if event.span and event.parent}
        self._within = {e.span for e in events if e.kind == "call" or (e.kind == "span" and e.role in _WITHIN)}
        self._ended = {event.span for event in events if event.kind in ("call", "span")}
        self._seen = {event.span for event in events if event.span}
        accesses = {event.span: event for event in events if event.kind == "access" and event.span}
        self._around: dict[str, str] = {}  # spans of another tracer around an access event or beside it, and its span
        self._causes: dict[str, str] = {}
        for span, event in accesses.items():  # what its first lines had before it became another tracer's
            self._around[text(event.document, "clusterlog.span.began_as") or span] = span
        serving = [event for event in events if event.kind == "span" and event.role in _THROUGH and event.span]
        self._join(accesses, serving)
        for event in serving:
            if event.serves and event.span not in accesses and event.span not in self._around:
                if self._up(event.span, accesses) not in accesses:
                    accesses[event.span] = event
        self._accesses = list(accesses.values())
        self._servers = set(accesses)
        roots = self._servers or {self._root(event.span) for event in events if event.span and event.kind == "line"}
        self._only = next(iter(roots)) if len(roots) == 1 else ""

    def _join(self, accesses: Mapping[str, Event], serving: Sequence[Event]) -> None:
        """Find the other tracer's spans that are of the same visit as an access event: around it, or side by side."""
        told = {event.span for event in serving}
        for span in accesses:
            cause = self._parents.get(span, "")
            while cause in told and cause not in accesses and self._around.get(cause) != span:
                self._around[cause] = span
                cause = self._parents.get(cause, "")
            self._causes[span] = cause
        caused = {cause: span for span, cause in self._causes.items() if cause}
        for event in serving:
            beside = caused.get(self._parents.get(event.span, ""))
            if event.serves and beside is not None and event.span not in accesses:
                self._around.setdefault(event.span, beside)

    def cause_of(self, span: str) -> str:
        """The span that caused a visit: the parent of its outermost span."""
        return self._causes.get(span, self._parents.get(span, ""))

    def server_of(self, event: Event) -> str:
        """The server span an event belongs to; empty if that cannot be told."""
        root = self._root(event.span)
        if root and root not in self._seen and root not in self._parents:
            # A step that has not ended, or a visit that has told nothing of its own.
            return self._enclosing(event) or ("" if self._servers else self._only) or root
        if root in self._servers or (root and root in self._parents) or (root and root not in self._ended):
            return root
        return self._only or self._enclosing(event)

    def _root(self, span: str) -> str:
        """Up the parents as far as they are of this process, as those of calls and steps always are."""
        return self._up(span, self._servers)

    def _up(self, span: str, servers: Iterable[str]) -> str:
        passed = {span}
        while span not in servers:
            if span in self._around:
                return self._around[span]
            parent = self._parents.get(span, "")
            if parent in passed:
                return ""
            if not parent or (parent not in self._seen and span not in self._within):
                return span
            passed.add(parent)
            span = parent
        return span

    def _enclosing(self, event: Event) -> str:
        """The shortest visit during which the event happened: within a process the clock can be believed."""
        if event.time_ns is None:
            return ""
        around = [
            (access.duration_ns or 0, access.span)
            for access in self._accesses
            if access.time_ns is not None and (access.started_ns or 0) <= event.time_ns <= access.time_ns
        ]
        return min(around)[1] if around else ""

    def circles(self, events: Sequence[Event]) -> list[tuple[str, ...]]:
        """Groups of event ids whose spans, all of this process, are their own parents' parents."""
        found = _circles(self._parents)
        return [tuple(sorted(e.id for e in events if e.span in circle and e.kind != "line")) for circle in found]


def hopped(visits: Sequence[Visit]) -> list[Hop]:
    """The hops that led to visits, by the span that each names as its cause."""
    told: dict[str, Event] = {}
    strength = {"call": 0, "span": 1, "access": 2, "line": 3}
    for visit in visits:
        for event in visit.events:
            known = told.get(event.span)
            if known is None or strength[event.kind] < strength[known.kind]:
                told[event.span] = event
    return [Hop(told[visit.parent], visit) for visit in visits if visit.parent and visit.parent in told]


def sound(hops: list[Hop], visits: Sequence[Visit]) -> tuple[list[Hop], list[tuple[str, ...]]]:
    """The hops without those that make a visit its own cause, and the events of those."""
    home = {event.id: number for number, visit in enumerate(visits) for event in visit.events}
    number_of = {id(visit): number for number, visit in enumerate(visits)}
    circular = _circles({number_of[id(hop.visit)]: home[hop.caller.id] for hop in hops})
    if not circular:
        return hops, []
    looped: set[int] = set().union(*circular)
    kept = [hop for hop in hops if number_of[id(hop.visit)] not in looped]
    return kept, [_evidence(circle, hops, number_of) for circle in circular]


def _circles(cause_of: Mapping[T, T]) -> list[set[T]]:
    """The circles in a mapping of things to their causes, each of which has one at most."""
    walks: dict[T, int] = {}  # the walk on which a thing was first met
    circles = []
    for walk, begin in enumerate(cause_of):
        at: T | None = begin
        while at is not None and at not in walks:
            walks[at] = walk
            at = cause_of.get(at)
        if at is not None and walks[at] == walk:
            circle = {at}
            while (at := cause_of[at]) not in circle:
                circle.add(at)
            circles.append(circle)
    return circles


def _evidence(circle: set[int], hops: Sequence[Hop], number_of: dict[int, int]) -> tuple[str, ...]:
    events = []
    for hop in hops:
        if number_of[id(hop.visit)] in circle:
            events += [hop.caller.id, hop.visit.access.id if hop.visit.access else hop.visit.events[0].id]
    return tuple(dict.fromkeys(sorted(events)))
