"""An event as a syslog message (RFC 5424), and its frame on a stream (RFC 6587, 3.4.1: octet counting). Pure.

Who knows syslog alone finds level, node, service and request in the head; who knows JSON finds the whole event behind
it. That is written in ASCII, with escapes: so it needs no byte order mark (RFC 5424, 6.4, wants one before UTF-8),
which parsers of JSON stumble over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from clusterlog.encode.compact import dumps
from clusterlog.store import document

USER = 1
"""The facility of applications: user-level messages (RFC 5424, table 1)."""
SD_ID = "clusterlog@32473"
"""Our structured data. 32473 is the enterprise number for examples (RFC 5612): there is none of our own."""

_SEVERITIES: Mapping[str, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_NOTICE = 5
_PARAMETERS = (
    ("request_id", "http.request.id"),
    ("trace_id", "trace.id"),
    ("span_id", "span.id"),
    ("event_id", "event.id"),
)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")
_TO_ESCAPE = re.compile(r'["\\\]]')
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NIL = "-"


def framed(body: bytes) -> bytes:
    """A stored event, JSON, as a message with its length before it. Raises ValueError for what is no JSON object."""
    told = message(body)
    return b"%d %b" % (len(told), told)


def message(body: bytes) -> bytes:
    """A stored event as a message. Raises ValueError for what is no JSON object."""
    event = document.parse(body)
    severity = _SEVERITIES.get(_first(event, "log.level"), _NOTICE)
    head = (
        f"<{USER * 8 + severity}>1",
        _time(_first(event, "@timestamp")),
        _name(_first(event, "service.node.name") or _first(event, "host.name"), 255),
        _name(_first(event, "service.name"), 48),
        _name(_first(event, "process.pid"), 128),
        _name(_first(event, "event.dataset"), 32),
        _structured(event),
    )
    return " ".join(head).encode() + b" " + _ascii(dumps(event) if b"\n" in body or b"\r" in body else body)


def _first(event: document.Event, path: str) -> str:
    """The first value of a field as text; empty where there is none."""
    found: list[Any] = list(document.values(event, path))
    return document.text(found[0]) if found else ""


def _time(told: str) -> str:
    """RFC 3339 with microseconds at most: a finer one is no TIMESTAMP (RFC 5424, 6.2.3). The event keeps it all."""
    found = _TIME.fullmatch(told)
    if found is None:
        return _NIL
    return found[1] + (f".{found[2]}" if found[2] else "") + found[3]


@lru_cache(4096)
def _name(told: str, limit: int) -> str:
    """A field of the head: printable ASCII without spaces (RFC 5424, 6), cut to what the field may have."""
    return _NOT_PRINTABLE.sub("_", told)[:limit] or _NIL


def _structured(event: document.Event) -> str:
    r"""What joins events, as one element; in a value only ``"``, ``\`` and ``]`` are escaped (RFC 5424, 6.3.3)."""
    told = [(name, _first(event, path)) for name, path in _PARAMETERS]
    parts = [f'{name}="{_escaped(value)}"' for name, value in told if value]
    return f"[{SD_ID} {' '.join(parts)}]" if parts else _NIL


def _escaped(value: str) -> str:
    legal = _CONTROL.sub("_", value).encode("utf-8", "replace").decode()
    return _TO_ESCAPE.sub(lambda found: "\\" + found[0], legal)


def _ascii(body: bytes) -> bytes:
    """JSON in ASCII. What is not ASCII stands within texts only, where it may be escaped."""
    if body.isascii():
        return body
    return _NOT_ASCII.sub(lambda found: _escape(found[0]), body.decode()).encode("ascii")


def _escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
