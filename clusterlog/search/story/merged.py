"""What the numbers of events are worth: where several processes wrote into one file, and of what was written late.

An ingested file is one instance, and its lines are numbered as they lie there. Where a collector has written it for
several processes, that is the order of their arrival: it tells neither who did what nor what came first.

What a flight recorder kept has the number of the moment at which it was written, and beside it that of the event it
came after: that is its place.
"""

from __future__ import annotations

from collections.abc import Sequence

from clusterlog.search.story.event import Event, part, whole

_ORDERLESS = frozenset({"bulk", "otlp", "syslog"})
"""Formats whose writers send in batches, several at a time or what has ended: not even the events of one process lie in
the order they happened. No more do what balancers tell, whatever way it came."""

_ROOM = 1 << 24
"""So many events may come between the line that was kept and the moment it was written, and its place is exact."""


def taken_apart(events: Sequence[Event]) -> list[Event]:
    """The events with an instance for each process of a merged file, and no numbers that mean nothing.

    Nothing else has one instance and several nodes or services.
    """
    origins: dict[str, set[tuple[str, str]]] = {}
    for event in events:
        if event.instance:
            origins.setdefault(event.instance, set()).add((event.service, event.node))
    merged = {instance for instance, found in origins.items() if len(found) > 1}
    alone = [_alone(event, event.instance in merged) for event in events]
    late = {event.instance for event in alone if _after(event) is not None}
    return [_placed(event) for event in alone] if late else alone


def _alone(event: Event, merged: bool) -> Event:
    if merged:
        return event._replace(instance=f"{event.instance}:{event.service}@{event.node}", sequence=None)
    if event.is_edge or part(event.document, "clusterlog.ingest.format") in _ORDERLESS:
        return event._replace(sequence=None)
    return event


def _after(event: Event) -> int | None:
    """The number that an event written late came after; of another life of its process it says nothing."""
    own = event.document.get("clusterlog")
    if event.sequence is None or not isinstance(own, dict) or "recorded" not in own:
        return None
    after = whole(own, "recorded.after")
    return after if after is not None and 0 <= after < event.sequence else None


def _placed(event: Event) -> Event:
    """The event with room between any two numbers, and in it what belongs there, in the order it was written in."""
    if event.sequence is None:
        return event
    after = _after(event)
    if after is None:
        return event._replace(sequence=event.sequence * _ROOM)
    return event._replace(sequence=after * _ROOM + min(event.sequence - after, _ROOM - 1))
