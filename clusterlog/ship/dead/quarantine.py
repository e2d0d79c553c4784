"""Keeping letters: each durable when it is acknowledged, all of them in bounded space.

They lie in segments of the spool's own format, so a torn tail costs one letter and every tool that reads a spool
reads them. A letter's payload is a line of JSON that says what and why, and then the event's exact bytes.
"""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

from clusterlog.ship.acknowledged import sync_directory
from clusterlog.ship.dead.letters import Cause, Letter, encoded, letters_of, locked, segments
from clusterlog.spool.budget import SEGMENT_BYTES, used_bytes
from clusterlog.spool.segment import PRIORITY, SegmentName, frame
from clusterlog.store.base import Delivery

DISK_LIMIT = 256 << 20


class Quarantine:
    """Keeps letters in the directory ``dead``, which is made with the first one."""

    def __init__(self, directory: Path, writer_id: str, sink: str) -> None:
        self._directory = directory
        self._name = SegmentName(writer_id, "priority", 0)
        self._sink = sink
        self._sequence = 0
        self._offset = 0
        self._fd = -1
        self._dropped: list[tuple[str, int]] = []

    def keep(
        self, delivery: Delivery, reason: str, wall_ns: int, *, cause: Cause = "refused", attempts: int = 1
    ) -> None:
        """Write one letter durably. Raises OSError; then the event must stay in the spool."""
        instance, number = delivery.account
        letter = Letter(delivery.id, instance, number, self._sink, reason, wall_ns, delivery.body, cause, attempts)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self._directory):
            if self._fd < 0 or self._offset >= SEGMENT_BYTES or not self._is_here():
                self._begin_segment()
            self._sequence += 1
            data = frame(encoded(letter), PRIORITY, self._sequence, wall_ns, self._name.seed)
            written = os.write(self._fd, data)
            if written != len(data):
                os.ftruncate(self._fd, self._offset)
                raise OSError(errno.ENOSPC, "short write", str(self._directory))
            self._offset += written
            os.fdatasync(self._fd)

    def take_dropped(self) -> list[tuple[str, int, int]]:
        """Instance, first and last number of what had to make room since this was asked last."""
        dropped, self._dropped = sorted(set(self._dropped)), []
        runs: list[tuple[str, int, int]] = []
        for instance, number in dropped:
            if runs and runs[-1][0] == instance and runs[-1][2] == number - 1:
                runs[-1] = instance, runs[-1][1], number
            else:
                runs.append((instance, number, number))
        return runs

    def _is_here(self) -> bool:
        """Whether the open file is still the one of that name: letters may have been taken out of it meanwhile."""
        mine = os.fstat(self._fd)
        try:
            there = os.stat(self._directory / str(self._name))
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def _begin_segment(self) -> None:
        self.close()
        self._make_room()
        self._name = replace(self._name, number=self._name.number + 1)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._directory / str(self._name), flags, 0o600)
        for each in (self._directory, self._directory.parent):  # names must outlive a power cut as letters do
            sync_directory(each)
        self._offset = 0

    def _make_room(self) -> None:
        """Remove the oldest letters beyond the limit."""
        names = segments(self._directory)
        while names and used_bytes(self._directory) + SEGMENT_BYTES > DISK_LIMIT:
            oldest = self._directory / str(names.pop(0))
            self._dropped += [(letter.instance, letter.sequence) for letter in letters_of(oldest)]
            oldest.unlink()

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
