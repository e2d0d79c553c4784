"""The documents of one request, byte for byte as they were stored, in causal order."""

from __future__ import annotations

from collections.abc import Iterator

from clusterlog.search.story.event import read
from clusterlog.search.story.journey import Journey
from clusterlog.store.base import Store
from clusterlog.store.document import parse
from clusterlog.store.query import Match, Node, Or, Query


def documents(store: Store, journey: Journey) -> Iterator[bytes]:
    """The bytes behind each entry of a request that was put together from what ``store`` holds."""
    requests = dict.fromkeys(entry.event.request for entry in journey.entries if entry.event.request)
    traces = dict.fromkeys(
        entry.event.trace for entry in journey.entries if entry.event.trace and not entry.event.request
    )
    asked: list[Node] = [Match("http.request.id", each) for each in requests]
    asked += [Match("trace.id", each) for each in traces]
    wanted = {entry.event.id: entry.event.document for entry in journey.entries}
    stored: dict[str, bytes] = {}
    for found in store.find(Query(Or(tuple(asked)), order="oldest", limit=None)):
        event = read(parse(found.body))
        if event.document == wanted.get(event.id):
            stored[event.id] = found.body
    for entry in journey.entries:
        yield stored[entry.event.id]
