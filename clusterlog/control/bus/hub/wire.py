"""One HTTP connection on which nothing takes longer than it may: every wait ends at a time, however little comes."""

from __future__ import annotations

import http.client
import io
import os
import select
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clusterlog.control.bus import base
from clusterlog.control.bus.hub.protocol import MOST_ANSWER
from clusterlog.errors import BusUnreachable
from clusterlog.settings.servers.hosts import Host
from clusterlog.settings.servers.trust import AuthorityFound, Pin, WrongFingerprint, presented

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})


@dataclass(frozen=True, slots=True)
class Way:
    """How a host is reached. ``context`` verifies and ``pin`` knows a fingerprint; without both there is no TLS."""

    host: Host
    headers: Mapping[str, str]
    context: ssl.SSLContext | None = None
    pin: Pin | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    content: bytes


class Wire:
    """A connection, made when it is first asked something. What raises BusUnreachable leaves it closed."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._name = way.host.url
        self._pid = os.getpid()
        self._timed: _Timed | None = None
        self._http: http.client.HTTPConnection | None = None

    def fileno(self) -> int:
        """What can be waited for."""
        return self._timed.socket.fileno() if self._timed is not None else -1

    def ask(self, method: str, path: str, body: bytes | None = None, *, anew: bool = True) -> None:
        """Send a request. ``anew`` is whether a connection that was ended meanwhile may be replaced by another one.

        One that the server has announced to end always is. Raises BusUnreachable.
        """
        if os.getpid() != self._pid:
            raise BusUnreachable(f"{self._name}: a parent process opened this link: open another one")
        try:
            if self._timed is not None and self._timed.is_stale():
                if not anew:
                    raise http.client.RemoteDisconnected("closed")
                self.close()
            connection, timed = self._opened()
            timed.end = time.monotonic() + base.PATIENCE_S
            connection.request(method, path, body, dict(self._way.headers))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._lost(error) from None

    def has_come(self) -> bool:
        """Whether an answer has begun to come; what only TLS has to say is none. Raises BusUnreachable."""
        try:
            return self._timed is not None and self._timed.has_come()
        except OSError as error:
            raise self._lost(error) from None

    def answer(self) -> Answer:
        """The answer, whole. Raises BusUnreachable."""
        assert self._http is not None, "something was asked"
        assert self._timed is not None, "over a connection"
        self._timed.end = time.monotonic() + base.PATIENCE_S
        try:
            with self._http.getresponse() as response:
                content = response.read(MOST_ANSWER + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._lost(error) from None
        if len(content) > MOST_ANSWER:
            raise self._lost(ValueError("too much"))
        if response.will_close:
            self.close()
        return Answer(response.status, content)

    def close(self) -> None:
        """Let go of it. Never raises."""
        timed, self._timed, self._http = self._timed, None, None
        if timed is not None:
            with suppress(OSError):
                timed.socket.close()

    def _opened(self) -> tuple[http.client.HTTPConnection, _Timed]:
        if self._http is None or self._timed is None:
            self._timed = _Timed(self._connected())
            host = self._way.host
            self._http = http.client.HTTPConnection(f"[{host.name}]" if ":" in host.name else host.name, host.port)
            self._http.auto_open = 0
            self._http.sock = self._timed
        return self._http, self._timed

    def _connected(self) -> socket.socket:
        end = time.monotonic() + base.PATIENCE_S
        pin = self._way.pin
        try:
            return self._spoken_to(end, self._way.context if pin is None else pin.context())
        except AuthorityFound:
            assert pin is not None, "nothing else finds one"
            return self._spoken_to(end, pin.context())

    def _spoken_to(self, end: float, context: ssl.SSLContext | None) -> socket.socket:
        host = self._way.host
        made: socket.socket = socket.create_connection((host.name, host.port), _left(end))
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is None:
                return made
            made.settimeout(_left(end))
            secure = made = context.wrap_socket(made, server_hostname=host.name)
            if self._way.pin is not None and context.verify_mode == ssl.CERT_NONE:
                self._way.pin.judge(presented(secure))
        except BaseException:
            made.close()
            raise
        return made

    def _lost(self, error: Exception) -> BusUnreachable:
        self.close()
        return BusUnreachable(f"{self._name}: {_sentence(error, tls=self._way.host.scheme.endswith('https'))}")


class _Timed:
    """A socket as ``http.client`` wants one, on which all reading and writing together ends at ``end``."""

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self.end = 0.0
        self.first = b""

    def sendall(self, data: Any) -> None:
        """As of a socket."""
        self.socket.settimeout(_left(self.end))
        self.socket.sendall(data)

    def makefile(self, *how: object) -> io.BufferedReader:
        """As of a socket; to read only."""
        return io.BufferedReader(_Reading(self))

    def close(self) -> None:
        """As of a socket."""
        self.socket.close()

    def has_come(self) -> bool:
        """Whether there is something to read; an end is something. Raises OSError."""
        if self.first or not _readable(self.socket):
            return bool(self.first)
        self.socket.setblocking(False)
        try:
            self.first = self.socket.recv(1 << 16)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        if not self.first:
            raise http.client.RemoteDisconnected("closed")
        return True

    def is_stale(self) -> bool:
        """Whether the other end has closed it, or said something that nobody asked for."""
        try:
            return self.has_come()
        except OSError:
            return True


class _Reading(io.RawIOBase):
    """What comes over a socket, once: ``http.client`` closes it with every answer."""

    def __init__(self, timed: _Timed) -> None:
        super().__init__()
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        timed = self._timed
        if timed.first:
            count = min(len(buffer), len(timed.first))
            buffer[:count], timed.first = timed.first[:count], timed.first[count:]
            return count
        timed.socket.settimeout(_left(timed.end))
        return timed.socket.recv_into(buffer)


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _readable(made: socket.socket) -> bool:
    if isinstance(made, ssl.SSLSocket) and made.pending():
        return True
    poll = select.poll()
    poll.register(made, select.POLLIN)
    return bool(poll.poll(0))


def _sentence(error: Exception, *, tls: bool) -> str:
    """What went wrong, and what to look at."""
    if isinstance(error, WrongFingerprint):
        return f"its certificate has the fingerprint {error.found}, and another one is set"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}): set ca_file or fingerprint"
    if isinstance(error, ssl.SSLError):
        if error.reason in _NO_TLS:
            return "speaks no TLS: use hub+http://"
        return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, TimeoutError):
        return f"no answer within {base.PATIENCE_S:.0f} s"
    if isinstance(error, http.client.RemoteDisconnected):
        return "ended the connection without an answer" + ("" if tls else ": if it speaks TLS, use hub+https://")
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return "answers, but not as a clusterlog serve does: is something else there, or in between?"
