"""How a foreign value is read as the kind of value a field holds; what it cannot be read as, is no value of it.

Every text that comes out has passed the redactor and is within its limit, but for tracebacks and identities: what
becomes of these is up to ``foreign.document``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from clusterlog.encode.foreign.times import Times
from clusterlog.encode.foreign.tracebacks import Traceback, read
from clusterlog.encode.sanitize import Sanitizer

KEYWORD_LIMIT = 1024
"""Bytes of a value that is compared as a whole."""
NAMES = (
    *("address", "bunyan", "id", "identity", "integer", "keyword", "keywords", "level", "message", "milliseconds"),
    *("nanoseconds", "seconds", "span", "text", "time", "trace", "traceback"),
)
"""The kinds a table of names may use."""

ALARMING = frozenset({"warning", "error", "critical"})
"""The levels that go the quick way."""

_LEVELS = {
    **dict.fromkeys(("trace", "verbose", "fine", "finer", "finest", "all", "debug", "dbg", "d", "v"), "debug"),
    **dict.fromkeys(("info", "information", "informational", "notice", "config", "default", "i"), "info"),
    **dict.fromkeys(("warning", "warn", "w"), "warning"),
    **dict.fromkeys(("error", "err", "severe", "exception", "failure", "e"), "error"),
    **dict.fromkeys(("critical", "crit", "fatal", "alert", "emergency", "emerg", "panic", "c", "f"), "critical"),
}
_SYSLOG = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")  # RFC 5424, table 2
_OTEL = re.compile(r"severity_number_(trace|debug|info|warn|error|fatal)\d?|(trace|debug|info|warn|error|fatal)[2-4]")
_is_id = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch  # as ``context.ids`` takes a request's from a header
_HEX_TRACE, _HEX_SPAN = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
NOTHING = frozenset({"", "-", "null", "None"})
"""How loggers say that there is none."""

Reader = Callable[[Any], Any]


class Kinds:
    """Reads values. ``sanitizer`` makes texts legal, ``times`` reads times."""

    def __init__(self, sanitizer: Sanitizer, times: Times) -> None:
        self._sanitizer = sanitizer
        self.readers: dict[str, Reader] = {
            "address": _address,
            "bunyan": _bunyan,
            "id": self.id,
            "identity": _identity,
            "integer": _integer,
            "keyword": self.keyword,
            "keywords": self._keywords,
            "level": self._level,
            "message": self._message,
            "milliseconds": lambda value: _lasted(value, 1_000_000),
            "nanoseconds": lambda value: _lasted(value, 1),
            "seconds": lambda value: _lasted(value, 1_000_000_000),
            "span": _span,
            "text": self._text,
            "time": times.read,
            "trace": _trace,
            "traceback": _traceback,
        }

    def id(self, value: Any) -> str | None:
        """An id that a person may look for: as it is if it is made of what ids are made of, else without secrets."""
        if type(value) is int:
            value = str(value)
        if type(value) is not str or value in NOTHING:
            return None
        if _is_id(value):
            return value
        return self._sanitizer.text(value, 256) if len(value) <= KEYWORD_LIMIT else None

    def keyword(self, value: Any) -> str | None:
        """A value that is compared as a whole."""
        if type(value) is str:
            return self._sanitizer.text(value, KEYWORD_LIMIT) if value else None
        return str(value) if type(value) is int else None

    def _text(self, value: Any) -> str | None:
        if type(value) is str:
            return self._sanitizer.text(value, self._sanitizer.limits.text) if value else None
        return str(value) if type(value) in (int, float) else None

    def _message(self, value: Any) -> str | None:
        return self._sanitizer.message(value) if type(value) in (str, int, float) else None

    def _level(self, value: Any) -> str | None:
        """A level by its name in any language's logger; 0 to 7 are syslog's severities, other numbers Python's."""
        if type(value) is int:
            if 0 <= value <= 7:
                return _SYSLOG[value]
            return _named(value // 10) if 10 <= value < 60 else None
        if type(value) is not str or not value or len(value) > KEYWORD_LIMIT:
            return None
        folded = value.strip().casefold()
        found = _LEVELS.get(folded)
        if found is not None:
            return found
        if folded.isdigit() and folded.isascii() and len(folded) < 3:
            return self._level(int(folded))
        otel = _OTEL.fullmatch(folded)
        return _LEVELS[otel[1] or otel[2]] if otel else self._sanitizer.text(folded, 64)

    def _keywords(self, value: Any) -> list[str] | None:
        given = value if type(value) is list else [value]
        found = [self.keyword(each) for each in given[:100]]
        return [each for each in found if each is not None] if None not in found and len(given) <= 100 else None


def holds_nothing(value: Any) -> bool:
    """Whether a value says that there is none."""
    return value is None or (type(value) is str and value in NOTHING)


def otel_level(number: int) -> str | None:
    """The level of a ``SeverityNumber`` (OpenTelemetry, logs data model): 1 to 24, four to a level."""
    if not 1 <= number <= 24:
        return None
    return ("debug", "debug", "info", "warning", "error", "critical")[(number - 1) // 4]


def _named(tens: int) -> str:
    return ("debug", "info", "warning", "error", "critical")[tens - 1]


def _bunyan(value: Any) -> str | None:
    """Levels of bunyan and pino: 10 is trace, 60 fatal."""
    if type(value) is not int or not 10 <= value < 70:
        return None
    return ("debug", "debug", "info", "warning", "error", "critical")[value // 10 - 1]


def _identity(value: Any) -> str | None:
    """Who somebody is, as ``bind(user=...)`` would take it; it is only ever hashed."""
    if type(value) is int:
        return str(value)
    return value if type(value) is str and value not in NOTHING else None


def _integer(value: Any) -> int | None:
    if type(value) is int:
        return value if -(1 << 63) <= value < 1 << 63 else None
    return int(value) if type(value) is str and _INTEGER.fullmatch(value) else None


def _lasted(value: Any, unit: int) -> int | None:
    """A length of time in nanoseconds."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value * unit < 1 << 62:
        return None
    return round(value * unit)


def _trace(value: Any) -> str | None:
    """A trace id of W3C Trace Context: 32 hex digits, not all zero."""
    if type(value) is not str or len(value) not in (32, 34, 36):
        return None
    return _hex(value.removeprefix("0x").replace("-", ""), _HEX_TRACE)


def _span(value: Any) -> str | None:
    return _hex(value.removeprefix("0x"), _HEX_SPAN) if type(value) is str and len(value) in (16, 18) else None


def _hex(value: str, form: re.Pattern[str]) -> str | None:
    folded = value.lower()
    return folded if form.fullmatch(folded) and folded.strip("0") else None


def _address(value: Any) -> str | None:
    try:
        return str(ipaddress.ip_address(value)) if type(value) is str else None
    except ValueError:
        return None


def _traceback(value: Any) -> Traceback | None:
    """A traceback as text, as lines, or as structlog's dictionaries."""
    if type(value) is str:
        return read(value) if len(value) > 1 else None
    return read(value) if type(value) is list and value and type(value[0]) in (str, dict) else None
