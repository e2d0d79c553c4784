"""The fields a query may name: short names, ECS, and what clusterlog adds to ECS."""

from __future__ import annotations

import fnmatch
from difflib import get_close_matches
from typing import Literal

Kind = Literal["text", "number", "time", "level", "label", "word"]

SHORT = {
    "dataset": "event.dataset",
    "dur": "event.duration",
    "error": "error.message",
    "level": "log.level",
    "logger": "log.logger",
    "node": "service.node.name",
    "request": "http.request.id",
    "route": "clusterlog.route",
    "service": "service.name",
    "session": "clusterlog.session.hash",
    "status": "http.response.status_code",
    "trace": "trace.id",
    "user": "user.hash",
}
"""What people type, and the field it stands for. (``message`` is a field's own name.)"""

OWN = {"has": "has: exception", "since": "since: 15m", "until": "until: 5m"}
"""Names that are no fields and yet stand before a colon, each with an example."""

NOT_A_HASH = {
    "user": "users are kept as hashes, and this is none: to find a user by name there is --user",
    "session": "sessions are kept as hashes, and this is none: copy one from an event, or write how it begins: 3f9a*",
}
"""Why a name or a cookie finds nothing, by short name."""

LEVELS = (
    ("trace",),
    ("debug",),
    ("info",),
    ("notice",),
    ("warning", "warn"),
    ("error",),
    ("critical", "fatal"),
    ("alert",),
    ("emergency",),
)
"""The names of levels, lowest first: Python's, and those of other loggers and of syslog between and beside them."""

DURATIONS = frozenset({"event.duration"})
"""Number fields that are lengths of time, in nanoseconds."""

_TEXT = frozenset({"message", "error.message", "error.stack_trace"})
_TIMES = frozenset({"@timestamp", "event.created", "event.end", "event.ingested", "event.start"})
_NUMBERS = frozenset(
    {
        "clusterlog.call.status_code",
        "clusterlog.repeated.count",
        "clusterlog.state.backlog_bytes",
        "clusterlog.state.backlog_events",
        "clusterlog.state.count",
        "clusterlog.state.first_seq",
        "clusterlog.state.last_seq",
        "clusterlog.state.oldest_age_s",
        "clusterlog.websocket.close_code",
        "event.duration",
        "event.sequence",
        "http.request.body.bytes",
        "http.request.bytes",
        "http.response.body.bytes",
        "http.response.bytes",
        "http.response.status_code",
        "log.origin.file.line",
        "process.pid",
        "process.thread.id",
        "url.port",
    }
)
_WORDS = frozenset(
    {
        "clusterlog.client.request_id",
        "clusterlog.client.trace_id",
        "clusterlog.control.actor",
        "clusterlog.control.change",
        "clusterlog.control.logger",
        "clusterlog.control.rule",
        "clusterlog.error.fingerprint",
        "clusterlog.parent.span_id",
        "clusterlog.route",
        "clusterlog.session.hash",
        "clusterlog.span.kind",
        "clusterlog.span.scope",
        "clusterlog.state.instance",
        "clusterlog.state.reason",
        "clusterlog.template",
        "clusterlog.user.key_id",
        "ecs.version",
        "error.type",
        "event.action",
        "event.dataset",
        "event.id",
        "event.kind",
        "event.outcome",
        "event.reason",
        "host.name",
        "http.request.id",
        "http.request.method",
        "log.level",
        "log.logger",
        "process.entity_id",
        "service.environment",
        "service.name",
        "service.node.name",
        "span.id",
        "trace.id",
        "url.domain",
        "url.full",
        "url.path",
        "url.scheme",
        "user.hash",
    }
)

KNOWN = _TEXT | _TIMES | _NUMBERS | _WORDS
"""The fields clusterlog itself writes or knows the type of; what completion offers and near names come from."""

# The objects at the top of an ECS document (Elastic Common Schema 9, field reference), and `clusterlog` beside them.
_TOP = """
agent client cloud clusterlog container data_stream destination device dll dns ecs email error event faas file gen_ai
group host http labels log network observer orchestrator organization package process registry related rule server
service source span threat tls trace transaction url user user_agent volume vulnerability
"""
_OBJECTS = frozenset(_TOP.split())
_LEAVES = frozenset({"@timestamp", "message", "tags"})  # the fields of ECS that stand at the top themselves


def resolved(name: str) -> str | None:
    """The field a name means, or ``None`` if there is no such field."""
    name = SHORT.get(name, name)
    if name in _LEAVES:
        return name
    top, dot, rest = name.partition(".")
    if top not in _OBJECTS or not dot or not rest:
        return None
    if top != "labels" and not all(rest.split(".")):
        return None  # only a caller's own keys may have dots at the ends
    return name


def kind_of(field: str) -> Kind:
    """How values of a field are written and compared."""
    if field in _TEXT:
        return "text"
    if field == "log.level":
        return "level"
    if field.startswith("labels."):
        return "label"
    if field in _TIMES:
        return "time"
    if field in _NUMBERS or field.startswith("clusterlog.metrics.") or field.endswith((".port", ".bytes", ".pid")):
        return "number"
    return "word"


def levels(operator: str, name: str) -> tuple[str, ...] | None:
    """The names of the levels that ``operator name`` means, such as ``>= warning``; ``None`` if it names no level."""
    rank = next((rank for rank, group in enumerate(LEVELS) if name in group), None)
    if rank is None:
        return None
    first = rank + (operator == ">") if operator in (">", ">=") else 0
    last = rank + (operator == "<=") if operator in ("<", "<=") else len(LEVELS)
    return tuple(name for group in LEVELS[first:last] for name in group)


def is_known(field: str) -> bool:
    """Whether the type of a field is certain, because clusterlog writes it or ECS and the mapping fix it."""
    return field in KNOWN or field.startswith(("clusterlog.metrics.", "labels."))


def unknown(name: str) -> str:
    """Why a name is no field, and what may have been meant: one line."""
    if "*" in name:
        return f'"{name}": field names have no wildcards: name the field, such as {_fitting(name)}'
    if name in _OBJECTS:
        return f'"{name}" is an object: name a field in it, such as {_example(name)}'
    near = _near(name)
    own = name if name.startswith("labels.") else f"labels.{name}"
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f'no field "{name}": {hint}fields of your own are written {own}'


def _example(name: str) -> str:
    if name == "labels":
        return "labels.order_id"
    inside = [field for group in (_WORDS, _NUMBERS) for field in sorted(group) if field.startswith(f"{name}.")]
    return inside[0] if inside else f"{name}.name"


def _fitting(pattern: str) -> str:
    """Fields that a pattern may have meant; ``message`` where it fits none of ours, or too many."""
    names = fnmatch.filter(sorted(KNOWN), pattern.replace("[", "[[]").replace("?", "[?]"))
    return ", ".join(names[:3]) if 0 < len(names) <= 10 else "message"


def _near(name: str) -> list[str]:
    """At most three: fields that end in the name, then names that are written alike."""
    name = name[:80].lower()
    known = sorted(KNOWN, key=lambda field: (field.startswith("clusterlog."), field))
    tails = {field: _squeezed(field.rpartition(".")[2]) for field in known}
    near = [field for field in known if field.endswith(f".{name}") or tails[field] == _squeezed(name)]
    near += get_close_matches(name, [*SHORT, *OWN, *known], 3, 0.75)
    alike = get_close_matches(_squeezed(name), set(tails.values()), 1, 0.8)
    near += [field for field in known if tails[field] in alike]
    return list(dict.fromkeys(near))[:3]


def _squeezed(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(".", "")
