"""Files into which several processes wrote, and what their numbers are worth.

An ingested file is one instance, and its lines are numbered as they lie there. Where a collector has written it for
several processes, that is the order of their arrival: it tells neither who did what nor what came first.
"""

from __future__ import annotations

from collections.abc import Sequence

from clusterlog.search.story.event import Event, part

_ORDERLESS = frozenset({"bulk", "otlp", "syslog"})
"""Formats whose writers send in batches, several at a time or what has ended: not even the events of one process lie in
the order they happened. No more do what balancers tell, whatever way it came."""


def taken_apart(events: Sequence[Event]) -> list[Event]:
    """The events with an instance for each process of a merged file, and no numbers that mean nothing.

    Nothing else has one instance and several nodes or services.
    """
    origins: dict[str, set[tuple[str, str]]] = {}
    for event in events:
        if event.instance:
            origins.setdefault(event.instance, set()).add((event.service, event.node))
    merged = {instance for instance, found in origins.items() if len(found) > 1}
    return [_alone(event, event.instance in merged) for event in events]


def _alone(event: Event, merged: bool) -> Event:
    if merged:
        return event._replace(instance=f"{event.instance}:{event.service}@{event.node}", sequence=None)
    if event.is_edge or part(event.document, "clusterlog.ingest.format") in _ORDERLESS:
        return event._replace(sequence=None)
    return event
