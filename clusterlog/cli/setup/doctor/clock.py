"""Whether this machine's clock is one to order events by."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator

from clusterlog.cli.setup.doctor.finding import Finding
from clusterlog.search.instant import spoken

AHEAD_NS = 2_000_000_000
"""An event this much later than now was told by another clock, or before this one was set back."""
_TIME_ERROR = 5
_STATUS_BYTES = 256


def examine(newest_ns: int | None, now_ns: int) -> Iterator[Finding]:
    """``newest_ns``: the latest time of a stored event, nanoseconds since the epoch."""
    if newest_ns is not None and newest_ns - now_ns > AHEAD_NS:
        text = f"the newest event is {spoken(newest_ns - now_ns)} later than now"
        yield Finding("clock", "problem", text, "run chrony or systemd-timesyncd on every node, and compare `date -u`")
    elif time.gmtime(now_ns // 1_000_000_000).tm_year < 2024:
        text = f"it is {time.strftime('%Y-%m-%d', time.gmtime(now_ns // 1_000_000_000))} here"
        yield Finding("clock", "problem", text, "set the clock: run chrony or systemd-timesyncd")
    elif unsynchronised():
        text = "the kernel does not know whether its clock is right: nobody synchronises it"
        yield Finding("clock", "warning", text, "run chrony or systemd-timesyncd; a container has its host's clock")
    else:
        yield Finding("clock", "ok", "synchronised, and no event comes from the future")


def unsynchronised() -> bool:
    """Whether the kernel says so (adjtimex(2)); false where it cannot be asked."""
    try:
        asked = ctypes.create_string_buffer(_STATUS_BYTES)  # struct timex, modes 0: only read
        return bool(ctypes.CDLL(None, use_errno=True).adjtimex(asked) == _TIME_ERROR)
    except (OSError, AttributeError):
        return False
