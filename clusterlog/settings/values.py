"""What the value of a setting may look like, and what it becomes: one reader per kind.

Each takes what stands in an argument, a file or the environment, and raises ValueError with the accepted forms.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from typing import Any

_SIZES = {"": 1, "b": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_DURATIONS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0, "d": 86400.0}
CONSOLES = ("auto", "on", "off")
COMPRESSIONS = ("auto", "on", "off")
SINKS = (
    *("file", "stdout", "http", "https", "logstash+http", "logstash+https"),
    *("lumberjack+tcp", "lumberjack+tls", "jsonlines+tcp", "jsonlines+tls"),
    *("syslog+tcp", "syslog+tls"),
    *("otlp+http", "otlp+https", "otlp-json+http", "otlp-json+https"),
)
"""Schemes of the ends that events can be shipped to."""
BUSES = (
    *("sqlite", "memory", "hub+http", "hub+https", "postgresql", "postgres"),
    *("redis", "rediss", "redis+sentinel", "rediss+sentinel"),
)
"""Schemes of the ways between the nodes of a cluster."""
DURABILITIES = ("page-cache", "interval", "level", "strict")
ROLES = ("apply", "send", "receive")
"""What a node may do: apply levels; that, and change them; only hear messages."""


SLOW_S = 1.0
"""A request that takes so long is slow, where the setting ``recorder`` does not say otherwise."""


def seconds(value: Any) -> float:
    """``60``, ``"60s"``, ``"15m"``, ``"2h"``, ``"7d"`` in seconds. Raises ValueError with the accepted forms."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|[smhd]?)", str(value).strip())
    if isinstance(value, bool) or not found:
        raise ValueError("a duration such as 60, 15m, 2h or 7d")
    return float(found[1]) * _DURATIONS[found[2]]


def size(value: Any) -> int:
    """``1048576``, ``"1MiB"``, ``"1 GiB"`` in bytes. Raises ValueError with the accepted forms."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?(?:ib)?|b)", str(value).strip().lower())
    if isinstance(value, bool) or not found or found[2] not in _SIZES:
        raise ValueError("a size such as 1048576, 512MiB or 1GiB")
    return int(float(found[1]) * _SIZES[found[2]])


def level(value: Any) -> str:
    """A level's name in upper case. Raises ValueError for anything else: an unknown level is never taken for DEBUG."""
    name = str(value).strip().upper()
    if name not in _LEVELS:
        near = difflib.get_close_matches(name, _LEVELS, 1)
        raise ValueError(f"one of {', '.join(_LEVELS)}" + (f" (did you mean {near[0]}?)" if near else ""))
    return name


def words(value: Any) -> tuple[str, ...]:
    """A list of names: a comma separated text, or a list of texts."""
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(str(part).strip() for part in parts if str(part).strip())


def switch(value: Any) -> bool:
    """A yes or no. Raises ValueError for anything that is neither."""
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("on or off")


def text(value: Any) -> str:
    """A text of one line."""
    if not isinstance(value, str | os.PathLike) or "\n" in str(value):
        raise ValueError("a text of one line")
    return str(value).strip()


def named(value: Any) -> str:
    """A name of one to 128 printable characters. Raises ValueError for others."""
    name = text(value)
    if not 0 < len(name) <= 128 or not name.isprintable():
        raise ValueError("a name of 1 to 128 printable characters")
    return name


def durability(value: Any) -> str:
    """One of the four modes of the spool."""
    if value not in DURABILITIES:
        raise ValueError(f"one of {', '.join(DURABILITIES)}")
    return str(value)


def console(value: Any) -> str:
    """When events are shown on the terminal as well."""
    word = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
    if word not in CONSOLES:
        raise ValueError(f"one of {', '.join(CONSOLES)}")
    return str(word)


def role(value: Any) -> str:
    """What this node may do in its cluster."""
    if value not in ROLES:
        raise ValueError(f"one of {', '.join(ROLES)}")
    return str(value)


def recorder(value: Any) -> str:
    """``off``, or the level from which a request's lines are kept aside and when one is slow: ``DEBUG``, ``DEBUG/2s``.

    Raises ValueError with the forms.
    """
    written = str(value).strip()
    if value is False or written.lower() in ("off", "no", "0", "false", ""):
        return "off"
    name, slash, slow = written.partition("/")
    try:
        if slash:
            seconds(slow)
        return level(name) + slash + slow.strip()
    except ValueError as error:
        raise ValueError(f"off, or a level and perhaps when a request is slow, such as DEBUG/2s: {error}") from None


def recorded(recorder: str) -> tuple[str, float] | None:
    """Level and seconds of a setting ``recorder``; ``None`` where it is off."""
    if recorder == "off":
        return None
    name, _, slow = recorder.partition("/")
    return name, seconds(slow) if slow else SLOW_S


def ceiling(value: Any) -> tuple[str, ...]:
    """The most verbose levels that a rule may set: ``LEVEL`` or ``logger=LEVEL``. Raises ValueError with the forms."""
    found = []
    for word in words(value):
        logger, equals, name = word.rpartition("=")
        if equals and not logger.strip():
            raise ValueError(f"LEVEL or logger=LEVEL, not {word!r}")
        found.append((logger.strip() + "=" if equals else "") + level(name))
    return tuple(found)


def compression(value: Any) -> str:
    """Whether what is sent is compressed."""
    word = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
    if word not in COMPRESSIONS:
        raise ValueError(f"one of {', '.join(COMPRESSIONS)}")
    return str(word)


def throttle(value: Any) -> str:
    """``off``, or how many lines alike may pass in which time: ``100/60s``. Raises ValueError with the forms."""
    written = str(value).strip().lower()
    if written not in ("", "false", "no", "0"):
        rate(written)
        return written
    return "off"


def rate(throttle: str) -> tuple[int, float] | None:
    """Lines and seconds of a setting ``throttle``; ``None`` where it is off. Raises ValueError with the forms."""
    if throttle == "off":
        return None
    lines, slash, time = throttle.partition("/")
    try:
        found = int(lines), seconds(time)
    except ValueError:
        slash = ""
    if not slash or found[0] < 1 or found[1] <= 0:
        raise ValueError("off, or lines and the time in which so many alike may pass, such as 100/60s")
    return found


def address(*schemes: str) -> Callable[[Any], str]:
    """A reader of URLs with one of ``schemes`` (empty text: the embedded engine in the home)."""

    def read(value: Any) -> str:
        url = text(value)
        scheme = url.partition(":")[0]
        if url and (scheme not in schemes or ":" not in url):
            near = difflib.get_close_matches(scheme, schemes, 1)
            hint = f" (did you mean {near[0]}:?)" if near else ""
            raise ValueError(f"a URL that begins with {', '.join(s + ':' for s in schemes)}{hint}")
        return url

    return read


def bus(value: Any) -> str:
    """The way between nodes: empty for the one in the home, ``off``, or a URL. Raises ValueError with the schemes."""
    if value is False or text(value).lower() == "off":
        return "off"
    try:
        return address(*BUSES)(value)
    except ValueError as error:
        raise ValueError(f"off, or {error}") from None


def proxy(value: Any) -> str:
    """``environment``, ``none`` or the URL of an HTTP proxy. Raises ValueError with the forms."""
    way = text(value)
    if way not in ("environment", "none") and not re.match(r"https?://[^/]", way):
        raise ValueError("environment, none or the URL of a proxy, such as http://proxy:3128")
    return way


def fingerprint(value: Any) -> str:
    """SHA-256 of a certificate: 64 hex digits, with or without colons. Raises ValueError for anything else."""
    digits = text(value).replace(":", "").lower()
    if digits and not re.fullmatch("[0-9a-f]{64}", digits):
        raise ValueError("a SHA-256 fingerprint: 64 hex digits, with or without colons")
    return digits
