"""The head of a syslog message, as RFC 5424 or RFC 3164 or nobody has written it. Pure.

Whatever bytes there are, something comes out: what has no head is all text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

_NIL = b"-"
_MOST_PARAMETERS = 64
_PRIORITY = re.compile(rb"<([0-9]{1,3})>")
_NEW = re.compile(
    rb"1 (\S{1,64}) (\S{1,255}) (\S{1,128}) (\S{1,128}) (\S{1,64}) (-|(?:\[(?:[^\]\\]|\\.)*\])+)(?: |$)", re.DOTALL
)
_OLD = re.compile(
    rb"([A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"
    rb"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,20}(?:Z|[+-][0-9:]{5}))"
    rb" (?:([^ :\[\]]{1,255}) )?([^ :\[\]]{1,128})(?:\[([^ \]]{1,64})\])?: ?"
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_PARAMETER = re.compile(rb' ([^ =\]"]{1,32})="((?:\\.|[^"\\])*)"', re.DOTALL)
_ESCAPED = re.compile(rb'\\(["\\\]])')
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Message:
    """A message taken apart: what it does not say is empty. ``severity`` is 0 (emergency) to 7 (debug).

    ``time`` is written as RFC 3339 does; ``parameters`` are those of all structured data.
    """

    text: bytes
    severity: int | None = None
    time: str = ""
    host: str = ""
    app: str = ""
    process: str = ""
    kind: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def read(data: bytes, now: datetime) -> Message:
    """A message of these bytes. ``now`` has a time zone: that of old times, which say neither zone nor year."""
    priority = _PRIORITY.match(data)
    if priority is None or int(priority[1]) > 191:
        return Message(data.removeprefix(_BOM))
    severity, rest = int(priority[1]) % 8, data[priority.end() :]
    new = _NEW.match(rest)
    if new is not None:
        time, host, app, process, kind = (_word(each) for each in new.groups()[:5])
        text = rest[new.end() :].removeprefix(_BOM)
        return Message(text, severity, _legal(time), host, app, process, kind, _parameters(new[6]))
    old = _OLD.match(rest)
    if old is not None:
        time, host, app, process = (_word(each or _NIL) for each in old.groups())
        return Message(
            rest[old.end() :].removeprefix(_BOM), severity, _legal(time) or _dated(time, now), host, app, process
        )
    return Message(rest.removeprefix(_BOM), severity)


def _word(told: bytes) -> str:
    return "" if told == _NIL else told.decode("utf-8", "replace")


def _legal(time: str) -> str:
    if not _TIME.fullmatch(time):
        return ""
    try:
        datetime.fromisoformat(time[:19])
    except ValueError:
        return ""
    return time


def _dated(told: str, now: datetime) -> str:
    """``Nov  3 12:00:00`` in the year that brings it closest to now; empty for a day that does not exist."""
    times = []
    for year in (now.year - 1, now.year, now.year + 1):
        try:
            times.append(datetime.strptime(f"{year} {told}", "%Y %b %d %H:%M:%S").replace(tzinfo=now.tzinfo))
        except ValueError:  # the 29th of February, or none at all
            continue
    return min(times, key=lambda each: abs(each - now)).isoformat() if times else ""


def _parameters(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in _PARAMETER.findall(data):
        if len(found) == _MOST_PARAMETERS:
            break
        found.setdefault(_word(name), _ESCAPED.sub(rb"\1", value).decode("utf-8", "replace"))
    return found
