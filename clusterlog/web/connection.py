"""One connection: how long it may keep others from having it, and which goes first when there are too many.

A token is looked at when a request's head is there, so what comes before that is anybody's: a connection on which
nothing comes, a head that comes letter by letter (16 KiB of it at most), an answer that is not taken. Each of these is
ended after a time, and where all connections are taken, the one that has been idle longest makes room.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_S = 20
"""How long the head of a request may take, from the connection or its first byte on."""
TAKEN_S = 300
"""How long nothing of an answer may be taken."""
MOST = 1_000
SPARE = 64
"""Connections beyond those that are answered: somebody makes room for them, or they begin TLS."""
_MOST_FILES = 4_096
_OWN_FILES = 256
"""Descriptors for the store, the spools and what else a server has open."""


def most_connections() -> int:
    """How many connections this process may have and still open its files; their limit is raised where it can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(_MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):  # what cannot be raised is enough for fewer
            pass
    if soft == resource.RLIM_INFINITY:
        return MOST
    return max(1, min(MOST, soft - _OWN_FILES if soft >= 2 * _OWN_FILES else soft // 4))


class Listener(socket.socket):
    """Takes no more connections than there are descriptors for; ``most`` is how many. One too many is closed at once.

    Whoever accepts for asyncio takes all that wait before the first of them is looked at, and those that begin TLS are
    nobody's yet: without this a crowd of them would take the descriptors from the store and the shipper.
    """

    most: int | None = None
    _taken: tuple[socket.socket, ...] = ()

    def accept(self) -> tuple[socket.socket, Any]:
        """As ``socket.accept``; raises ``BlockingIOError`` as well where there are too many."""
        taken, address = super().accept()
        if self.most is not None:
            if len(self._taken) >= self.most:
                self._taken = tuple(each for each in self._taken if each.fileno() >= 0)
            if len(self._taken) >= self.most:
                taken.close()
                raise BlockingIOError(errno.EAGAIN, "too many connections")
            self._taken += (taken,)
        return taken, address


class Connection(H11Protocol):
    """uvicorn's connection with times for what it waits for without end; it bounds a request's head already."""

    _due: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _heard = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A head is due; somebody else may have to go."""
        super().connection_made(transport)
        self._heard = self.loop.time()
        if self.limit_concurrency is not None:
            _make_room(self, self.limit_concurrency)
        self._due = self.loop.call_later(HEAD_S, self._end)

    def data_received(self, data: bytes) -> None:
        """More of a request. Its head is due so long after its first byte, however often more of it comes."""
        self._heard = self.loop.time()
        super().data_received(data)
        if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            self._set_due(False)
        elif self._due is None:
            self._set_due(True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        self._set_due(False)
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The other end takes nothing for now."""
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(TAKEN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        stuck, self._stuck = self._stuck, None
        if stuck is not None:
            stuck.cancel()

    @property
    def idle_since(self) -> float | None:
        """When it was last heard of, ``None`` while it is being answered."""
        cycle: RequestResponseCycle | None = self.cycle  # there is none before the first request
        return self._heard if cycle is None or cycle.response_complete else None

    def _set_due(self, due: bool) -> None:
        before, self._due = self._due, self.loop.call_later(HEAD_S, self._end) if due else None
        if before is not None:
            before.cancel()

    def _end(self) -> None:
        self._due = None
        if not self.transport.is_closing():
            self.transport.close()


def _make_room(newest: Connection, most: int) -> None:
    """End those that have been idle longest, so that this one is answered."""
    if len(newest.connections) < most:
        return
    there = [each for each in newest.connections if isinstance(each, Connection) and not each.transport.is_closing()]
    waiting = [(since, each) for each in there if each is not newest and (since := each.idle_since) is not None]
    for _, each in sorted(waiting, key=lambda found: found[0])[: max(0, len(there) - most + 1)]:
        each.transport.close()
