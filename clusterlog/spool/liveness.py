"""Whether the writer of an instance lives: a POSIX record lock, free the moment its process is gone.

The lock is ``fcntl.lockf`` on ``<instance>.lock``. Such a lock is not inherited by children (a ``flock`` would be,
and would outlive the writer), but any close of that file by the same process drops it: so the file is opened once and
never again in that process. ``HELD`` remembers what this process holds.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

if sys.platform != "win32":  # there, nothing here is ever called: start() has no spool
    import fcntl

HELD: set[str] = set()
"""Real paths of the lock files this very process holds; emptied in a forked child."""

_FLOCK = struct.Struct("hhqqi4x")


def take(path: Path) -> int:
    """Create ``path`` already locked and return its descriptor; it is never visible unlocked.

    Raises OSError when the directory cannot be written.
    """
    hidden = path.with_name(f".{path.name}")
    fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(hidden, path)
    except OSError:
        os.close(fd)
        raise
    HELD.add(_key(path))
    return fd


def holder(path: Path) -> int:
    """The process id that holds the lock at ``path``; 0 if nobody does, -1 if it is one of another pid namespace.

    Asks without taking: no lock is disturbed.
    """
    if _key(path) in HELD:
        return os.getpid()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return 0
    try:
        answer = fcntl.fcntl(fd, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    finally:
        os.close(fd)
    kind, _, _, _, pid = _FLOCK.unpack(answer)
    return 0 if kind == fcntl.F_UNLCK else pid or -1


def release(path: Path, fd: int) -> None:
    """Give the lock up and take its file away."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a directory that may not be written any more; whoever ships it takes the file away
        pass
    HELD.discard(_key(path))
    os.close(fd)


def abandon(path: Path) -> None:
    """The lock was lost with its descriptor or its file: this process holds it no more."""
    HELD.discard(_key(path))


def forget() -> None:
    """A forked child holds nothing: record locks stay with the parent."""
    HELD.clear()


def _key(path: Path) -> str:
    return os.path.realpath(path)


def hold(path: Path) -> int:
    """Lock ``path``, made if it is not there, and return its descriptor; -1 while another process holds it.

    For locks that stay at their place when they are let go. Raises OSError when the file cannot be opened.
    """
    if _key(path) in HELD:
        return -1
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return -1
    HELD.add(_key(path))
    return fd


def let_go(path: Path, fd: int) -> None:
    """Unlock what ``hold`` locked; the file stays."""
    HELD.discard(_key(path))
    os.close(fd)
