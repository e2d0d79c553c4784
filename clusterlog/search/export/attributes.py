"""What an event says, as attributes of OpenTelemetry: its fields by dotted names, the caller's own by theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from clusterlog.search.story.event import Document, text

RESOURCE = {
    "service.name": "service.name",
    "service.version": "service.version",
    "service.environment": "deployment.environment.name",
    "service.node.name": "service.node.name",
    "process.entity_id": "service.instance.id",
    "process.pid": "process.pid",
    "host.name": "host.name",
}
"""Fields of the process that told an event, and the names that OpenTelemetry's semantic conventions have for them."""

_NAMES = {
    "clusterlog.call.status_code": "http.response.status_code",
    "clusterlog.route": "http.route",
    "http.response.body.bytes": "http.response.body.size",
    "url.domain": "server.address",
    "url.port": "server.port",
}
"""Fields that have another name there (Semantic Conventions 1.37: HTTP, general attributes, log records)."""

_TOLD = frozenset(
    """
    @timestamp clusterlog.parent.span_id clusterlog.span.events clusterlog.span.kind clusterlog.span.links
    clusterlog.span.scope ecs.version error.message error.stack_trace error.type event.dataset event.duration event.kind
    event.outcome log.level log.logger message span.id trace.id
    """.split()
)
"""What spans and log records have members of their own for."""

_DEPTH = 20


def attributes(document: Document) -> list[dict[str, Any]]:
    """Every field of an event that a span or a log record has no other place for.

    A field of the caller's own that is called like one of these keeps its ``labels.`` in front.
    """
    found: dict[str, Any] = {}
    labels = document.get("labels")
    for name, value in _leaves({key: each for key, each in document.items() if key != "labels"}, ""):
        if name not in _TOLD and name not in RESOURCE:
            found[_NAMES.get(name, name)] = value
    for name, value in labels.items() if isinstance(labels, dict) else ():
        found[name if name not in found else f"labels.{name}"] = value
    return keyed(found)


def resource(document: Document) -> list[dict[str, Any]]:
    """What is said of the process that told an event."""
    told = dict(_leaves(document, ""))
    return keyed({name: told[field] for field, name in RESOURCE.items() if field in told})


def exception(document: Document) -> list[dict[str, Any]]:
    """The exception of an event; empty if there is none."""
    fields = {"type": "error.type", "message": "error.message", "stacktrace": "error.stack_trace"}
    return keyed({f"exception.{name}": told for name, field in fields.items() if (told := text(document, field))})


def keyed(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Names and values as ``KeyValue`` messages."""
    return [{"key": name, "value": any_value(value)} for name, value in values.items() if name]


def any_value(value: Any, depth: int = 0) -> dict[str, Any]:
    """A JSON value as an ``AnyValue``: 64-bit integers as text, larger ones and what lies too deep as a string."""
    match value:
        case bool():
            return {"boolValue": value}
        case str():
            return {"stringValue": value.encode("utf-8", "replace").decode()}
        case int():
            return {"intValue": str(value)} if -(1 << 63) <= value < 1 << 63 else {"stringValue": str(value)}
        case float():
            return {"doubleValue": value}
        case None:
            return {}
        case list() if depth < _DEPTH:
            return {"arrayValue": {"values": [any_value(each, depth + 1) for each in value]}}
        case dict() if depth < _DEPTH:
            members = [{"key": str(name), "value": any_value(each, depth + 1)} for name, each in value.items()]
            return {"kvlistValue": {"values": members}}
    return {"stringValue": json.dumps(value, ensure_ascii=False, default=str)}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Dotted names and values; lists are values."""
    stack = [(path, value)]
    while stack:
        at, each = stack.pop()
        if isinstance(each, dict) and each:
            stack += [(f"{at}.{name}" if at else str(name), inner) for name, inner in reversed(each.items())]
        elif each is not None and not isinstance(each, dict):
            yield at, each
