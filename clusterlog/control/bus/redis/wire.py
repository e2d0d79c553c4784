"""One connection to a Redis; the only module that knows the client library.

Of the library it uses the connection: socket, TLS, login, and the protocol. Its pools, its retries and its pub/sub are
left alone, as they reconnect and subscribe again without a word: whoever uses a ``Wire`` must know that it broke.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as TimedOut
from redis.retry import Retry

from clusterlog.control.bus import base
from clusterlog.control.bus.redis.address import Certificates, Login, Place
from clusterlog.errors import BusDenied, BusUnreachable

_OF_LIBRARY = re.compile(
    r"^Error (?:-?\d+|UNKNOWN) (?:connecting to \S+|while \S+ \S+ socket)\. ?|^Error while reading from \S+ ?: ?"
)

_NO_INTRODUCTION = {"driver_info": None} if find_spec("redis.driver_info") else {"lib_name": None, "lib_version": None}
"""The library would look its own version up in the file system for every connection, and tell it to the server."""


class _Tcp(redis.Connection):
    """Connects to ``peer`` where that is known already, and never for longer than all of it may take."""

    peer = ""
    near: socket.socket | None = None

    def _connect(self) -> socket.socket:
        end = time.monotonic() + (self.socket_connect_timeout or base.PATIENCE_S)
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, where in socket.getaddrinfo(
            self.peer or self.host, self.port, 0, socket.SOCK_STREAM
        ):
            near = socket.socket(family, kind, protocol)
            try:
                near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                near.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                near.settimeout(max(0.01, end - time.monotonic()))
                near.connect(where)
                near.settimeout(self.socket_timeout)
            except OSError as error:
                near.close()
                failure = error
            else:
                self.near = near
                return near
        raise failure


class _Tls(redis.SSLConnection, _Tcp):
    """The same by TLS; the certificate is that of the host that was named, whatever its peer."""

    def _connect(self) -> socket.socket:
        near: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        self.near = near
        return near


class Wire:
    """A connection to ``place``, logged in. Whatever fails raises BusUnreachable or BusDenied, with the place."""

    def __init__(
        self,
        place: Place,
        login: Login,
        tls: Certificates | None,
        number: int = 0,
        *,
        peer: str = "",
        patience_s: float = 0.0,
    ) -> None:
        """Connect to database ``number`` within ``patience_s``; to the address ``peer``, where the name has several."""
        self.place = place
        self.where = str(place)
        patience_s = patience_s or base.PATIENCE_S
        options: dict[str, Any] = {
            "host": place.host,
            "port": place.port,
            "db": number,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "client_name": "clusterlog",
            **_NO_INTRODUCTION,
            "username": login.user or None,
            "password": login.password() or None,
            # Half for the way there, half for the first answer: nobody may be there, or somebody who says nothing.
            "socket_connect_timeout": patience_s / 2,
            "socket_timeout": patience_s / 2,
        }
        if tls is not None:
            options |= {"ssl_ca_certs": tls.ca or None, "ssl_certfile": tls.own or None, "ssl_keyfile": tls.key or None}
        connection: type[Any] = _Tcp if tls is None else _Tls
        try:
            self._connection = connection(**options)  # which looks into files of the library's
        except OSError as error:
            raise BusUnreachable(f"{self.where}: {error.strerror or error}") from None
        self._connection.peer = peer
        self._broken = False
        self._pid = os.getpid()
        with self._told():
            self._connection.connect()
            self.peer = str(self._near().getpeername()[0])

    def fileno(self) -> int:
        """What can be waited for."""
        return self._near().fileno()

    def ask(self, *command: str | bytes | int) -> Any:
        """The answer to a command."""
        return self.ask_all(command)[0]

    def ask_all(self, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
        """The answers to commands that go there at once. Raises for the first that is refused, after all are read."""
        refused: ResponseError | None = None
        answers = []
        with self._told():
            self._near().settimeout(base.PATIENCE_S)
            self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
            for _ in commands:
                try:
                    answer = self._connection.read_response()
                    answers.append(answer)
                    if isinstance(answer, list):  # a transaction's answers, of which some may be refusals
                        refused = refused or next((each for each in answer if isinstance(each, ResponseError)), None)
                except ResponseError as error:
                    refused = refused or error
            if refused is not None:
                raise refused
        return answers

    def say(self, *command: str | bytes | int) -> None:
        """Send a command whose answer comes with what is ``come``."""
        with self._told():
            self._near().settimeout(base.PATIENCE_S)
            self._connection.send_command(*command, check_health=False)

    def come(self) -> Iterator[Any]:
        """All that is there to be read, without waiting for more."""
        with self._told():
            while self._near().fileno() >= 0 and self._connection.can_read(0):
                yield self._connection.read_response()

    def close(self) -> None:
        """Let go of it. Never raises."""
        self._broken = True
        self._connection.disconnect()

    def _near(self) -> socket.socket:
        """The socket; the library would connect again where there is none."""
        if self._broken or self._pid != os.getpid() or self._connection.near is None:
            raise BusUnreachable("this link is closed, or a parent process opened it: open another one")
        near: socket.socket = self._connection.near
        return near

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ResponseError as error:
            raise self._refusal(error) from None
        except (RedisError, OSError) as error:
            self.close()
            raise self._failure(error) from None

    def _refusal(self, error: ResponseError) -> BusUnreachable:
        if isinstance(error, NoPermissionError):
            return BusDenied(f"{self.where}: we may not do that there: {error}")
        if isinstance(error, ReadOnlyError):
            return BusUnreachable(f"{self.where}: is a replica, which takes no changes")
        if str(error).startswith("WRONGPASS"):
            return BusDenied(f"{self.where}: does not accept our user and password")
        return BusUnreachable(f"{self.where}: {error}")

    def _failure(self, error: RedisError | OSError) -> BusUnreachable:
        if isinstance(error, AuthenticationError | AuthorizationError):
            return BusDenied(f"{self.where}: does not accept our user and password")
        if isinstance(error, TimedOut | TimeoutError):
            return BusUnreachable(f"{self.where}: does not answer")
        if isinstance(error, BusyLoadingError):
            return BusUnreachable(f"{self.where}: is loading its data, and answers after that")
        if isinstance(error, OSError):
            return BusUnreachable(f"{self.where}: {error.strerror or error}")
        return BusUnreachable(f"{self.where}: {_OF_LIBRARY.sub('', str(error)).rstrip('.') or 'the connection broke'}")
