"""``file:PATH`` and ``stdout:``: one document a line."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from clusterlog.errors import NotAllowed, SettingError, StoreUnavailable
from clusterlog.store.base import DUPLICATE, STORED, Delivery, Outcome

REMEMBERED_BYTES = 64 << 20
"""How much of the file's end is read when it is opened, to know what a killed shipper had already written."""


class FileSink:
    """Appends to a file of its own. What the file's end already holds is answered as a duplicate.

    A file that was renamed or removed (by logrotate, say) is made anew at its path with the next batch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        # What was written before the last flush is acknowledged by now, and will not be delivered again.
        self._older: set[str] = set()
        self._newer: set[str] = set()
        try:
            self._open()
        except PermissionError:
            raise NotAllowed(f"cannot write {path}: permission denied") from None
        except OSError as error:
            raise SettingError(f"cannot write {path}: {error.strerror}") from None

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._newer |= self._recover()

    def _recover(self) -> set[str]:
        """Cut half a line off the end, and remember the ids of the last whole ones."""
        size = os.fstat(self._fd).st_size
        start = max(0, size - REMEMBERED_BYTES)
        tail = os.pread(self._fd, size - start, start)
        whole = tail.rfind(b"\n") + 1
        if whole != len(tail) and (whole or not start):
            os.ftruncate(self._fd, start + whole)
        lines = tail[:whole].split(b"\n")[1 if start else 0 : -1]
        return {found for found in map(_event_id, lines) if found}

    def _follow(self) -> None:
        """Open the path again if it leads to another file than the one that is open, or to none."""
        mine = os.fstat(self._fd)
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            self._open()
            return
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            self._open()

    def deliver(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Append what is not there yet in one write; a short one is taken back. Raises StoreUnavailable."""
        new = [each for each in batch if each.id not in self._newer and each.id not in self._older]
        data = b"".join(each.body + b"\n" for each in new)
        try:
            self._follow()
            before = os.fstat(self._fd).st_size
            written = os.write(self._fd, data) if data else 0
        except OSError as error:
            raise StoreUnavailable(f"cannot write {self.path}: {error.strerror}") from None
        if written != len(data):
            os.ftruncate(self._fd, before)
            raise StoreUnavailable(f"cannot write {self.path}: no space left")
        fresh = {each.id for each in new}
        self._newer |= fresh
        return [STORED if each.id in fresh else DUPLICATE for each in batch]

    def flush(self) -> None:
        """fdatasync."""
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            raise StoreUnavailable(f"cannot sync {self.path}: {error.strerror}") from None
        self._older, self._newer = self._newer, set()

    def close(self) -> None:
        """Sync and close. Idempotent."""
        if self._fd >= 0:
            self.flush()
            fd, self._fd = self._fd, -1
            os.close(fd)


class StandardOutput:
    """Prints documents. What a killed shipper had printed is printed again."""

    def deliver(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Print the batch. Raises StoreUnavailable when nobody reads any more."""
        try:
            sys.stdout.buffer.write(b"".join(each.body + b"\n" for each in batch))
            sys.stdout.buffer.flush()
        except OSError as error:
            raise StoreUnavailable(f"cannot write to standard output: {error.strerror}") from None
        return [STORED] * len(batch)

    def flush(self) -> None:
        """Printed is printed."""

    def close(self) -> None:
        """Standard output belongs to somebody else."""


_OWN_ID = re.compile(rb'"event":\{"id":"([0-9a-f]{32}-[0-9a-f]{11})"')


def _event_id(line: bytes) -> str:
    own = _OWN_ID.search(line, 0, 512)  # where our encoder puts it; parsing every line takes twenty times as long
    if own:
        return own[1].decode()
    try:
        return str(json.loads(line)["event"]["id"])
    except (ValueError, KeyError, TypeError):
        return ""
