"""A worker's place among those of its home: locks that are free the moment their process is gone."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Protocol

MOST_WORKERS = 1024
"""Numbers that are tried for a worker; one beyond them has none."""


class Locks(Protocol):
    """Record locks, as ``clusterlog.spool.liveness`` has them; ``start`` hands them over."""

    def take(self, path: Path) -> int:
        """Make ``path`` already locked. Raises OSError."""

    def release(self, path: Path, fd: int) -> None:
        """Give the lock up and take its file away."""

    def hold(self, path: Path) -> int:
        """Lock a file that stays; -1 while another process holds it. Raises OSError."""

    def let_go(self, path: Path, fd: int) -> None:
        """Unlock what ``hold`` locked."""

    def holder(self, path: Path) -> int:
        """The process that holds ``path``; 0 for none, -1 for one of another pid namespace."""


class Seat:
    """Three locks: its own, by which others see that it lives; its number; the keeper's chair, where it is free.

    The keeper is one worker of the home: it speaks for all of them, and tidies up after those that were killed.
    """

    def __init__(self, directory: Path, locks: Locks, instance: str, service: str, node: str) -> None:
        """``directory`` is that of control in the home. Raises OSError where nothing can be locked there."""
        self._directory = directory
        self._locks = locks
        self._held: list[tuple[Path, int]] = []
        self._keepers = directory / "agent.lock"
        self._own = directory / f"{instance}.lock"
        self._fd = locks.take(self._own)
        self.number = self._numbered(hashlib.sha256(f"{service}\0{node}".encode("utf-8", "replace")).hexdigest()[:12])
        self.keeper = False

    def _numbered(self, name: str) -> int:
        for number in range(1, MOST_WORKERS + 1):
            if self._hold(self._directory / f"{name}-{number}.number"):
                return number
        return 0

    def try_chair(self) -> bool:
        """Take the keeper's chair if it is free; whether it is this worker's."""
        if not self.keeper:
            with suppress(OSError):
                self.keeper = self._hold(self._keepers)
        return self.keeper

    def lives(self, instance: str) -> bool:
        """Whether the worker of an instance of this home lives."""
        return self._locks.holder(self._directory / f"{instance}.lock") != 0

    def leave(self) -> None:
        """Give up all of it."""
        for path, fd in self._held:
            with suppress(OSError):
                self._locks.let_go(path, fd)
        self._held.clear()
        self.keeper = False
        if self._fd >= 0:
            with suppress(OSError):
                self._locks.release(self._own, self._fd)
            self._fd = -1

    def _hold(self, path: Path) -> bool:
        fd = self._locks.hold(path)
        if fd >= 0:
            self._held.append((path, fd))
        return fd >= 0
