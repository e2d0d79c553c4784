"""One of the two files an instance appends to: the bulk lane, or the priority lane for WARNING and above."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from clusterlog.spool import descriptor
from clusterlog.spool.segment import HEADER, HEADER_SIZE, LANES, MAGIC, PRIORITY, SECOND_NS, VERSION, Head, SegmentName

ROTATE_NS = 15 * 60 * 1_000_000_000
LOOK_BYTES = 256 << 10
RETRY_NS = 1_000_000_000
"""How long a lane in trouble is left alone before the next try."""

_REASONS = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_quota",
    errno.EROFS: "disk_read_only",
    errno.EIO: "disk_error",
}
FULL = frozenset({"disk_full", "disk_quota"})


def reason_of(error: OSError) -> str:
    """The drop reason an error of the operating system stands for."""
    code = error.errno or 0
    return _REASONS.get(code) or "spool_" + errno.errorcode.get(code, "error").lower()


class Lane:
    """The open segment of a lane and its state.

    ``[since, until)`` are the wall-clock nanoseconds in which an append may go straight to the file, up to the offset
    ``room``: two comparisons on the hot path cover age, size, trouble, a sync that is due, and that ``stamp`` is the
    one for the ``second`` (in nanoseconds). ``header`` is a record's header without its numbers. An ``eager`` lane is
    synced at every event.
    """

    __slots__ = (
        "born",
        "eager",
        "fd",
        "file",
        "flags",
        "header",
        "name",
        "number",
        "offset",
        "retry_at",
        "room",
        "second",
        "seed",
        "since",
        "stamp",
        "trouble",
        "unsynced",
        "until",
    )

    def __init__(self, priority: bool, eager: bool = False) -> None:
        self.name = LANES[priority]
        self.flags = PRIORITY if priority else 0
        self.header = bytearray(HEADER.pack(MAGIC, VERSION, self.flags, HEADER_SIZE, 0, 0, 0, 0))
        self.eager = eager
        self.stamp = b""
        self.second = 0
        self.number = 0
        self.fd = -1
        self.file = descriptor.NONE
        self.seed = 0
        self.offset = 0
        self.room = 0
        self.born = 0
        self.since = 0
        self.until = 0
        self.trouble = ""
        self.retry_at = 0
        self.unsynced = False

    def rests(self, now: int) -> bool:
        """Whether the lane is in trouble and it is too early to try again."""
        return bool(self.trouble) and self.retry_at - RETRY_NS <= now < self.retry_at

    def resume(self, now: int, segment_bytes: int) -> bool:
        """Go on with the open segment, if there is one with room and not too old."""
        if self.fd < 0 or self.offset >= segment_bytes or not self.born <= now < self.born + ROTATE_NS:
            return False
        self.trouble = ""
        return True

    def begin(self, spool: Path, instance: str, now: int) -> None:
        """Open the next segment. Raises OSError; the old one stays open then."""
        self.number += 1  # used up even if the opening is interrupted
        name = SegmentName(instance, self.name, self.number)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(spool / str(name), flags, 0o600)
        self.shut()
        self.fd, self.file, self.seed, self.offset = fd, descriptor.identity(fd), name.seed, 0
        self.trouble, self.born = "", now

    def aim(self, head: Head, ns: int, now: int, due: int, segment_bytes: int) -> None:
        """Let events of the second of ``ns`` go straight to the file, until something else is to be done at ``due``.

        Events may claim any time, so by theirs alone nothing might ever be due: one that claims another time than now
        is let through alone, and after so many bytes the clock is looked at in any case.
        """
        second = ns // SECOND_NS
        begin, end = second * SECOND_NS, (second + 1) * SECOND_NS
        if begin != self.second or not self.stamp:
            self.stamp, self.second = head(second), begin
        present = begin <= now < end
        self.since = begin if present else 0
        self.until = min(end, due, self.born + ROTATE_NS) if present else 0
        self.room = min(segment_bytes, self.offset + LOOK_BYTES)

    def stop(self, reason: str, now: int) -> None:
        """Remember the trouble and leave the lane alone for a while; an open segment stays open."""
        self.trouble, self.retry_at = reason, now + RETRY_NS
        self.since = self.until = 0

    def cut_back(self) -> None:
        """Take half a record away again; if even that fails, leave the segment."""
        try:
            os.ftruncate(self.fd, self.offset)
        except OSError:
            self.shut()

    def intact(self) -> bool:
        """Whether the open segment, if there is one, is still the file that was opened, and has a name."""
        return self.fd < 0 or descriptor.intact(self.fd, self.file)

    def shut(self) -> None:
        """Close the segment, unless its descriptor has become somebody else's."""
        self.since = self.until = 0
        self.unsynced = False
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            descriptor.close(fd, self.file)
