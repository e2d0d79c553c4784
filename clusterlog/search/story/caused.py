"""What else a request has caused: events of its traces that carry another request id, or none.

A service that only OpenTelemetry follows hands on the trace and no request id, so that the next one makes a new id.
The spans know better: whose parents lead up to a span of the request belongs to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from clusterlog.search.story.event import Document, Event, read


def caused(known: Sequence[Document], others: Iterable[Document]) -> list[Document]:
    """Those of ``others``, events of the same traces, that are of a request that ``known`` has caused, or of no id.

    The events of one id belong together; where they are in a span of ``known``, or tell of it once more, they are no
    consequence of it.
    """
    events = [read(document) for document in known]
    ids, requests = {event.id for event in events}, {event.request for event in events if event.request}
    spans = {event.span for event in events if event.span}
    told = {event.span for event in events if event.kind != "line" and event.span}
    groups: dict[str, list[Event]] = defaultdict(list)
    for event in map(read, others):
        if event.id not in ids and event.request not in requests:
            # What has no id belongs to its span alone, or else to the span that caused it.
            groups[f"request {event.request}" if event.request else f"span {event.span or event.parent}"].append(event)
    apart = {
        name: group
        for name, group in groups.items()
        if told.isdisjoint(event.span for event in group if event.kind != "line")
        and (not group[0].request or spans.isdisjoint(event.span for event in group))
    }
    reached = _reached(spans, apart)
    return [event.document for name in reached for event in groups[name]]


def _reached(spans: set[str], groups: dict[str, list[Event]]) -> list[str]:
    """The names of the groups that have a parent among ``spans``, or among the spans of such a group."""
    of_parent: dict[str, list[str]] = defaultdict(list)
    for name, group in groups.items():
        for cause in {event.parent for event in group} | {event.span for event in group}:
            if cause:
                of_parent[cause].append(name)
    found: dict[str, None] = {}
    waiting = list(spans)
    while waiting:
        for name in of_parent.get(waiting.pop(), ()):
            if name not in found:
                found[name] = None
                waiting += {event.span for event in groups[name] if event.span}
    return list(found)
