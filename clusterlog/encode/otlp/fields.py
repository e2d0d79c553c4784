"""Which field of an event is called what by OpenTelemetry, and how fields and labels are told apart there. Pure.

An attribute is one flat name. Fields of an event keep their dotted ECS name, or get the one that the semantic
conventions have; the caller's own labels keep theirs. Where a label's name would be read as a field, ``labels.`` stands
in front of it, and ``field.`` where a field's name would be read as a label or as another field: so each finds back to
its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from clusterlog.encode.facts import TOPS

RESOURCE: Mapping[str, str] = {
    "service.name": "service.name",
    "service.version": "service.version",
    "service.environment": "deployment.environment.name",
    "service.node.name": "service.node.name",
    "process.entity_id": "service.instance.id",
    "process.pid": "process.pid",
    "host.name": "host.name",
    "ecs.version": "ecs.version",
}
"""Fields of the process that told an event, and the names that OpenTelemetry's semantic conventions have for them."""

UID = "log.record.uid"
"""What the conventions call the id of a log record."""
EXCEPTION: Mapping[str, str] = {
    "error.type": "exception.type",
    "error.message": "exception.message",
    "error.stack_trace": "exception.stacktrace",
}
SCOPE = "clusterlog"
"""The instrumentation scope of what clusterlog times itself."""
ACCESS, CALL, SPAN, EDGE = (f"clusterlog.{name}" for name in ("access", "call", "span", "edge"))

# Semantic Conventions 1.37: HTTP, general attributes.
_OF_ANSWERS = {"clusterlog.route": "http.route", "http.response.body.bytes": "http.response.body.size"}
_OF_PLACES = {"url.domain": "server.address", "url.port": "server.port"}
_OF_CALLS = {**_OF_PLACES, "clusterlog.call.status_code": "http.response.status_code"}
_RENAMED: Mapping[str, Mapping[str, str]] = {ACCESS: {**_OF_ANSWERS, **_OF_PLACES}, CALL: _OF_CALLS, EDGE: _OF_ANSWERS}

_LABEL, _FIELD = "labels.", "field."
_ALONE = frozenset({"@timestamp", "message", "tags"})
_NEVER_LABELS = frozenset({*RESOURCE.values(), *EXCEPTION.values(), UID})
# Of a span the application's own attributes are labels, whatever the conventions call them; these are not.
_OF_SPANS = frozenset({"clusterlog", "ecs", "event", "log", "span", "trace"})
_OF_SPANS_TOO = frozenset({"http.request.id", "user.hash"})
_NONE: Mapping[str, str] = {}


@lru_cache(4096)
def is_field(name: str, dataset: str) -> bool:
    """Whether an attribute of that name is read as a field and not as a label."""
    top, dot, _ = name.partition(".")
    if name in _ALONE or name in _NEVER_LABELS or name.startswith((_LABEL, _FIELD)):
        return True
    if dataset == SPAN:
        return bool(dot) and (top in _OF_SPANS or name in _OF_SPANS_TOO)
    return bool(dot) and top in TOPS


@lru_cache(4096)
def field_name(path: str, dataset: str) -> str:
    """What a field is called as an attribute."""
    renamed = _RENAMED.get(dataset, _NONE)
    if path in renamed:
        return renamed[path]
    taken = path in renamed.values() or path in _NEVER_LABELS or path.startswith((_LABEL, _FIELD))
    return path if is_field(path, dataset) and not taken else _FIELD + path


@lru_cache(4096)
def label_name(name: str, dataset: str) -> str:
    """What a label is called as an attribute."""
    return _LABEL + name if is_field(name, dataset) else name


@lru_cache(4096)
def place(name: str, dataset: str) -> tuple[bool, str]:
    """Where an attribute belongs: whether it is a label, and its name, or else its path."""
    if name.startswith(_LABEL):
        return True, name.removeprefix(_LABEL)
    if name.startswith(_FIELD):
        return False, name.removeprefix(_FIELD)
    if not is_field(name, dataset):
        return True, name
    return False, _PATHS.get(dataset, _NONE).get(name, name)


_PATHS = {dataset: {name: path for path, name in renamed.items()} for dataset, renamed in _RENAMED.items()}


def leaves(document: Mapping[str, Any]) -> dict[str, Any]:
    """All that an event says but its labels, by dotted names; lists are values. What is null or empty says nothing."""
    found: dict[str, Any] = {}
    labels = document.get("labels")
    nodes: list[tuple[str, Mapping[str, Any]]] = [("", document)]
    for prefix, node in nodes:  # grows while it is walked
        for name, value in node.items():
            if type(value) is not dict:
                if value is not None:
                    found[prefix + name] = value
            elif value is not labels:
                nodes.append((f"{prefix}{name}.", value))
    return found


SECOND = 1_000_000_000
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def nanoseconds(told: Any) -> int | None:
    """Nanoseconds since the epoch of a time as RFC 3339 has it; ``None`` for anything else, and what lies before it."""
    found = _TIME.fullmatch(told) if type(told) is str else None
    second = -1 if found is None else _second(found[1] + found[3])
    return None if found is None or second < 0 else second * SECOND + int(f"{found[2] or '':0<9}")


@lru_cache(4096)
def _second(told: str) -> int:
    try:
        return int(datetime.fromisoformat(told).timestamp())
    except (ValueError, OverflowError):
        return -1


_VALUE = re.compile(
    # UUIDs and other hexadecimal ids, then numbers; neither inside of a word, so that `utf8` and `shop-1` stay.
    r"(?<![\w-])(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?=[a-f]*[0-9])[0-9a-f]{8,})(?![\w-])"
    r"|(?<![\w.-])[-+]?\d+(?:[.,:]\d+)*(?![\w-])",
    re.IGNORECASE,
)
_LONGEST = 2000  # characters of a text that are looked at


def shape(words: str) -> str:
    """A text whose numbers and ids are stars: ``order 54833 failed`` and ``order 7 failed`` have one shape."""
    return _VALUE.sub("*", words[:_LONGEST])
