"""What happened before what: the causal order of one request's events.

Within a process the sequence is the order, and what a flight recorder wrote late lies behind the number it came after.
Across processes there is one kind of evidence: a call event has its own span id, and whatever names that span as its
parent, in another process, was caused by the call. So the callee's work lies behind the caller's last event from before
the call began and, if the call was answered, the callee's access event lies before the call event. (A call ends with
the headers of its response, so a callee may tell of its answer a moment later, and a streamed body may take it much
longer: then the second edge is not drawn; and where it would contradict others it gives way.) What these edges leave
open is ordered by recorded time, then by node.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile

from clusterlog.search.story.event import Event
from clusterlog.search.story.visits import LATE_NS, Hop, Visit, hopped, sound, visited

__all__ = ["LATE_NS", "Hop", "Order", "Visit", "ordered"]

_NEVER = 1 << 80  # behind every recorded time


@dataclass(frozen=True, slots=True)
class Order:
    """Events in causal order; ``after`` gives the direct causal predecessors of an event by id.

    ``cycles`` are groups of event ids whose evidence contradicts itself; among them it was not used.
    """

    events: tuple[Event, ...]
    after: dict[str, tuple[str, ...]]
    visits: tuple[Visit, ...]
    hops: tuple[Hop, ...]
    cycles: tuple[tuple[str, ...], ...]

    def by_time(self, shift_ns: Callable[[Event], int]) -> Order:
        """The same causes, but what they leave open ordered by times of which ``shift_ns`` is taken off."""
        arranged = sorted(self.events, key=_arrangement)
        number = {event.id: place for place, event in enumerate(arranged)}
        before = [[number[earlier] for earlier in self.after[event.id]] for event in arranged]
        sequence = _sorted(arranged, before, shift_ns)
        assert sequence is not None, "what could be sorted once can be sorted by other times"
        return replace(self, events=tuple(arranged[place] for place in sequence))


def ordered(events: Iterable[Event]) -> Order:
    """Order the events of one request, each of them once, in whatever order they arrived."""
    arranged = sorted(events, key=_arrangement)
    visits, circles = visited(arranged)
    hops, cycles = sound(hopped(visits), visits)
    cycles += [circle for circle in circles if circle not in cycles]
    graph = _Graph(arranged)
    graph.add_hops(visits, hops)
    sequence = graph.sorted()
    if sequence is None:
        cycles += graph.break_cycles()
        sequence = graph.sorted()
        assert sequence is not None, "only the sequences of processes are left, which cannot contradict themselves"
    in_order = tuple(arranged[index] for index in sequence)
    after = {event.id: tuple(arranged[i].id for i in graph.before[n]) for n, event in enumerate(arranged)}
    return Order(in_order, after, tuple(visits), tuple(hops), tuple(cycles))


def _arrangement(event: Event) -> tuple[str, int, int, int, str]:
    sequence, kept = _NEVER if event.sequence is None else event.sequence, 0
    if (
        event.late is not None and 0 <= event.late < sequence < _NEVER
    ):  # else it was said in another life of its process
        sequence, kept = event.late, sequence
    return event.instance, sequence, kept, _NEVER if event.time_ns is None else event.time_ns, event.id


class _Graph:
    """Direct causal edges between events, by their numbers in the arrangement."""

    def __init__(self, arranged: Sequence[Event]) -> None:
        self.events = arranged
        self.before: list[list[int]] = [[] for _ in arranged]
        self.number = {event.id: number for number, event in enumerate(arranged)}
        self._starts: set[tuple[int, int]] = set()
        self._returns: set[tuple[int, int]] = set()
        self.chains = self._chained()

    def _chained(self) -> dict[str, list[int]]:
        chains: dict[str, list[int]] = {}
        for number, event in enumerate(self.events):
            if event.instance and event.sequence is not None:
                chains.setdefault(event.instance, []).append(number)
        for chain in chains.values():
            for earlier, later in pairwise(chain):
                self.before[later].append(earlier)
        return chains

    def add_hops(self, visits: Sequence[Visit], hops: Sequence[Hop]) -> None:
        """Add the edges between callers and callees."""
        begins = _Begins(self, visits, hops)
        for hop in hops:
            if hop.caller.instance == hop.visit.instance:
                continue  # the sequence says more
            for earlier in begins.behind(hop):
                for first in self.firsts(hop.visit):
                    self._add(earlier, first, self._starts)
            if hop.returned and hop.visit.access is not None:
                self._add(self.number[hop.visit.access.id], self.number[hop.caller.id], self._returns)

    def _add(self, earlier: int, later: int, kind: set[tuple[int, int]]) -> None:
        if earlier not in self.before[later]:
            self.before[later].append(earlier)
            kind.add((earlier, later))

    def firsts(self, visit: Visit) -> list[int]:
        """The events of a visit that no other event of it precedes by sequence."""
        if not visit.instance:
            return [self.number[event.id] for event in visit.events]
        # Those without a sequence are the last of a visit's events.
        loose = takewhile(lambda event: event.sequence is None, reversed(visit.events))
        found = [self.number[event.id] for event in loose][::-1]
        return found if len(found) == len(visit.events) else [self.number[visit.events[0].id], *found]

    def sorted(self) -> list[int] | None:
        """Numbers in causal order, what is left open by recorded time; ``None`` if there are cycles."""
        return _sorted(self.events, self.before)

    def break_cycles(self) -> list[tuple[str, ...]]:
        """Take edges out of cycles until none is left; gives the events of those that returns do not explain."""
        self._drop(self._returns, self._tangled())
        tangled = self._tangled()
        self._drop(self._starts, tangled)
        return [tuple(self.events[number].id for number in sorted(group)) for group in tangled]

    def _drop(self, kind: set[tuple[int, int]], groups: Sequence[set[int]]) -> None:
        for group in groups:
            for later in group:
                self.before[later] = [n for n in self.before[later] if n not in group or (n, later) not in kind]

    def _tangled(self) -> list[set[int]]:
        """The events on cycles and between them, grouped by what hangs together."""
        followers = _followers(self.before)
        core = _peeled(followers, _peeled(self.before, set(range(len(self.events)))))
        groups = []
        while core:
            group = {min(core)}
            found = [*group]
            while found:
                number = found.pop()
                near = core.intersection([*self.before[number], *followers[number]]).difference(group)
                group |= near
                found += near
            core -= group
            groups.append(group)
        return groups


class _Begins:
    """What is known to lie before each call began: events by number, at most one of each process."""

    def __init__(self, graph: _Graph, visits: Sequence[Visit], hops: Sequence[Hop]) -> None:
        self._graph = graph
        self._home = {event.id: visit for visit in visits for event in visit.events}
        self._first = {id(visit): min(graph.firsts(visit)) for visit in visits}
        self._cause = {id(hop.visit): hop for hop in hops}
        self._latest = {instance: self._latest_times(chain) for instance, chain in graph.chains.items()}
        self._known: dict[int, dict[str, int]] = {}

    def behind(self, hop: Hop) -> Iterable[int]:
        """The caller's last event before the call. If its visit had none yet, also what lies before that visit."""
        path: list[tuple[Hop, int | None]] = []
        at: Hop | None = hop
        while at is not None and id(at) not in self._known:
            visit, last = self._home[at.caller.id], self._last_before(at.caller)
            path.append((at, last))
            within = last is not None and last >= self._first[id(visit)]
            at = None if within else self._cause.get(id(visit))
        found = self._known[id(at)] if at is not None else {}
        for passed, last in reversed(path):
            if last is not None:
                instance = passed.caller.instance
                found = {**found, instance: max(last, found.get(instance, last))}
            self._known[id(passed)] = found
        return self._known[id(hop)].values()

    def _last_before(self, caller: Event) -> int | None:
        """The last event that the caller's process told before the call began, by the one clock both were told by."""
        chain = self._graph.chains.get(caller.instance)
        if chain is None or caller.started_ns is None or caller.duration_ns is None:
            return None
        by_time = bisect_right(self._latest[caller.instance], caller.started_ns)
        by_sequence = bisect_left(chain, self._graph.number[caller.id])
        place = min(by_time, by_sequence) - 1
        return chain[place] if place >= 0 else None

    def _latest_times(self, chain: Sequence[int]) -> list[int]:
        """For each place in a chain the latest time up to it, so that a clock set back hides no later event."""
        latest, times = -_NEVER, []
        for number in chain:
            time = self._graph.events[number].time_ns
            latest = latest if time is None else max(latest, time)
            times.append(latest)
        return times


def _sorted(
    events: Sequence[Event], before: Sequence[Sequence[int]], shift_ns: Callable[[Event], int] | None = None
) -> list[int] | None:
    waiting = [len(earlier) for earlier in before]
    followers = _followers(before)
    ranks = _ranks(events, shift_ns)
    ready = [(ranks[number], number) for number, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    result = []
    while ready:
        _, number = heapq.heappop(ready)
        result.append(number)
        for follower in followers[number]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, (ranks[follower], follower))
    return result if len(result) == len(events) else None


def _followers(before: Sequence[Sequence[int]]) -> list[list[int]]:
    followers: list[list[int]] = [[] for _ in before]
    for later, found in enumerate(before):
        for earlier in found:
            followers[earlier].append(later)
    return followers


def _ranks(events: Sequence[Event], shift_ns: Callable[[Event], int] | None) -> list[tuple[int, str]]:
    """The time, without one that of the event before in the process, and the node's name."""
    times: list[int] = []
    for number, event in enumerate(events):
        inherited = times[-1] if number and events[number - 1].instance == event.instance else _NEVER
        shown = event.time_ns if event.time_ns is None or shift_ns is None else event.time_ns - shift_ns(event)
        times.append(inherited if shown is None else shown)
    return [(time, event.node) for time, event in zip(times, events, strict=True)]


def _peeled(before: Sequence[Sequence[int]], among: set[int]) -> set[int]:
    """What is left when everything that has nothing left before it has been taken away, again and again."""
    followers: dict[int, list[int]] = {number: [] for number in among}
    waiting = dict.fromkeys(among, 0)
    for later in among:
        for earlier in among.intersection(before[later]):
            followers[earlier].append(later)
            waiting[later] += 1
    ready = [number for number, count in waiting.items() if not count]
    while ready:
        for follower in followers[ready.pop()]:
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    return {number for number, count in waiting.items() if count}
