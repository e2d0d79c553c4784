"""Requests as rows: who asked what, where it was, how it ended, found by the events of it that match a question."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Literal, NamedTuple

from clusterlog.search.story.event import Document, Event, is_state, text
from clusterlog.search.story.journey import Outcome, journey
from clusterlog.store.base import Store
from clusterlog.store.document import parse
from clusterlog.store.predicate import matches
from clusterlog.store.query import Match, Node, Or, Query

SCHEMA = "clusterlog.requests/1"
LEVELS = ("debug", "info", "warning", "error", "critical")

Sort = Literal["time", "duration", "events"]
Watch = Callable[[int], None]
"""Called with the number of events of the question that were looked at so far."""

_BATCH = 64
"""Requests that are asked for at once; the first time fewer, so that a first page is there at once."""
_ID = "http.request.id"


@dataclass(frozen=True, slots=True)
class Summary:
    """One request as a whole, as ``trace`` tells it; ``matching`` of its ``events`` were asked for.

    ``level`` is the worst of its events. ``users`` and ``sessions`` are hashes, in order of mention, ``nodes`` are in
    order of appearance, the one that answered first of all. What is not known is ``None`` or empty.
    """

    id: str
    trace_ids: tuple[str, ...]
    started_ns: int | None
    started: str
    duration_ns: int | None
    method: str
    route: str
    status: int | None
    outcome: Outcome
    level: str
    users: tuple[str, ...]
    sessions: tuple[str, ...]
    nodes: tuple[str, ...]
    services: tuple[str, ...]
    events: int
    matching: int


class Page(NamedTuple):
    """Requests in order, and whether there are ``more`` than the limit has let through."""

    rows: list[Summary]
    more: bool


def requests(
    store: Store, query: Query, of: Sequence[Node] = (), *, sort: Sort = "time", watch: Watch = lambda seen: None
) -> Page:
    """The requests that have an event matching ``query``, and one matching each of ``of``, in the query's times.

    ``query.limit`` counts requests. By time those are the newest by their last event asked for, oldest begin first;
    by duration or number of events those with most of it in all the store, most last.
    """
    found = matching(store, query, of, watch)
    if sort == "time":
        newest = list(islice(found, query.limit))
        return Page(sorted(newest, key=_by_time), next(found, None) is not None)
    key = _by_duration if sort == "duration" else _by_events
    if query.limit is None:
        return Page(sorted(found, key=key), False)
    most = heapq.nlargest(query.limit + 1, found, key=key)
    return Page(most[query.limit - 1 :: -1] if query.limit else [], len(most) > query.limit)


def _by_time(row: Summary) -> tuple[int, str]:
    return (-1 if row.started_ns is None else row.started_ns), row.id


def _by_duration(row: Summary) -> tuple[int, str]:
    return (-1 if row.duration_ns is None else row.duration_ns), row.id


def _by_events(row: Summary) -> tuple[int, str]:
    return row.events, row.id


def matching(
    store: Store, query: Query, of: Sequence[Node] = (), watch: Watch = lambda seen: None
) -> Iterator[Summary]:
    """As ``requests``, lazily and without a limit: newest event asked for first."""
    led = replace(query, where=of[0]) if of else query
    ids = _ids(store, led, watch)
    size = 8
    while batch := list(islice(ids, size)):
        size = _BATCH
        for documents, asked in _whole(store, batch, query, of):
            count = sum(found[-1] for found in asked)
            if count and all(map(any, zip(*asked, strict=True))):
                yield summary(documents, count)


def _ids(store: Store, led: Query, watch: Watch) -> Iterator[str]:
    """Every request id, once, in the order of the newest event that leads to it."""
    seen: set[str] = set()
    for number, found in enumerate(store.find(replace(led, order="newest", limit=None)), 1):
        watch(number)
        request = text(parse(found.body), _ID)
        if request and request not in seen:
            seen.add(request)
            yield request


def _whole(
    store: Store, ids: Sequence[str], query: Query, of: Sequence[Node]
) -> Iterator[tuple[list[Document], list[tuple[bool, ...]]]]:
    """All documents of these requests, and for each which conditions it fulfils: those of ``of``, then the query's.

    What the store says of a condition the reference evaluator says as well: that asks it no second time.
    """
    documents: dict[str, list[Document]] = {request: [] for request in ids}
    asked: dict[str, list[tuple[bool, ...]]] = {request: [] for request in ids}
    whole = Query(Or(tuple(Match(_ID, request) for request in ids)), order="oldest", limit=None)
    for found in store.find(whole):
        event = parse(found.body)
        request = text(event, _ID)
        if request not in documents or is_state(event):
            continue
        inside = (query.since is None or query.since <= found.key[0]) and (
            query.until is None or found.key[0] < query.until
        )
        documents[request].append(event)
        asked[request].append(tuple(inside and matches(node, event) for node in (*of, query.where)))
    for request in ids:
        if documents[request]:
            yield documents[request], asked[request]


def summary(documents: Iterable[Document], matching: int) -> Summary:
    """One request's row, of all its documents. Raises ``NotFound`` where none of them tells of a request."""
    told = journey(documents)
    events = [entry.event for entry in told.entries]
    levels = Counter(event.level for event in events)
    return Summary(
        id=told.id,
        trace_ids=told.trace_ids,
        started_ns=told.started_ns,
        started=told.started,
        duration_ns=told.duration_ns,
        method=told.method,
        route=told.route,
        status=told.status,
        outcome=told.outcome,
        level=next((level for level in reversed(LEVELS) if levels[level]), ""),
        users=_mentioned(events, "user.hash"),
        sessions=_mentioned(events, "clusterlog.session.hash"),
        nodes=tuple(dict.fromkeys((told.root.node, *told.nodes) if told.root else told.nodes)),
        services=told.services,
        events=len(events),
        matching=matching,
    )


def _mentioned(events: Iterable[Event], path: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (text(event.document, path) for event in events))))


def document(row: Summary) -> dict[str, Any]:
    """A row for machines, as ``clusterlog.requests/1`` holds them."""
    told = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(row).items()}
    del told["started_ns"]
    for name in ("started", "method", "route", "level"):
        told[name] = told[name] or None
    return told
