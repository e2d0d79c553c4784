"""What the order and the story of a request need to know of one stored document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from clusterlog.search.instant import instant

Kind = Literal["line", "access", "call", "span"]
Document = Mapping[str, Any]

_KINDS: dict[object, Kind] = {"clusterlog.access": "access", "clusterlog.call": "call", "clusterlog.span": "span"}
_EDGE = "clusterlog.edge"
_SERVING = frozenset({"server", "consumer"})
_ERRORS = frozenset({"error", "critical", "fatal", "alert", "emergency"})
_LONGEST_NS = 10 * 365 * 86_400 * 1_000_000_000  # a span of more than ten years is a mistake, not a duration


class Event(NamedTuple):  # made hundreds of thousands of times for one request: a tenth of a frozen dataclass's cost
    """One document and its facts. Text that is missing or is no text is empty, other facts are ``None``.

    ``clock`` names what told the time: the host, as all its processes share one clock. ``span`` and ``parent`` are
    span ids; a call or span event has its own, every other event that of the work it belongs to. ``role`` is what a
    span of OpenTelemetry is to its parent: ``client``, ``server``, ``producer``, ``consumer``, ``internal``; it is
    ``edge`` of what a balancer tells, which names the node it chose as its own: here ``node`` is the balancer's host.
    ``request`` and ``trace`` are the ids that group events. Of what serves somebody and of a call, ``method`` and
    ``path`` are what was asked, the path as a route where that is known; ``authority`` is whom a call asked. ``late``:
    it was kept by a flight recorder and written later, and its place is behind the event with this number.
    """

    id: str
    kind: Kind
    instance: str
    sequence: int | None
    time_ns: int | None
    node: str
    service: str
    clock: str
    span: str
    parent: str
    duration_ns: int | None
    level: str
    logger: str
    outcome: str
    status: int | None
    document: Document
    role: str = ""
    request: str = ""
    trace: str = ""
    method: str = ""
    path: str = ""
    authority: str = ""
    late: int | None = None

    @property
    def started_ns(self) -> int | None:
        """When what the event ends began; for a line, when it was logged."""
        if self.time_ns is None or self.duration_ns is None:
            return self.time_ns
        return self.time_ns - self.duration_ns

    @property
    def failed(self) -> bool:
        """Whether the event says that what it is about went wrong."""
        return self.outcome == "failure" or (self.status is not None and self.status >= 500)

    @property
    def is_error(self) -> bool:
        """Whether a search for the first error stops here."""
        return self.level in _ERRORS or (self.kind != "line" and self.failed)

    @property
    def answered(self) -> bool:
        """Whether whoever was asked gave an answer, so that what it did for it lies before this event."""
        if self.kind == "call":
            return self.status is not None or self.outcome == "success"
        if self.kind == "access":
            return self.is_edge and whole(self.document, "clusterlog.call.status_code") is not None
        asked = self.role == "client" and self.outcome == "success"
        return self.kind == "span" and (self.status is not None or asked)

    @property
    def is_edge(self) -> bool:
        """Whether a balancer tells of a request that it has passed on."""
        return self.role == "edge"

    @property
    def serves(self) -> bool:
        """Whether the event ends the work for somebody in another process, or what came in from outside."""
        return self.kind == "access" or self.role in _SERVING


_names = lru_cache(maxsize=1024)(str.split)
"""The names in a dotted path; there are few paths, and they are asked of every event."""


def part(document: object, path: str) -> Any:
    """What stands at a dotted path of nested objects, or ``None``; whatever the document is made of."""
    for name in _names(path, "."):
        if not isinstance(document, dict):  # the abstract Mapping would cost as much as all the rest
            return None
        document = document.get(name)
    return document


def text(document: object, path: str) -> str:
    """The text at a path; empty if there is none."""
    found = part(document, path)
    return found if isinstance(found, str) else ""


def whole(document: object, path: str) -> int | None:
    """The integer at a path, or ``None``; a truth value is none."""
    found = part(document, path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def is_state(document: Document) -> bool:
    """Whether a document tells of a process and not of what it did for a request."""
    told = document.get("event")
    return isinstance(told, dict) and told.get("kind") == "state"


def read(document: Document) -> Event:
    """The facts of one document, which is any parsed JSON object; never raises, whatever a stranger put into it."""
    try:
        return _plain(document)
    except (AttributeError, TypeError):
        return _plain(_tidied(document))._replace(document=document)


def _plain(document: Document) -> Event:
    """The facts of a document whose objects are objects and whose texts are texts; raises where they are not."""
    # A request may have hundreds of thousands of events: each object is looked up once, and types are checked at once.
    told, own, http = document.get("event", _NONE), document.get("clusterlog", _NONE), document.get("http", _NONE)
    service, log, request = document.get("service", _NONE), document.get("log", _NONE), http.get("request", _NONE)
    kind = _KINDS.get(told.get("dataset"), "line")
    host = document.get("host", _NONE).get("name", "")
    node = service.get("node", _NONE).get("name", "") or host
    instance = document.get("process", _NONE).get("entity_id", "")
    span, parent = document.get("span", _NONE).get("id", ""), own.get("parent", _NONE).get("span_id", "")
    method = path = authority = role = ""
    status = None
    if kind == "line" and span and told.get("dataset") == _EDGE:
        kind, role, node = "access", "edge", host or service.get("name", "")
    if kind == "access":
        method, path = request.get("method", ""), own.get("route", "") or document.get("url", _NONE).get("path", "")
        status = _whole(http.get("response", _NONE), "status_code")
    elif kind != "line":
        role = own.get("span", _NONE).get("kind", "") if kind == "span" else ""
        status = _whole(own.get("call", _NONE), "status_code")
        if role in _SERVING:
            method, path, status = _served(document.get("labels", _NONE))
        if kind == "call":
            url = document.get("url", _NONE)
            method, path, authority = request.get("method", ""), url.get("path", ""), _authority(url)
    event = Event(
        id=told.get("id", "") or f"unnumbered-{hashlib.sha256(content(document).encode()).hexdigest()[:16]}",
        kind=kind,
        instance=instance,
        sequence=_whole(told, "sequence"),
        time_ns=instant(document.get("@timestamp")),
        node=node or "?",
        service=service.get("name", ""),
        clock=host or node or instance,
        span=span,
        parent=parent if parent != span else "",
        duration_ns=_length(told),
        level=log.get("level", "").lower(),
        logger=log.get("logger", ""),
        outcome=told.get("outcome", ""),
        status=status,
        document=document,
        role=role,
        request=request.get("id", ""),
        trace=document.get("trace", _NONE).get("id", ""),
        method=method,
        path=path,
        authority=authority,
        late=_whole(own["recorded"], "after") if "recorded" in own else None,
    )
    _joined(event.id, instance, event.node, event.service, host, span, parent, event.level, event.logger)
    _joined(event.outcome, role, event.request, event.trace, method, path, authority)
    return event


def _served(labels: Document) -> tuple[str, str, int | None]:
    """Method, route or path, and status that a server's span has among its attributes, by their newer or older names.

    Source: OpenTelemetry's semantic conventions for HTTP.
    """
    method = labels.get("http.request.method") or labels.get("http.method")
    path = labels.get("http.route") or labels.get("url.path") or labels.get("http.target")
    status = _whole(labels, "http.response.status_code")
    return (
        method if isinstance(method, str) else "",
        path.partition("?")[0] if isinstance(path, str) else "",
        _whole(labels, "http.status_code") if status is None else status,
    )


def _joined(*texts: str) -> None:
    """Raise TypeError if one of them is none: one call for all is the cheapest check there is."""
    _EMPTY.join(texts)


_EMPTY = ""
_NONE: Document = {}
_OBJECTS = ("event", "clusterlog", "http", "service", "log", "host", "process", "span", "trace", "url", "labels")
_INNER = {
    "clusterlog": ("parent", "span", "call"),
    "http": ("request", "response"),
    "service": ("node",),
}
_TEXTS = {
    "event": ("id", "outcome", "dataset"),
    "clusterlog": ("route",),
    "service": ("name",),
    "log": ("level", "logger"),
    "host": ("name",),
    "process": ("entity_id",),
    "span": ("id",),
    "trace": ("id",),
    "url": ("path", "domain", "full"),
    "parent": ("span_id",),
    "node": ("name",),
    "request": ("id", "method"),
    "own span": ("kind",),
}


def _tidied(document: Document) -> Document:
    """What of a document is of the type that facts are read by."""
    tidy: dict[str, Any] = {"@timestamp": document.get("@timestamp")}
    for name in _OBJECTS:
        tidy[name] = _object(name, document.get(name))
    return tidy


def _object(name: str, found: object) -> Document:
    if not isinstance(found, dict):
        return _NONE
    texts, inner = _TEXTS.get(name, ()), _INNER.get(name, ())
    kept = {key: value for key, value in found.items() if key not in texts or isinstance(value, str)}
    return kept | {key: _object(key if key != "span" else "own span", kept.get(key)) for key in inner}


def _length(told: Document) -> int | None:
    length = _whole(told, "duration")
    return length if length is not None and 0 <= length <= _LONGEST_NS else None


def _whole(document: Document, name: str) -> int | None:
    found = document.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def content(document: Document) -> str:
    """The document as text that is the same for the same content."""
    return json.dumps(document, sort_keys=True, default=repr)


def method_and_route(event: Event) -> str:
    """What somebody was asked who served a request: ``GET /orders/{id}``."""
    return f"{event.method} {event.path}".strip()


def target(event: Event) -> str:
    """Whom a call asked: ``payments:8003``, ``bank.example``; empty if the event does not say."""
    return event.authority


def request_line(event: Event) -> str:
    """What a call asked: ``POST http://payments:8003/charge``."""
    url = text(event.document, "url.full")
    if not url:
        scheme = text(event.document, "url.scheme")
        url = (f"{scheme}://" if scheme else "") + event.authority + event.path
    return f"{event.method} {url}".strip()


def name(event: Event) -> str:
    """What a person calls the work an event ends: its route, its target or the name of its step."""
    asked = request_line(event) if event.kind == "call" else method_and_route(event)
    message = event.document.get("message")
    return asked or (message if isinstance(message, str) else "") or event.logger


def _authority(url: Document) -> str:
    domain, port = url.get("domain", ""), _whole(url, "port")
    if not isinstance(domain, str):
        return ""
    if domain:
        domain = f"[{domain}]" if ":" in domain and not domain.startswith("[") else domain
        return f"{domain}:{port}" if port is not None else domain
    _, found, rest = url.get("full", "").partition("://")
    return rest.split("/", 1)[0].rpartition("@")[2] if found else ""
