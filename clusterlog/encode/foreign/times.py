"""When a line was written: every usual way to say it, as ``@timestamp`` is written.

A number is read by its size, since nothing else tells seconds from nanoseconds: below 10^11 it is seconds, then come
milliseconds, microseconds and nanoseconds, each a thousand times as large. What lies before March 1973 in all of these
is taken for no time at all, but for the uptime or the duration it is.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, tzinfo
from typing import Any

SECOND = 1_000_000_000
_LATEST_S = ((1 << 63) - 1) // SECOND  # what stores keep times in
_EARLIEST = 100_000_000
_KEPT = 4096
_END = tuple(f"{'0' * (9 - digits)}Z" for digits in range(10))
"""What stands behind so many digits of a fraction."""

# RFC 3339 and ISO 8601 as loggers write it: a blank or "T", a dot or a comma, offsets with or without a colon.
_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,18}))?\s?([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_NUMBER = re.compile(r"(\d{1,19})(?:\.(\d{1,18}))?", re.ASCII)
_UNITS = ((100_000_000_000, SECOND), (100_000_000_000_000, 1_000_000), (100_000_000_000_000_000, 1_000))


class Times:
    """Reads times; one without an offset is told in ``zone``.

    The second of a time is kept with what it became, as most lines share theirs with their neighbours.
    """

    __slots__ = ("_epochs", "_local", "_utc", "_zone")

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._utc: dict[str, str] = {}
        self._local: dict[str, str] = {}
        self._epochs: dict[int, str] = {}

    def read(self, value: Any) -> str | None:
        """The time as RFC 3339 in UTC with nine digits; ``None`` for what is no time from 1970 to 2262."""
        kind = type(value)
        if kind is str:
            # The usual forms by their seconds alone: "....123456Z", "....123456+00:00", "...,123".
            if value[19:20] in (".", ","):
                last = value[-1]
                if last == "Z":
                    begin, digits = self._utc.get(value[:19]), value[20:-1]
                elif value.endswith("+00:00"):
                    begin, digits = self._utc.get(value[:19]), value[20:-6]
                else:
                    begin, digits = self._local.get(value[:19]), value[20:]
                if begin is not None and digits.isdigit() and digits.isascii() and len(digits) <= 9:
                    return f"{begin}.{digits}{_END[len(digits)]}"
            return self._text(value)
        if kind is int:
            return self._integer(value)
        return self._float(value) if kind is float else None

    def _text(self, value: str) -> str | None:
        if len(value) > 64:
            return None
        value = value.strip()
        found = _TEXT.fullmatch(value)
        if found is None:
            number = _NUMBER.fullmatch(value)
            return self._decimal(*number.groups()) if number is not None else None
        day, clock, fraction, offset = found.groups()
        begin = self._second(f"{day}T{clock}", offset)
        if begin is None:
            return None
        if len(value) > 19:
            _keep(self._local if offset is None else self._utc, value[:19], begin, offset in (None, "Z", "+00:00"))
        return f"{begin}.{(fraction or '')[:9]:0<9}Z"

    def _second(self, told: str, offset: str | None) -> str | None:
        """A second in UTC. A leap second counts as the one before it, which stays in its minute."""
        if told.endswith(":60"):
            told = f"{told[:-2]}59"
        written = _offset(offset) if offset else ""
        try:
            moment = datetime.fromisoformat(told + written)
            if not written:
                moment = moment.replace(tzinfo=self._zone)
            return _spoken(int(moment.timestamp()))
        except (ValueError, OverflowError):
            return None

    def _integer(self, value: int) -> str | None:
        if value < _EARLIEST:
            return None
        for limit, unit in _UNITS:
            if value < limit:
                return self._epoch(value * unit)
        return self._epoch(value)

    def _float(self, value: float) -> str | None:
        """A float of seconds is true to the microsecond and no further."""
        if not _EARLIEST <= value < 1e19:
            return None
        for limit, unit in _UNITS:
            if value < limit:
                return self._epoch(round(value * (unit // 1_000)) * 1_000)
        return self._epoch(int(value))

    def _decimal(self, whole: str, fraction: str | None) -> str | None:
        """Digits in a text, which are exact."""
        value = int(whole)
        if not fraction or value >= _UNITS[0][0]:
            return self._integer(value)
        return self._epoch(value * SECOND + int(f"{fraction[:9]:0<9}")) if value >= _EARLIEST else None

    def _epoch(self, ns: int) -> str | None:
        second, rest = divmod(ns, SECOND)
        begin = self._epochs.get(second)
        if begin is None:
            found = _spoken(second)
            if found is None:
                return None
            if len(self._epochs) >= _KEPT:
                self._epochs.clear()
            begin = self._epochs[second] = found
        return f"{begin}.{rest:09d}Z"


def _spoken(second: int) -> str | None:
    """A second since the epoch, without fraction and zone."""
    if not 0 <= second < _LATEST_S:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _offset(told: str) -> str:
    """``Z``, ``+0100``, ``+01`` as ``+01:00``."""
    if told[0] not in "+-":
        return "+00:00"
    digits = told[1:].replace(":", "")
    return f"{told[0]}{digits[:2]}:{digits[2:] or '00'}"


def _keep(known: dict[str, str], told: str, begin: str, usual: bool) -> None:
    if usual:
        if len(known) >= _KEPT:
            known.clear()
        known[told] = begin
