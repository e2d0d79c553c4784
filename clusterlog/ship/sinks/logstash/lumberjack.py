"""Lumberjack, version 2: to Logstash's beats input and everything else that takes what Filebeat sends.

Every window is acknowledged by the number of its last event. Until then it may be there in part, or as a whole: what
was not acknowledged is sent again, under ids by which the store knows it.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from clusterlog.errors import Advice, StoreUnavailable
from clusterlog.ship.sinks.endpoint import Endpoint, is_alive
from clusterlog.ship.sinks.logstash.frames import ACK_SIZE, NotLumberjack, acknowledged, window
from clusterlog.ship.sinks.logstash.strict import joined, sorted_out
from clusterlog.store.base import STORED, Delivery, Outcome

ANSWER_S = 30.0
"""Without a sign of life. Servers send one every three to five seconds while a window waits."""
BLOCKED_S = 300.0
"""With signs of life and nothing else: a pipeline that takes nothing for so long is told about."""
IDLE_S = 30.0
"""Logstash ends connections on which nothing came for 60 s; before that, ours are not used any more."""
RESTS_S = 30.0
"""How long a host that could not be reached is passed over, if there are others."""
_PIECE = 64 << 10


class Broken(Exception):
    """A connection ended while a window was under way: ``events`` of it are acknowledged.

    ``silent``: nothing had come back of this window, not even a sign of life.
    """

    def __init__(self, message: str, events: int = 0, *, silent: bool = False, advice: Advice = "again") -> None:
        super().__init__(message)
        self.events = events
        self.silent = silent
        self.advice = advice


class Connection:
    """One connection, for one window at a time."""

    def __init__(self, endpoint: Endpoint, monotonic: Callable[[], float]) -> None:
        self.endpoint = endpoint
        self._monotonic = monotonic
        self._socket = endpoint.connect()
        self._socket.settimeout(ANSWER_S)
        self.used_at = monotonic()
        self.is_new = True

    def send(self, frames: bytes, events: int) -> None:
        """Send a window and return when all its events are acknowledged. Raises Broken."""
        has = 0
        heard = False
        begun = self._monotonic()
        try:
            self._write(frames)
            while has < events:
                number = acknowledged(self._read(), events)
                heard = True
                if number > has:
                    has, begun = number, self._monotonic()
                elif self._monotonic() - begun > BLOCKED_S:
                    told = (
                        f"alive, but has not taken {events - has} events for {BLOCKED_S:g} s: its pipeline is blocked"
                    )
                    raise Broken(f"{self.endpoint.url}: {told}", has, advice="slower")
        except NotLumberjack as error:
            raise Broken(f"{self.endpoint.url}: answers with {error}", has, advice="wait") from None
        except TimeoutError:
            told = f"{self.endpoint.url}: no acknowledgement and no sign of life within {ANSWER_S:g} s"
            raise Broken(told, has, advice="slower") from None
        except OSError as error:
            raise Broken(self._ending(error, has, events), has, silent=not heard) from None
        self.used_at, self.is_new = self._monotonic(), False

    def _write(self, frames: bytes) -> None:
        """Piece by piece, so that the time-out is for each of them and not for a slow network as a whole."""
        left = memoryview(frames)
        try:
            while left:
                left = left[self._socket.send(left[:_PIECE]) :]
        except OSError:
            # What the server said before it closed says more: that it wants a certificate, say.
            self._socket.settimeout(1.0)
            with suppress(TimeoutError, ConnectionError):
                self._socket.recv(1)
            raise

    def _read(self) -> bytes:
        frame = b""
        while len(frame) < ACK_SIZE:
            more = self._socket.recv(ACK_SIZE - len(frame))
            if not more:
                raise ConnectionResetError
            frame += more
            if not b"2A".startswith(frame[:2]):  # nothing that goes on as an acknowledgement would
                break
        return frame

    def _ending(self, error: OSError, has: int, events: int) -> str:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return self.endpoint.trouble(error)
        told = (
            f"closed the connection after {has} of {events} events" if has else "closed the connection without an ack"
        )
        hint = ""
        if self.is_new and not has:
            hint = "; does it want a certificate of ours?" if self.endpoint.has_tls else "; does it speak TLS?"
        return f"{self.endpoint.url}: {told}{hint}"

    def is_usable(self) -> bool:
        """Whether it has not been idle for too long, and stands as far as is known."""
        return self._monotonic() - self.used_at < IDLE_S and is_alive(self._socket)

    def close(self) -> None:
        """Close it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class LumberjackSink:
    """Sends each batch as one window to one of the hosts. Threads may share it; each has a connection meanwhile."""

    def __init__(
        self, endpoints: Sequence[Endpoint], *, compressed: bool, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._compressed = compressed
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._resting: dict[Endpoint, float] = {}
        self._turn = 0
        self._closed = False

    def deliver(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Stored is what is acknowledged. Where that is a part only, the rest is to be sent again.

        Raises StoreUnavailable, whose ``advice`` says how to go on, if nothing was acknowledged.
        """
        bodies, refused = sorted_out(batch)
        if not bodies:
            return joined((), refused)
        frames = window(bodies, compressed=self._compressed)
        try:
            self._send(frames, len(bodies))
        except Broken as broken:
            if not broken.events:
                raise StoreUnavailable(str(broken), broken.advice) from None
            rest = Outcome("retry", str(broken))
            return joined([STORED] * broken.events + [rest] * (len(bodies) - broken.events), refused)
        return joined([STORED] * len(bodies), refused)

    def _send(self, frames: bytes, events: int) -> None:
        """An idle connection may have ended without our knowledge: that is no trouble worth telling of."""
        while True:
            connection = self._taken() or self._opened()
            was_idle = not connection.is_new
            try:
                connection.send(frames, events)
            except BaseException as error:
                connection.close()
                if was_idle and isinstance(error, Broken) and error.silent:
                    continue
                raise
            self._give_back(connection)
            return

    def _taken(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.close()

    def _opened(self) -> Connection:
        """To the hosts in turn; one that cannot be reached rests, and is asked after all others."""
        with self._lock:
            self._turn += 1
            turned = [self._endpoints[(self._turn + at) % len(self._endpoints)] for at in range(len(self._endpoints))]
            now = self._monotonic()
            turned.sort(key=lambda each: self._resting.get(each, now) > now)
        told: list[str] = []
        for endpoint in turned:
            try:
                made = Connection(endpoint, self._monotonic)
            except StoreUnavailable as error:
                told.append(str(error))
                with self._lock:
                    self._resting[endpoint] = self._monotonic() + RESTS_S
                continue
            with self._lock:
                self._resting.pop(endpoint, None)
            return made
        raise StoreUnavailable("; ".join(told))

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def flush(self) -> None:
        """Nothing is held back here: what is acknowledged is in the queue of the far end."""

    def close(self) -> None:
        """Close all connections that are not in use. Idempotent."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for connection in idle:
            connection.close()
