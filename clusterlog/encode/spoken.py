"""One object that JSON has no form for, as a text.

Known types of the standard library speak their own notation, the rest its ``repr``: the one piece of foreign code that
runs inside a log call. It may fail, and it may log; how long it takes, and how much memory, is in its own hands. What
is not an ``Exception`` (Ctrl-C, SystemExit, a cancellation) belongs to the host and passes.
"""

from __future__ import annotations

import datetime
import math
import threading
from collections.abc import Callable
from enum import EnumMeta
from typing import Any

from clusterlog.record.failure import raised_by_signal

NESTED_CALLS = 3
"""A ``repr`` that logs objects whose ``repr`` logs is followed so far."""

_name_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__
_EDGE = 1 << 63
_PRINTABLE_BITS = 14_285  # what has more has over 4,300 digits, which Python refuses to print
_PRINTABLE_DIGITS = 4300
_KNOWN = frozenset(
    {
        *(("pathlib", name) for name in ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")),
        *(("ipaddress", f"IPv{v}{kind}") for v in (4, 6) for kind in ("Address", "Network", "Interface")),
        ("datetime", "timedelta"),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
    }
)


class _Calls(threading.local):
    under_way = 0


_calls = _Calls()


def integer(value: int) -> int | str:
    """An integer within 64 bits as it is; a larger one as text, the largest by their size."""
    if -_EDGE <= value < _EDGE:
        return value
    try:
        if value.bit_length() <= _PRINTABLE_BITS:
            return str(value)
    except ValueError:  # the interpreter's own limit may be lower
        pass
    return f"[integer of {value.bit_length()} bits]"


def real(value: float) -> float | str:
    """A float as it is; ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, which JSON has no form for, as text."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def spoken(value: Any, most: int) -> str:
    """Any object as an exact ``str``; of bytes at most ``most`` are decoded."""
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(value)
    if kind in (bytes, bytearray, memoryview):
        return _decoded(value, most)
    if issubclass(kind, datetime.datetime):
        return called(_instant, value)
    if issubclass(kind, datetime.date):
        return called(datetime.date.isoformat, value)
    if kind is datetime.time:
        return called(datetime.time.isoformat, value)
    if issubclass(type(kind), EnumMeta):
        return called(lambda member: f"{_name_of(kind)}.{object.__getattribute__(member, '_name_')}", value)
    return called(str if (_module_of(kind), _name_of(kind)) in _KNOWN else repr, value)


def printable(value: Any) -> Any:
    """The value, or its text if ``%d`` would make an integer of it for minutes: ``Decimal("1e999999")``."""
    kind = type(value)
    if _name_of(kind) == "Decimal" and _module_of(kind) == "decimal" and value.adjusted() > _PRINTABLE_DIGITS:
        return str(value)
    return value


def called(function: Callable[[Any], Any], value: Any) -> str:
    """What ``function`` (``repr``, ``str``) says of ``value`` as an exact ``str``, or that it failed."""
    try:
        text = guarded(lambda: function(value))
        return text if type(text) is str else str.__str__(text)
    except Exception as error:
        if raised_by_signal(error):
            raise
        said = "str" if function is str else "repr"
        return f"<{full_name(type(value))}: {said} failed: {full_name(type(error))}>"


def guarded(call: Callable[[], Any]) -> Any:
    """Run foreign code. Raises RecursionError where so many of its calls stand above one another that it never ends."""
    if _calls.under_way >= NESTED_CALLS:
        raise RecursionError("foreign code that logs within foreign code that logs")
    _calls.under_way += 1
    try:
        return call()
    finally:
        _calls.under_way -= 1


def full_name(kind: type) -> str:
    """Module and qualified name; of built-in types the name alone."""
    name, module = _name_of(kind), _module_of(kind)
    return name if module == "builtins" or type(module) is not str else f"{module}.{name}"


def _decoded(value: bytes | bytearray | memoryview, most: int) -> str:
    r"""Bytes as text, what is not UTF-8 as ``\xff``. A memory view may be of anything, and may be closed."""
    try:
        view = memoryview(value).cast("B")
        text = str(view[:most], "utf-8", "backslashreplace")
        return text if len(view) <= most else f"[{len(view)} bytes] {text}"
    except (TypeError, ValueError):
        return called(repr, value)


def _instant(value: datetime.datetime) -> str:
    """RFC 3339; an aware one in UTC. Called on the base class: a subclass may mean something else by ``isoformat``."""
    offset = datetime.datetime.utcoffset(value)
    if offset is None:
        return datetime.datetime.isoformat(value)
    local = datetime.datetime.combine(datetime.datetime.date(value), datetime.datetime.time(value))
    try:
        return datetime.datetime.isoformat(local - offset) + "Z"
    except OverflowError:  # within a day of the first or last year
        return datetime.datetime.isoformat(value)
