"""What ends a wait before its time: a ``Waker`` for other threads, and ``Bells`` between the processes of a home."""

from __future__ import annotations

import os
import secrets
import select
import socket
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from clusterlog.errors import BusUnreachable


class HasDescriptor(Protocol):
    """Whatever can be waited for."""

    def fileno(self) -> int:
        """Its descriptor."""


class Waker:
    """Ends the wait of another thread. One that comes before the wait ends it, too."""

    def __init__(self) -> None:
        """Raises BusUnreachable where this process has no descriptor left."""
        try:
            self._here, self._there = socket.socketpair()
        except OSError as error:
            raise BusUnreachable(f"no link to a bus can be opened: {error.strerror or error}") from None
        for each in (self._here, self._there):
            each.setblocking(False)
        self._pid = os.getpid()

    def wake(self) -> None:
        """End the wait. Never raises; does nothing in a process that was forked off meanwhile, or once closed."""
        if self._pid == os.getpid():
            with suppress(OSError):  # full: it will end anyway
                self._there.send(b"\0")

    def wait(self, timeout_s: float, *beside: HasDescriptor) -> bool:
        """Wait until woken, or until there is something to read ``beside``, or for ``timeout_s``; whether woken."""
        poll = select.poll()
        for each in (self._here, *beside):
            poll.register(each.fileno(), select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(max(0.0, timeout_s) * 1000)}
        if self._here.fileno() not in ready:
            return False
        drain(self._here)
        return True

    def close(self) -> None:
        """Let go of both ends."""
        self._here.close()
        self._there.close()


class Bells:
    """A datagram socket per link in ``directory``: whoever changed something rings those of all others.

    A ring says nothing and may get lost: who hears it looks. Processes that ended leave their sockets behind, and
    whoever finds nobody there takes them away.
    """

    def __init__(self, directory: Path) -> None:
        """Hang up one's own. Raises OSError where there can be none: no right, no such sockets, too long a path."""
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory
        self._path = directory / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.bind(str(self._path))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """What can be waited for."""
        return self._socket.fileno()

    def hush(self) -> None:
        """Forget what rang until now."""
        drain(self._socket)

    def ring(self) -> None:
        """Ring those of all others. Never raises, never waits."""
        with suppress(OSError), os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.path != str(self._path):
                    self._ring(entry.path)

    def _ring(self, path: str) -> None:
        try:
            self._socket.sendto(b"\0", path)
        except ConnectionRefusedError:  # its process ended
            with suppress(OSError):
                os.unlink(path)
        except OSError:  # it has rung so often that there is no room, or it is being taken down
            pass

    def close(self, *, ours: bool = True) -> None:
        """Take it down; where it is not ``ours`` but a parent's, only let go of it."""
        if ours:
            with suppress(OSError):
                self._path.unlink()
        self._socket.close()


def drain(near: socket.socket) -> None:
    """Read what has come to a socket that does not block."""
    with suppress(OSError):
        while near.recv(1024):
            pass
