"""Pauses of a request: stretches of time in which no node told of anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from clusterlog.search.story.clocks import Clocks
from clusterlog.search.story.event import Event

GAP_NS = 50_000_000
"""A pause is told if it is longer than this and than a twentieth of the request."""
GAP_SHARE = 20


@dataclass(frozen=True, slots=True)
class Gap:
    """A pause without events before the entry of number ``place``; ``open`` are the events that end what was going on.

    ``inside`` is false for a pause after the response, in work that outlived it.
    """

    place: int
    length_ns: int
    open: tuple[Event, ...]
    inside: bool


def gaps(
    events: Sequence[Event], clocks: Clocks, root: Event | None, started_ns: int | None, duration_ns: int | None
) -> tuple[Gap, ...]:
    """The pauses between ``events``, which are in causal order; ``started_ns`` and ``duration_ns`` are the request's.

    Only times of clocks that are right, or corrected, are compared.
    """
    if started_ns is None or duration_ns is None:
        return ()
    last = next((number for number, event in enumerate(events) if event is root), len(events) - 1)
    times = [clocks.time_ns(event) for event in events]
    whole = max(duration_ns, *(time - started_ns for time in times if time is not None))
    found = []
    for number, latest, length in _silences(events, times, started_ns, clocks):
        inside = number <= last
        if length > GAP_NS and length * GAP_SHARE > (duration_ns if inside else whole):
            around = [other for other in events if _comparable(clocks, events[number], other)]
            found.append(Gap(number, length, _open(around, clocks, latest, length), inside))
    return tuple(found)


def _comparable(clocks: Clocks, one: Event, other: Event) -> bool:
    """Whether the shown times of two events can be compared: unless one of their clocks is known to be wrong."""
    if one.clock == other.clock:
        return clocks.clock(one).stepped_ns is None
    return not clocks.clock(one).wrong and not clocks.clock(other).wrong


def _silences(
    events: Sequence[Event], times: Sequence[int | None], started_ns: int, clocks: Clocks
) -> Iterator[tuple[int, int, int]]:
    """Where two neighbours can be compared: the number of the later, the latest time before it, and the time between.

    An event without a time may have happened at any moment between its neighbours, so nothing is said of those.
    """
    latest: int | None = started_ns
    before: Event | None = None
    for number, event in enumerate(events):
        time = times[number]
        if not (_comparable(clocks, before, event) if before is not None else not clocks.clock(event).wrong):
            latest = None
        if time is not None and latest is not None:
            yield number, latest, time - latest
            latest = max(latest, time)
        else:
            latest = time
        before = event


def _open(events: Iterable[Event], clocks: Clocks, begin: int, length: int) -> tuple[Event, ...]:
    """The events that end what went on for at least half of a pause: calls and steps before requests, short first."""
    found = []
    for event in events:
        time = clocks.time_ns(event)
        if event.kind == "line" or time is None or event.duration_ns is None:
            continue
        overlap = min(time, begin + length) - max(time - event.duration_ns, begin)
        if overlap * 2 >= length:
            found.append((event.kind == "access", event.duration_ns, event.id, event))
    return tuple(event for *_, event in sorted(found, key=lambda item: item[:3]))
