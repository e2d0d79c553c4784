"""What the order and the story of a request need to know of one stored document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from clusterlog.search.instant import instant

Kind = Literal["line", "access", "call", "span"]
Document = Mapping[str, Any]

_KINDS: dict[object, Kind] = {"clusterlog.access": "access", "clusterlog.call": "call", "clusterlog.span": "span"}
_SERVING = frozenset({"server", "consumer"})
_ERRORS = frozenset({"error", "critical", "fatal", "alert", "emergency"})
_LONGEST_NS = 10 * 365 * 86_400 * 1_000_000_000  # a span of more than ten years is a mistake, not a duration


@dataclass(frozen=True, slots=True)
class Event:
    """One document and its facts. Text that is missing or is no text is empty, other facts are ``None``.

    ``clock`` names what told the time: the host, as all its processes share one clock. ``span`` and ``parent`` are
    span ids; a call or span event has its own, every other event that of the work it belongs to. ``role`` is what a
    span of OpenTelemetry is to its parent: ``client``, ``server``, ``producer``, ``consumer``, ``internal``.
    ``request`` and ``trace`` are the ids that group events. Of an access event and a call, ``method`` and ``path`` are
    what was asked, the path of an access event without what differs from request to request where that is known;
    ``authority`` is whom a call asked.
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
    document: Document = field(repr=False)
    role: str = ""
    request: str = ""
    trace: str = ""
    method: str = ""
    path: str = ""
    authority: str = ""

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
        asked = self.role == "client" and self.outcome == "success"
        return self.kind == "span" and (self.status is not None or asked)

    @property
    def serves(self) -> bool:
        """Whether the event ends the work for somebody in another process, or what came in from outside."""
        return self.kind == "access" or self.role in _SERVING


def part(document: object, path: str) -> Any:
    """What stands at a dotted path of nested objects, or ``None``; whatever the document is made of."""
    for name in path.split("."):
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
    return _inner(document, "event").get("kind") == "state"


def read(document: Document) -> Event:
    """The facts of one document, which is any parsed JSON object; never raises, whatever a stranger put into it."""
    # Each inner object is looked up once: a request may have hundreds of thousands of events.
    told, process, service = _inner(document, "event"), _inner(document, "process"), _inner(document, "service")
    own, log, http = _inner(document, "clusterlog"), _inner(document, "log"), _inner(document, "http")
    kind = _KINDS.get(_text(told, "dataset"), "line")
    node, host = _text(_inner(service, "node"), "name"), _text(_inner(document, "host"), "name")
    instance = _text(process, "entity_id")
    span, parent = _text(_inner(document, "span"), "id"), _text(_inner(own, "parent"), "span_id")
    duration = _whole(told, "duration")
    request = _inner(http, "request")
    asks = kind == "access" or kind == "call"
    url = _inner(document, "url") if asks else _NOTHING
    return Event(
        id=_text(told, "id") or f"unnumbered-{hashlib.sha256(content(document).encode()).hexdigest()[:16]}",
        kind=kind,
        instance=instance,
        sequence=_whole(told, "sequence"),
        time_ns=instant(document.get("@timestamp")),
        node=node or host or "?",
        service=_text(service, "name"),
        clock=host or node or instance,
        span=span,
        parent=parent if parent != span else "",
        duration_ns=duration if duration is not None and 0 <= duration <= _LONGEST_NS else None,
        level=_text(log, "level").lower(),
        logger=_text(log, "logger"),
        outcome=_text(told, "outcome"),
        status=None if kind == "line" else _status(kind, own, http),
        document=document,
        role=_text(_inner(own, "span"), "kind") if kind == "span" else "",
        request=_text(request, "id"),
        trace=_text(_inner(document, "trace"), "id"),
        method=_text(request, "method") if asks else "",
        path=(kind == "access" and _text(own, "route")) or _text(url, "path"),
        authority=_authority(url) if kind == "call" else "",
    )


_NOTHING: Document = {}


def _inner(document: Document, name: str) -> Document:
    found = document.get(name)
    return found if isinstance(found, dict) else _NOTHING


def _text(document: Document, name: str) -> str:
    found = document.get(name)
    return found if isinstance(found, str) else ""


def _whole(document: Document, name: str) -> int | None:
    found = document.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def content(document: Document) -> str:
    """The document as text that is the same for the same content."""
    return json.dumps(document, sort_keys=True, default=repr)


def method_and_route(event: Event) -> str:
    """What an access event was asked: ``GET /orders/{id}``."""
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
    by_kind = {"access": method_and_route, "call": request_line}.get(event.kind)
    return (by_kind(event) if by_kind else "") or text(event.document, "message") or event.logger


def _authority(url: Document) -> str:
    domain, port = _text(url, "domain"), _whole(url, "port")
    if domain:
        domain = f"[{domain}]" if ":" in domain and not domain.startswith("[") else domain
        return f"{domain}:{port}" if port is not None else domain
    _, found, rest = _text(url, "full").partition("://")
    return rest.split("/", 1)[0].rpartition("@")[2] if found else ""


def _status(kind: Kind, own: Document, http: Document) -> int | None:
    if kind == "access":
        return _whole(_inner(http, "response"), "status_code")
    return _whole(_inner(own, "call"), "status_code")
