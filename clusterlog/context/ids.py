"""Ids of requests, processes, traces and spans: made, and judged when they come from somebody else.

Request and entity ids are UUIDs of version 7 (RFC 9562) as 32 lower-case hex digits without hyphens, so they sort by
the time they were made. Within a process each is greater than the one before it, from whatever thread.
"""

from __future__ import annotations

import re
import threading
from os import getpid, urandom
from time import time_ns
from typing import Final

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_REQUEST_ID_BYTES: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")

_MILLISECONDS: Final = (1 << 48) - 1 << 12
_VERSION_7: Final = 7 << 12
_VARIANT: Final = 0b10 << 62
_RANDOM_MASK: Final = (1 << 62) - 1

# How much of a rejected value is hashed: enough to tell two senders apart, little enough to be no work.
_HASHED: Final = 4096


def uuid7(wall_ns: int, random_bits: int) -> str:
    """The UUIDv7 of a wall-clock time in nanoseconds since 1970 and 62 random bits, as 32 lower-case hex digits.

    The twelve bits of ``rand_a`` hold the fraction of the millisecond (RFC 9562, section 6.2, method 3), so ids made
    a quarter of a microsecond apart sort in that order. Surplus bits of both arguments are ignored.
    """
    return _uuid7_at(_tick(wall_ns), random_bits)


def new_request_id() -> str:
    """A new request id: UUIDv7, 32 lower-case hex digits, greater than any other this process has made."""
    # The random bits come from the kernel at each call. A child forked without any hook has the parent's memory but
    # not its next random bits, so it cannot repeat the parent's next id.
    return _uuid7_at(_next_tick(), int.from_bytes(urandom(8), "big"))


def new_entity_id() -> str:
    """A new ``process.entity_id`` (ECS): the same form and the same promises as a request id."""
    return new_request_id()


def new_trace_id() -> str:
    """A new W3C trace id: 32 lower-case hex digits, random, not all zero."""
    return _random_hex(16)


def new_span_id() -> str:
    """A new W3C span id (``parent-id``): 16 lower-case hex digits, random, not all zero."""
    return _random_hex(8)


def judge_request_id(value: str | bytes | None) -> str | None:
    """The value itself as ``str`` if it may serve as a request id, else None.

    Legal are 1 to 64 characters of ``A-Z a-z 0-9 . _ -`` and nothing around them, so that an accepted id can stand in
    a header, a URL, a file name and a terminal as it is. Never raises; the work is bounded by 65 characters, however
    long the value.
    """
    if isinstance(value, str):
        legal = _REQUEST_ID.fullmatch(value)
        return legal.group() if legal else None
    if isinstance(value, bytes):
        legal_bytes = _REQUEST_ID_BYTES.fullmatch(value)
        return legal_bytes.group().decode("ascii") if legal_bytes else None
    return None


def describe_rejected(value: str | bytes) -> str:
    """What may be kept of a rejected value: its length and a short hash, never its text.

    The hash is the start of SHA-256 over the first 4,096 characters (as UTF-8) or bytes: it says whether two rejected
    values came from the same hand.
    """
    from hashlib import sha256  # late: a rejection is rare, and the import is not free

    if isinstance(value, str):
        unit, head = "characters", value[:_HASHED].encode("utf-8", "surrogatepass")
    else:
        unit, head = "bytes", value[:_HASHED]
    return f"{len(value)} {unit}, sha256 {sha256(head).hexdigest()[:12]}"


class _Ticks:
    """The last tick one process has used, and the lock around it."""

    __slots__ = ("last", "lock", "pid")

    def __init__(self, pid: int, last: int) -> None:
        self.pid = pid
        self.last = last
        # Re-entrant, for a signal handler or a finaliser that makes an id inside the locked lines.
        self.lock = threading.RLock()


_ticks = _Ticks(getpid(), 0)


def _next_tick() -> int:
    """The present tick, or one more than the last where the clock has not moved on or was set back."""
    global _ticks
    now = _tick(time_ns())
    ticks = _ticks
    pid = getpid()
    if ticks.pid != pid:
        # A forked child, perhaps forked by C code that runs no Python hook: the lock may be held by a thread that
        # does not exist here.
        ticks = _ticks = _Ticks(pid, ticks.last)
    with ticks.lock:
        tick = ticks.last + 1
        if now > tick:
            tick = now
        ticks.last = tick
    return tick


def _tick(wall_ns: int) -> int:
    """Milliseconds since 1970 with twelve binary digits of fraction, 60 bits in all."""
    return (wall_ns << 12) // 1_000_000


def _uuid7_at(tick: int, random_bits: int) -> str:
    # One number and one formatting: half the time of three fields formatted side by side.
    high = (tick & _MILLISECONDS) << 4 | _VERSION_7 | tick & 0xFFF
    return f"{high << 64 | _VARIANT | random_bits & _RANDOM_MASK:032x}"


def _random_hex(size: int) -> str:
    value = urandom(size)
    while not any(value):
        value = urandom(size)
    return value.hex()
