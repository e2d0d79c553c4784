"""Errors by what they are: one group for each fault, however often it occurred and wherever."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from clusterlog.search.instant import rfc3339
from clusterlog.search.story.event import Event, read, text
from clusterlog.search.template import template
from clusterlog.store.base import Store
from clusterlog.store.document import parse
from clusterlog.store.query import And, Everything, Exists, Match, Node, Not, Or, Query

SCHEMA = "clusterlog.errors/1"

_FINGERPRINT = "clusterlog.error.fingerprint"
_LEVELS = ("alert", "critical", "emergency", "error", "fatal")
IS_ERROR: Node = And(
    (
        Or((Exists(_FINGERPRINT), Exists("error.type"), *(Match("log.level", level) for level in _LEVELS))),
        Not(Match("event.kind", "state")),
    )
)
"""An event with an exception, at whatever level, or at level error and above."""

Sort = Literal["cause", "last", "first", "events", "requests"]
Watch = Callable[[int], None]
"""Called with the number of events that were looked at so far."""


@dataclass(slots=True)
class Group:
    """One fault. ``id`` is the fingerprint of its exception; where there is none, one of type, logger and template.

    ``example`` is its newest event. Times are nanoseconds since the epoch: ``first_ns`` of the first occurrence in all
    the store, which may lie before the times that were asked for; ``last_ns`` and all counts are of those.
    ``causes`` counts the requests whose first error it was, of all that were told in those times and by recorded times.
    """

    id: str
    example: Event
    first_ns: int
    last_ns: int
    events: int = 0
    causes: int = 0
    request: str = ""
    nodes: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=set)
    requests: set[str] = field(default_factory=set, repr=False)

    @property
    def fingerprint(self) -> str:
        """That of the exception; empty where there is none."""
        return text(self.example.document, _FINGERPRINT)

    @property
    def type(self) -> str:
        """Type of the exception; empty where there is none."""
        return text(self.example.document, "error.type")

    @property
    def message(self) -> str:
        """What the exception says, else the event."""
        return text(self.example.document, "error.message") or text(self.example.document, "message")

    @property
    def template(self) -> str:
        """What the event says with its values left out, and how an answer or a call ended."""
        return _template(self.example)


def errors(
    store: Store, query: Query, *, sort: Sort = "cause", only_new: bool = False, watch: Watch = lambda seen: None
) -> list[Group]:
    """The faults among the events of ``query``; ``query.limit`` counts groups.

    ``sort`` says what comes first: what was the first error of a request (or belongs to none) before what followed from
    it, of both the latest; or the latest seen, the latest begun, what has most events or requests. ``only_new``: those
    that never occurred before ``query.since``.
    """
    groups = _grouped(store, query, watch)
    known = only_new or sort == "first"
    if known:
        _look_back(store, groups, query)
    if only_new:
        groups = [group for group in groups if query.since is None or group.first_ns >= query.since]
    shown = sorted(groups, key=_order(sort), reverse=True)[: query.limit]
    if not known:
        _look_back(store, shown, query)
    return shown


def _order(sort: Sort) -> Callable[[Group], tuple[int, int, str]]:
    keys: dict[Sort, Callable[[Group], int]] = {
        "cause": lambda group: bool(group.causes) or not group.requests,
        "last": lambda group: group.last_ns,
        "first": lambda group: group.first_ns,
        "events": lambda group: group.events,
        "requests": lambda group: len(group.requests),
    }
    return lambda group: (keys[sort](group), group.last_ns, group.id)


def _grouped(store: Store, query: Query, watch: Watch) -> list[Group]:
    """Every group of the query's events; ``first_ns`` is the first of these as yet."""
    groups: dict[str, Group] = {}
    began: dict[str, str] = {}
    asked = replace(query.narrowed(IS_ERROR), order="newest", limit=None)
    for number, found in enumerate(store.find(asked), 1):
        watch(number)
        event, time = read(parse(found.body)), found.key[0]
        identity = group_id(event)
        group = groups.setdefault(identity, Group(identity, event, time, time))
        group.events += 1
        group.first_ns = time
        group.nodes.add(event.node)
        if event.service:
            group.services.add(event.service)
        request = text(event.document, "http.request.id")
        if request:
            group.request = group.request or request
            group.requests.add(request)
            began[request] = identity  # newest first: the last one stays
    if not isinstance(query.where, Everything):
        _look_at_others(store, query, began)
    for request, identity in began.items():
        if identity in groups and request in groups[identity].requests:
            groups[identity].causes += 1
    return list(groups.values())


def _look_at_others(store: Store, query: Query, began: dict[str, str]) -> None:
    """Correct with which fault each request began: perhaps with one that was not asked for."""
    if not began:
        return
    for found in store.find(Query(IS_ERROR, query.since, query.until, order="newest", limit=None)):
        event = read(parse(found.body))
        request = text(event.document, "http.request.id")
        if request in began:
            began[request] = group_id(event)


def group_id(event: Event) -> str:
    """What the events of one fault have in common: 16 hex digits.

    The fingerprint of the exception; else a hash of its type, the logger and the template. Our own loggers, which
    every service has, are told apart by the service.
    """
    fingerprint = text(event.document, _FINGERPRINT)
    if fingerprint:
        return fingerprint
    service = "" if event.kind == "line" else event.service
    named = (text(event.document, "error.type"), service, event.logger, _template(event))
    return hashlib.blake2b("\0".join(named).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _template(event: Event) -> str:
    if event.kind not in ("access", "call"):
        return template(event)
    ended = str(event.status) if event.status is not None else text(event.document, "event.reason") or "failed"
    return f"{template(event)} {ended}"


def _look_back(store: Store, groups: Iterable[Group], query: Query) -> None:
    """Find out when each of them occurred first, before the times that were asked for."""
    if query.since is None:
        return
    for group in groups:
        earlier = store.find(Query(_alike(group.example), until=query.since, order="oldest", limit=None))
        for found in earlier:
            if group_id(read(parse(found.body))) == group.id:
                group.first_ns = found.key[0]
                break


def _alike(event: Event) -> Node:
    """What every event of a group fulfils, and as few others as a query can tell apart."""
    fingerprint = text(event.document, _FINGERPRINT)
    if fingerprint:
        return Match(_FINGERPRINT, fingerprint)
    fields = ["error.type", "log.logger"]
    if event.kind != "line":
        fields += ["event.dataset", "service.name", "http.request.method", "clusterlog.route"]
    elif text(event.document, "clusterlog.template") != text(event.document, "message"):
        fields.append("clusterlog.template")
    told = {field: text(event.document, field) for field in fields}
    return And(
        (
            IS_ERROR,
            Not(Exists(_FINGERPRINT)),
            *(Match(field, value) if value else Not(Exists(field)) for field, value in told.items()),
        )
    )


def document(group: Group) -> dict[str, Any]:
    """A group for machines, as ``clusterlog.errors/1`` holds them."""
    return {
        "id": group.id,
        "fingerprint": group.fingerprint or None,
        "type": group.type or None,
        "message": group.message,
        "logger": group.example.logger or None,
        "template": group.template,
        "level": group.example.level or None,
        "events": group.events,
        "requests": len(group.requests),
        "causes": group.causes,
        "first": _written(group.first_ns),
        "last": _written(group.last_ns),
        "nodes": sorted(group.nodes),
        "services": sorted(group.services),
        "example": {"request": group.request or None, "event": group.example.id},
    }


def _written(ns: int) -> str | None:
    try:
        return rfc3339(ns)
    except OverflowError:
        return None
