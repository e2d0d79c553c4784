"""Points in time and lengths of time as people and documents write them, in integer nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from clusterlog.encode.console.wording import spoken
from clusterlog.errors import SettingError

__all__ = ["FORMS", "day", "instant", "milliseconds", "parse_time", "rfc3339", "spoken"]

SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = (1 << 63) - 1  # what stores keep times in

# RFC 3339, section 5.6; the offset may be left out in commands, where it means UTC.
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,18}))?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CLOCK = re.compile(r"(\d\d):(\d\d)(?::(\d\d))?", re.ASCII)
_AGO = re.compile(r"(?:now\s*-\s*)?(\d{1,9})\s*([smhdw])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

FORMS = "2026-11-03T12:00:00Z, 2026-11-03, 15m, 2h, 7d, now-15m or 11:50 (UTC)"


def instant(text: object) -> int | None:
    """Nanoseconds since the epoch of an RFC 3339 time, or ``None`` if it is none.

    Digits behind the ninth are cut. A leap second counts as the second after it.
    """
    if not isinstance(text, str) or len(text) > 64:
        return None
    found = _RFC3339.fullmatch(text)
    if found is None or found[6] is None or found[4] is None:
        return None
    return _nanoseconds(found)


def day(text: str) -> tuple[int, int] | None:
    """First and last nanosecond of a date in UTC, or ``None`` if it is no date."""
    if _DATE.fullmatch(text) is None:
        return None
    try:
        days = date.fromisoformat(text) - _EPOCH.date()
    except ValueError:
        return None
    first = days.days * 86_400 * SECOND
    return first, first + 86_400 * SECOND - 1


def rfc3339(ns: int) -> str:
    """A time as ``@timestamp`` is written: UTC, nine digits. Raises ``OverflowError`` outside the years 1 to 9999."""
    seconds, rest = divmod(ns, SECOND)
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]}.{rest:09d}Z"


def parse_time(text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch for ``--since`` and ``--until``.

    Takes an RFC 3339 time, a date (its first moment; UTC wherever no offset is given), a time of day such as ``11:50``
    (the last time it was that), a time before now such as ``15m``, ``2h``, ``7d`` or ``now-15m``, or ``now``. Raises
    ``SettingError`` with the accepted forms.
    """
    given = text.strip()
    if given == "now":
        return now_ns
    if (ago := _AGO.fullmatch(given)) is not None:
        return max(0, now_ns - int(ago[1]) * _UNITS[ago[2]] * SECOND)
    if (clock := _CLOCK.fullmatch(given)) is not None and (latest := _last_time_of_day(clock, now_ns)) is not None:
        return latest
    whole_day = day(given)
    found = _RFC3339.fullmatch(given)
    ns = whole_day[0] if whole_day else _nanoseconds(found) if found else None
    if ns is None or not 0 <= ns <= _LATEST:
        shown = ascii(text)
        raise SettingError(f"{shown if len(shown) <= 60 else f'{shown[:57]}...'} is not a time: write {FORMS}")
    return ns


def milliseconds(ns: int) -> str:
    """A length of time in milliseconds, to be compared with others: ``0.3 ms``, ``38 ms``, ``1,402 ms``."""
    if abs(ns) < 9_950_000 and ns % 1_000_000:
        return f"{ns / 1e6:.1f} ms"
    return f"{round(ns / 1e6):,} ms"


def _last_time_of_day(found: re.Match[str], now_ns: int) -> int | None:
    hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    whole_day = 86_400 * SECOND
    today = now_ns - now_ns % whole_day + (hour * 3600 + minute * 60 + second) * SECOND
    return max(0, today if today <= now_ns else today - whole_day)


def _nanoseconds(found: re.Match[str]) -> int | None:
    calendar, hour, minute, second, fraction, offset = found.groups()
    hour, minute, second = int(hour), int(minute), int(second or 0)
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = (date.fromisoformat(calendar) - _EPOCH.date()).days
    except ValueError:
        return None
    away = 0
    if offset and offset not in "Zz":
        hours, minutes = int(offset[1:3]), int(offset[4:6])
        if hours > 23 or minutes > 59:
            return None
        away = (hours * 3600 + minutes * 60) * (-1 if offset[0] == "-" else 1)
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - away
    return seconds * SECOND + int(((fraction or "") + "000000000")[:9])
