"""Shipper and store of a home as a server, in one process: begun, kept going and ended in order.

What is under way when it is to end is answered; then the shipper delivers what it has, and the store is closed last.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from starlette.types import ASGIApp

from clusterlog.errors import ClusterlogError, NotAllowed, SettingError, StoreUnavailable
from clusterlog.settings import Settings
from clusterlog.ship.shipper import Report, Shipper
from clusterlog.ship.sinks import open_sink
from clusterlog.ship.state.voice import Voice
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.web.app import Parts, application
from clusterlog.web.connection import MOST, SPARE, Connection, Listener, most_connections
from clusterlog.web.intake.events import Strangers
from clusterlog.web.tokens import Tokens

ENDING_S = 10
"""How long what is under way may take to be answered once the server is to end."""
IDLE_S = 75
"""How long a connection on which nothing is asked stays open: longer than senders pause between two batches."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, and the certificate of who does, if it speaks TLS."""

    host: str
    port: int
    cert: str = ""
    key: str = ""

    @classmethod
    def parse(cls, listen: str, cert: str = "", key: str = "") -> Address:
        """From ``HOST:PORT``; an IPv6 address is in brackets. Raises SettingError."""
        host, colon, port = listen.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        bracketed = host != bare
        if not colon or not bare or bracketed != (":" in bare) or not (port.isascii() and port.isdecimal()):
            raise SettingError(f"{listen!r} is no address to listen on: expected HOST:PORT, such as 127.0.0.1:8520")
        if int(port) > 65535:
            raise SettingError(f"{listen!r}: {port} is no port")
        if bool(cert) != bool(key):
            raise SettingError("TLS takes a certificate and its key: --tls-cert and --tls-key go together")
        return cls(bare, int(port), cert, key)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def names(self) -> tuple[str, ...]:
        """The hosts by which it may be asked; on a network, any: there the certificate says who it is."""
        return tuple(dict.fromkeys((*_LOOPBACK, self.host.lower()))) if self.is_loopback else ()

    def url(self, port: int) -> str:
        """Its URL; of an address that is every one of this machine, by the machine's name."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host
        return f"{'https' if self.cert else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def context(self) -> ssl.SSLContext | None:
        """What speaks TLS. Raises SettingError and NotAllowed for files that cannot be used."""
        if not self.cert:
            return None
        for file in (self.cert, self.key):
            try:
                Path(file).read_bytes()
            except PermissionError:
                raise NotAllowed(f"cannot read {file}: permission denied") from None
            except OSError as error:
                raise SettingError(f"cannot read {file}: {error.strerror}") from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.cert, self.key, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            why = error.reason.lower().replace("_", " ") if isinstance(error, ssl.SSLError) and error.reason else error
            raise SettingError(f"{self.cert} and {self.key} are no certificate and key in PEM: {why}") from None
        return context

    def listen(self) -> socket.socket:
        """A socket that listens there.

        Raises StoreUnavailable where somebody else does, NotAllowed, SettingError for an address that is not ours.
        """
        shown = f"{self.host}:{self.port}"
        try:
            family, kind, number, _, address = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            made = Listener(family, kind, number)
        except socket.gaierror as error:
            raise SettingError(f"cannot listen on {shown}: {(error.strerror or str(error)).lower()}") from None
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(MOST)
        except OSError as error:
            made.close()
            raise refusal(shown, error) from None
        return made


def refusal(shown: str, error: OSError) -> ClusterlogError:
    """What is raised where an address cannot be bound."""
    kind: type[ClusterlogError]
    kind = {errno.EADDRINUSE: StoreUnavailable, errno.EACCES: NotAllowed}.get(error.errno or 0, SettingError)
    return kind(f"cannot listen on {shown}: {(error.strerror or str(error)).lower()}")


def _no_password() -> str:
    raise ValueError("the key has a password, and nobody is there to be asked for it")


class Entrance(Protocol):
    """Another way in, beside HTTP."""

    def begin(self) -> None:
        """Take events in from now on."""

    def end(self) -> None:
        """Take none any more; what came in is stored."""


class Server:
    """Serves ``home`` of these settings. The caller holds the home's lock."""

    def __init__(self, settings: Settings, address: Address, tokens: Tokens) -> None:
        if settings.store or settings.sink:
            name = "sink" if settings.sink else "store"
            origin = settings.origins.get(name, "")
            raise SettingError(
                f"serve keeps events in {settings.home_path / 'store'}, and {name} is set ({origin}) to have them"
                " elsewhere: take it away, or ship there with `clusterlog ship`"
            )
        self._settings = settings
        self._tokens = tokens
        self._context = address.context()
        self._address = address
        self._socket = address.listen()
        self.url = address.url(self._socket.getsockname()[1])
        try:
            store, self.name, limits = open_sink(settings)
            assert isinstance(store, EmbeddedStore), "neither store nor sink is set"
            self.store = store
        except BaseException:
            self._socket.close()
            raise
        self._shipper = Shipper(settings.home_path, store, voice=Voice(settings), sink_name=self.name, limits=limits)
        self._failure: BaseException | None = None

    @property
    def report(self) -> Report:
        """What was shipped from the home's own spools."""
        return self._shipper.report

    def close(self) -> None:
        """Give up before it has run."""
        self._socket.close()
        self.store.close()

    def run(
        self,
        stop: threading.Event,
        ready: Callable[[], None],
        tell: Callable[[Shipper], None] = lambda shipper: None,
        beside: Sequence[Entrance] = (),
    ) -> None:
        """Serve until ``stop`` is set. ``ready`` is called when requests are answered, ``tell`` as ``Shipper`` does.

        What stands ``beside`` begins before requests are answered, and ends after them.

        Raises what has ended the shipper, if that ended by itself.
        """
        parts = Parts(
            self.store,
            Strangers(self._settings),
            self._tokens,
            self._settings.node,
            self._address.names(),
        )
        http = Http(application(parts), self._context, stop, ready)
        ship = threading.Event()
        thread = threading.Thread(target=self._ship, args=(ship, http, tell), name="clusterlog-ship")
        thread.start()
        try:
            for each in beside:
                each.begin()
            http.run(sockets=[self._socket])
        finally:
            for each in beside:
                each.end()
            ship.set()
            thread.join()
        if self._failure is not None:
            raise self._failure

    def _ship(self, stop: threading.Event, http: Http, tell: Callable[[Shipper], None]) -> None:
        try:
            self._shipper.run(stop, tell)
        except BaseException as error:
            self._failure = error
            http.should_exit = True
            self.store.close()


class Http(uvicorn.Server):
    """uvicorn, which says nothing, leaves signals alone, and asks ``stop`` whether it is to end."""

    def __init__(
        self, app: ASGIApp, context: ssl.SSLContext | None, stop: threading.Event, ready: Callable[[], None]
    ) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=ENDING_S,
            limit_concurrency=most_connections(),
            http=Connection,
            loop="asyncio",
        )
        config.load()
        config.ssl = context
        super().__init__(config)
        self._stop = stop
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        assert self.config.limit_concurrency is not None, "it is given above"
        for each in sockets or ():
            if isinstance(each, Listener):
                each.most = self.config.limit_concurrency + SPARE
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end."""
        return await super().on_tick(counter) or self._stop.is_set()

    @contextmanager
    def capture_signals(self) -> Any:
        """They are the command's."""
        yield
