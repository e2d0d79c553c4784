"""Frames of Lumberjack, version 2: what is written, and what an acknowledgement says. Pure.

Every frame begins with the version, ``2``, and a letter for its kind; numbers are unsigned, 32 bits, big-endian.

======  =========================================================
``2W``  how many events follow before an acknowledgement is due
``2J``  number of the event, length, JSON object
``2C``  length, zlib stream of whole frames
``2A``  (from the server) number of the last event it has; 0: alive
======  =========================================================

Sources: elastic/go-lumber (protocol/v2), elastic/logstash-input-beats.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

ACK_SIZE = 6
_NUMBER = struct.Struct(">2sI")
_DATA = struct.Struct(">2sII")
_LEVEL = 3


def window(bodies: Sequence[bytes], *, compressed: bool) -> bytes:
    """One window of events, numbered from 1 as the protocol's own clients do."""
    parts: list[bytes] = []
    for number, body in enumerate(bodies, 1):
        parts += (_DATA.pack(b"2J", number, len(body)), body)
    frames = b"".join(parts)
    if compressed:
        packed = zlib.compress(frames, _LEVEL)
        frames = _NUMBER.pack(b"2C", len(packed)) + packed
    return _NUMBER.pack(b"2W", len(bodies)) + frames


class NotLumberjack(ValueError):
    """What came is no acknowledgement; the message says what it looks like."""


def acknowledged(frame: bytes, sent: int) -> int:
    """How many events of a window of ``sent`` the server has, 0 for a sign of life. Raises NotLumberjack.

    ``frame`` has ``ACK_SIZE`` bytes, or fewer that begin otherwise.
    """
    if not frame.startswith(b"2A") or len(frame) < ACK_SIZE:
        raise NotLumberjack(_looks_like(frame))
    number: int = _NUMBER.unpack(frame)[1]
    if number > sent:
        raise NotLumberjack(f"an acknowledgement of event {number} of {sent}")
    return number


def _looks_like(frame: bytes) -> str:
    if frame[:1] in (b"\x15", b"\x16"):
        return "TLS: write lumberjack+tls://"
    if frame.startswith(b"HTTP"):
        return "HTTP: write logstash+http:// or logstash+https:// for an http input"
    if frame.startswith(b"1"):
        return "version 1 of Lumberjack, which has no JSON in it"
    return f"bytes that are no acknowledgement ({frame[:ACK_SIZE].hex(' ')})"
