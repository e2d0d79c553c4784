"""Where events go when no file takes them: one JSON line each on standard error."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from clusterlog.spool.budget import Ledger
from clusterlog.spool.segment import Head, numbered


def complain(payload: bytes) -> None:
    """Write one event to standard error; a closed or full one is nobody's fault."""
    try:
        os.write(2, payload + b"\n")
    except OSError:
        return


class LastResort:
    """Takes what no file of a spool takes; says once for each reason why it does."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._said: set[str] = set()

    def __call__(self, reason: str, payload: bytes) -> None:
        """Print one event, or, with the reason ``untold``, one sentence."""
        if reason == "untold":
            complain(b"clusterlog: " + payload)
            return
        if reason not in self._said:
            self._said.add(reason)
            complain(f"clusterlog: cannot write {self._spool} ({reason}): events go to stderr".encode())
        complain(payload)


class StderrWriter:
    """Stands in for the spool's writer where there can be no spool: a network file system, or no POSIX."""

    def __init__(self, head: Callable[[str], Head], new_instance: Callable[[], str]) -> None:
        self.ledger = Ledger()
        self._make_head = head
        self._new_instance = new_instance
        self.after_fork()

    def append(self, priority: bool, ns: int, rest: bytes, flags: int = 0) -> None:
        """Number and print one document."""
        with self._lock:
            self.sequence += 1
            complain(numbered(self._head, ns, self.sequence) + rest)

    def flush(self, timeout: float = 1.0) -> bool:
        """Nothing is held back."""
        return True

    def close(self, ns: int, *, reopen: bool = False) -> None:
        """Nothing is open."""

    def after_fork(self) -> None:
        """A child numbers its own."""
        self._lock = threading.RLock()
        self._head = self._make_head(self._new_instance())
        self.sequence = 0
