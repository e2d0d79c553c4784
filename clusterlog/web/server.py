"""Shipper and store of a home as a server, in one process: begun, kept going and ended in order.

What is under way when it is to end is answered; then the shipper delivers what it has, and the store is closed last.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import uvicorn
from starlette.types import ASGIApp

from clusterlog.control.bus.base import Bus
from clusterlog.control.bus.opening import local_bus
from clusterlog.errors import SettingError
from clusterlog.settings import Settings
from clusterlog.ship.shipper import Report, Shipper
from clusterlog.ship.sinks import open_sink
from clusterlog.ship.state.voice import Voice
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.web.address import Address
from clusterlog.web.app import Parts, application
from clusterlog.web.connection import SPARE, Connection, Listener, most_connections
from clusterlog.web.hub.endpoint import Hub
from clusterlog.web.intake.events import Strangers
from clusterlog.web.tokens import Tokens

ENDING_S = 10
"""How long what is under way may take to be answered once the server is to end."""
IDLE_S = 75
"""How long a connection on which nothing is asked stays open: longer than senders pause between two batches."""


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
        hub = Hub(self._bus, most_connections() // 2)
        parts = Parts(
            self.store,
            Strangers(self._settings),
            self._tokens,
            self._settings.node,
            self._address.names(),
            hub,
        )
        http = Http(application(parts), self._context, stop, ready, hub.end)
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
            hub.close()
            ship.set()
            thread.join()
        if self._failure is not None:
            raise self._failure

    def _bus(self, cluster: str) -> Bus:
        """The bus of the home, in a name space that need not be the home's own."""
        return local_bus(replace(self._settings, environment=cluster))

    def _ship(self, stop: threading.Event, http: Http, tell: Callable[[Shipper], None]) -> None:
        try:
            self._shipper.run(stop, tell)
        except BaseException as error:
            self._failure = error
            http.should_exit = True
            self.store.close()


class Http(uvicorn.Server):
    """uvicorn, which says nothing, leaves signals alone, and asks ``stop`` whether it is to end.

    ``ending`` is called when it does, before what is under way is waited for.
    """

    def __init__(
        self,
        app: ASGIApp,
        context: ssl.SSLContext | None,
        stop: threading.Event,
        ready: Callable[[], None],
        ending: Callable[[], None] = lambda: None,
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
        self._ending = ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        assert self.config.limit_concurrency is not None, "it is given above"
        for each in sockets or ():
            if isinstance(each, Listener):
                each.most = self.config.limit_concurrency + SPARE
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and wait for what is under way."""
        self._ending()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end."""
        return await super().on_tick(counter) or self._stop.is_set()

    @contextmanager
    def capture_signals(self) -> Any:
        """They are the command's."""
        yield
