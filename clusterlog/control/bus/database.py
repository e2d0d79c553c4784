"""An SQLite database that several processes share and forks do not break.

SQLite must not be carried across a fork: a child that inherits an open file believes in locks that it does not hold,
and one forked while another thread was inside of SQLite waits for a mutex that nobody will release. So every use here
holds one lock of this process, a fork waits for it (and for no longer than ``_FORK_PATIENCE_S``), and closes what is
open before it happens; the parent opens it again when it next needs it. As a fork may have to wait, SQLite itself
never does: where somebody else is writing, it is asked again until ``PATIENCE_S`` have passed.
"""

from __future__ import annotations

import fcntl
import os
import random
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar
from weakref import WeakSet

from clusterlog.control.bus import base
from clusterlog.errors import BusUnreachable

Result = TypeVar("Result")

FORM = 1
"""The tables' version, kept as ``user_version``."""
_FORK_PATIENCE_S = 1.0
_LONGEST_PAUSE_S = 0.02
_READING = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0x4000_0002, 510, 0)
"""A lock as every reader of a database holds it: SQLite's SHARED_FIRST and SHARED_SIZE."""
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_WHY = {
    sqlite3.SQLITE_BUSY: "another process has held its lock for too long",
    sqlite3.SQLITE_PROTOCOL: "its locks do not work: is it on a network file system?",
    sqlite3.SQLITE_READONLY: "it cannot be written: look at the owner and the mode of the file and its directory",
    sqlite3.SQLITE_FULL: "there is no space left",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened or made: look at the owner and the mode of its directory",
    sqlite3.SQLITE_CORRUPT: "it is damaged: stop the processes of this home, and remove it",
    sqlite3.SQLITE_NOTADB: "it is damaged: stop the processes of this home, and remove it",
}


class Database:
    """The file ``path``, opened by this process alone; ``tables`` are made where they are not there yet."""

    def __init__(self, path: Path, tables: str) -> None:
        """Raises BusUnreachable where it cannot be opened and written."""
        self._path = path
        self._tables = tables
        self._pid = os.getpid()
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._seen: int | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BusUnreachable(f"{path}: {error.strerror or error}") from None
        with _calm:
            _all.add(self)

    @property
    def ours(self) -> bool:
        """Whether this process opened it, and not a parent."""
        return self._pid == os.getpid()

    def run(self, work: Callable[[sqlite3.Connection], Result], *, writing: bool = False) -> Result:
        """What ``work`` returns, done in one transaction. Raises BusUnreachable, and what ``work`` raises."""
        self._check_file()
        return self._patiently(lambda kept: _transaction(kept, work, writing))

    def changed(self) -> bool:
        """Whether somebody may have written since this was last asked."""
        self._check_file()
        version = self._patiently(lambda kept: int(kept.execute("PRAGMA data_version").fetchone()[0]))
        if version == self._seen:
            return False
        self._seen = version
        return True

    def look_again(self) -> None:
        """What is written here does not count as a change for ``changed``, unless this says so."""
        self._seen = None

    def close(self) -> None:
        """Close it. Never raises; in a forked child it does not touch what is the parent's."""
        self._closed = True
        # Not for ever: a signal's handler may close what its own thread is inside of.
        if self.ours and _calm.acquire(timeout=_FORK_PATIENCE_S):
            try:
                self.let_go()
            finally:
                _calm.release()

    def let_go(self, *, hastily: bool = False) -> None:
        """Close the file for now, ``hastily`` without waiting for the disk; only where nobody else is inside."""
        connection, self._connection = self._connection, None
        self._seen = None
        if connection is not None:
            with _as_if_read(self._path) if hastily else nullcontext(), suppress(sqlite3.Error):
                connection.close()

    def _patiently(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        end = time.monotonic() + base.PATIENCE_S
        pause = 0.0005
        while True:
            if self._closed or not self.ours:
                raise BusUnreachable("this link is closed, or a parent process opened it: open another one")
            try:
                with _calm:
                    return work(self._opened())
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if code not in _BUSY or time.monotonic() > end:
                    raise BusUnreachable(f"{self._path}: {_WHY.get(code, error)}") from None
            time.sleep(pause * (0.5 + random.random()))
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        connection = _connect(self._path)
        try:
            there = self._path.stat()
            if there.st_size == 0:
                self._path.chmod(0o600)  # before there are others, which take their modes from it
            file = (there.st_dev, there.st_ino)
            if self._file not in ((0, 0), file):
                raise BusUnreachable(f"{self._path}: there is another one in its place")
            self._prepare(connection)
        except OSError as error:
            connection.close()
            raise BusUnreachable(f"{self._path}: {error.strerror or error}") from None
        except BaseException:
            connection.close()
            raise
        self._file = file
        self._connection = connection
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise BusUnreachable(
                f"{self._path}: processes cannot share a file there (is it on a network file system?): "
                "set home to a local directory"
            )
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {1 << 20}")
        form = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if form > FORM:
            raise BusUnreachable(f"{self._path}: a newer clusterlog made it: update this one")
        if form < FORM:
            _transaction(connection, self._make, True)

    def _make(self, connection: sqlite3.Connection) -> None:
        for statement in self._tables.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {FORM}")

    def _check_file(self) -> None:
        """A file that was removed or replaced is still open here, and nobody else's any more."""
        if self._connection is None:
            return
        try:
            there = self._path.stat()
        except OSError:
            raise BusUnreachable(f"{self._path}: it is gone") from None
        if (there.st_dev, there.st_ino) != self._file:
            raise BusUnreachable(f"{self._path}: there is another one in its place")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)


def _transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], Result], writing: bool) -> Result:
    connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


@contextmanager
def _as_if_read(path: Path) -> Iterator[None]:
    """Let SQLite believe that somebody else reads the file: its last reader would write the log into it, and sync.

    The lock is one of an open file and not of the process, so that it stands against our own process, too.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        file = -1
    try:
        if file >= 0 and hasattr(fcntl, "F_OFD_SETLK"):
            with suppress(OSError):
                fcntl.fcntl(file, fcntl.F_OFD_SETLK, _READING)
        yield
    finally:
        if file >= 0:
            os.close(file)


_all: WeakSet[Database] = WeakSet()
_calm = threading.Lock()
_held = False


def _before_fork() -> None:
    global _held
    # Not for ever: a signal's handler may fork while its own thread is inside.
    _held = _calm.acquire(timeout=_FORK_PATIENCE_S)
    if _held:
        for each in tuple(_all):
            each.let_go(hastily=True)


def _after_fork() -> None:
    global _held
    if _held:
        _held = False
        _calm.release()


def _after_fork_in_child() -> None:
    global _calm, _held
    _calm, _held = threading.Lock(), False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
