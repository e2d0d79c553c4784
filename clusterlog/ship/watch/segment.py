"""One segment, followed: opened once, so that what a shipper removes is still read to its end."""

from __future__ import annotations

import os
from pathlib import Path

from clusterlog.ship.acknowledged import IntervalSet
from clusterlog.spool.segment import HEADER, HEADER_SIZE, MAGIC, MAX_PAYLOAD, Record, SegmentName, scanned

CHUNK = MAX_PAYLOAD + HEADER_SIZE
"""Bytes one look reads of one segment at most: room for the longest record."""


class FollowedSegment:
    """A segment that is read on and on. ``final``: nothing will be added to it any more."""

    def __init__(self, spool: Path, name: SegmentName) -> None:
        self.name = name
        self.final = False
        self._offset = 0
        self._fd = os.open(spool / str(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def pass_by(self, known: IntervalSet) -> None:
        """Go behind the first records, as far as their numbers are ``known``, by their headers alone.

        That is ten times as fast as reading them. Where a header does not lead to the next, all of it will be read.
        """
        data = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        position, end = 0, len(data) - HEADER_SIZE
        while position <= end:
            magic, _, _, header_len, size, _, sequence, _ = HEADER.unpack_from(data, position)
            if magic != MAGIC or header_len < HEADER_SIZE:
                return
            if sequence not in known or position + header_len + size > len(data):
                break
            position += header_len + size
        self._offset = position

    def read(self) -> tuple[list[Record], bool]:
        """What was added since, at most ``CHUNK`` bytes of it, and whether there may be more at once."""
        data, start = os.pread(self._fd, CHUNK, self._offset), self._offset
        at_end = len(data) < CHUNK
        records = []
        for item in scanned(data, self.name.seed, start):
            if isinstance(item, Record):
                records.append(item)
            elif item.tail and (not at_end or not self.final):
                # The beginning of a record: its rest is behind the chunk, or not written yet.
                if not at_end and item.offset == start:
                    self._offset += _next_beginning(data)
                break
            self._offset = item.end
        return records, not at_end

    def close(self) -> None:
        """Let go. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _next_beginning(damaged: bytes) -> int:
    """How far behind the first byte of a chunk without a whole record the next record can begin."""
    found = damaged.find(MAGIC, 1)
    return found if found > 0 else len(damaged) - len(MAGIC) + 1
