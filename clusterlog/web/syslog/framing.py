"""Bytes of a stream as syslog messages: counted ones and lines, as they come, on one connection (RFC 6587). Pure.

A message that begins with its length is counted (3.4.1), any other ends with its line (3.4.2). A wrong count loses the
beat; then the next thing that looks like a counted message is one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = (1 << 20) + (64 << 10)
"""Bytes of one message: the longest event with a head before it. What is longer is cut there."""
_LONGEST_COUNT = 16 << 20
"""A count beyond this is none: it would swallow what comes behind."""

_FILLER = re.compile(rb"[\r\n\0 ]*")
_COUNT = re.compile(rb"([1-9][0-9]{0,8}) (?=<)")
_COUNT_BEGUN = re.compile(rb"[1-9][0-9]{0,8} ?")
_BEAT = re.compile(rb"[1-9][0-9]{0,8} <[0-9]{1,3}>1 ")
_LONGEST_BEAT = 17
_TRAILER = b"\r\n\0"
_TO_END_OF_LINE = -1


class Frame(NamedTuple):
    """A message. One that is not ``whole`` was too long, or its connection ended in it."""

    data: bytes
    whole: bool


class Frames:
    """Cuts the stream of one connection; ``misframed`` counts where a message should have begun, and none did."""

    def __init__(self, longest: int = LONGEST) -> None:
        self.misframed = 0
        self._longest = longest
        self._held = bytearray()
        self._seen = 0
        self._skip = 0
        self._counts = False

    @property
    def size(self) -> int:
        """Bytes that are kept until the rest of their message has come."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Frame]:
        """The messages that are complete with these bytes."""
        self._held += data
        found: list[Frame] = []
        at = 0
        while (after := self._next(at, found)) is not None:
            at = after
        del self._held[:at]
        self._seen = max(0, self._seen - at)
        return found

    def end(self) -> list[Frame]:
        """The connection has ended: what is left. A line needs no end of its own then."""
        rest, skipping = bytes(self._held), self._skip
        self._held.clear()
        if skipping or not rest.strip(b"\r\n\0 "):
            return []
        counted = _COUNT.match(rest)
        if counted:
            return [Frame(rest[counted.end() :], False)]
        return [Frame(rest.rstrip(_TRAILER), not self._counts)]

    def _next(self, at: int, found: list[Frame]) -> int | None:
        """Where it goes on behind the message at ``at``; ``None`` where more has to come first."""
        held = self._held
        if self._skip:
            return self._skipped(at)
        begin = _FILLER.match(held, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if begin == len(held):
            return begin if begin > at else None
        counted = _COUNT.match(held, begin)
        if counted and int(counted[1]) <= _LONGEST_COUNT:
            return self._counted(counted.end(), int(counted[1]), found)
        if counted is None and len(held) - begin <= 10 and _COUNT_BEGUN.fullmatch(held, begin):
            return None
        return self._line(begin, found)

    def _skipped(self, at: int) -> int | None:
        left = len(self._held) - at
        if not left:
            return None
        if self._skip == _TO_END_OF_LINE:
            end = self._held.find(b"\n", at)
            if end < 0:
                return len(self._held)
            self._skip = 0
            return end + 1
        over = min(self._skip, left)
        self._skip -= over
        return at + over

    def _counted(self, begin: int, count: int, found: list[Frame]) -> int | None:
        self._counts = True
        size = min(count, self._longest)
        if len(self._held) - begin < size:
            return None
        data = bytes(self._held[begin : begin + size])
        found.append(Frame(data.rstrip(_TRAILER), size == count))
        self._skip = count - size
        return begin + size

    def _line(self, begin: int, found: list[Frame]) -> int | None:
        held = self._held
        start = max(begin, self._seen - _LONGEST_BEAT)
        end = held.find(b"\n", start)
        after = end + 1
        if self._counts and (beat := _BEAT.search(held, start, end if end >= 0 else len(held))):
            end = after = beat.start()
        if end < 0 and len(held) - begin <= self._longest:
            self._seen = len(held)
            return None
        whole = 0 <= end <= begin + self._longest
        data = bytes(held[begin : end if whole else begin + self._longest])
        self.misframed += self._counts
        found.append(Frame(data.rstrip(_TRAILER), whole and not self._counts))
        if end < 0:
            self._skip = _TO_END_OF_LINE
            return len(held)
        return after
