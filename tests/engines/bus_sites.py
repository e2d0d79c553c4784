"""A server of one's own for each kind of bus, and a path to it on which everything can happen.

``SITES`` has them by name: the tests of faults run over all. Another kind of bus joins by a ``Site`` of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol, Self

from bus_servers import RedisServer
from faulty_path import FaultyPath
from hub_server import HubServer
from postgres_server import Postgres

from clusterlog.control.bus.base import Bus
from clusterlog.settings import load


class Treatable(Protocol):
    """A server that can be treated badly."""

    port: int

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


class Site:
    """A running ``server`` and the ``path`` before it. ``bus`` leads over the path, ``straight`` past it."""

    server: Treatable
    path: FaultyPath
    secret = "secret"
    """A password that the bus is given."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *how: object) -> None:
        self._stack.close()

    def bus(self, cluster: str) -> Bus:
        return self.at(self.path.port, cluster)

    def straight(self, cluster: str) -> Bus:
        return self.at(self.server.port, cluster)

    def at(self, port: int, cluster: str) -> Bus:
        """The bus by way of ``port``."""
        raise NotImplementedError

    def lose(self) -> None:
        """All that the server kept is gone, while it goes on."""
        raise NotImplementedError


class RedisSite(Site):
    """Redis, with a password."""

    def __init__(self) -> None:
        super().__init__()
        self.server = RedisServer(f"requirepass {self.secret}")
        self.server.password = self.secret
        self._stack.callback(self.server.close)
        self.server.start()
        self.path = self._stack.enter_context(FaultyPath(self.server.port))

    def at(self, port: int, cluster: str) -> Bus:
        from clusterlog.control.bus.redis.address import address
        from clusterlog.control.bus.redis.link import RedisBus

        return RedisBus(address(f"redis://:{self.secret}@127.0.0.1:{port}"), cluster)

    def lose(self) -> None:
        self.server.ask("FLUSHALL")


class PostgresSite(Site):
    """PostgreSQL, with a password."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Postgres()
        self.secret = self.server.password
        self._stack.callback(self.server.close)
        self.server.start()
        self.path = self._stack.enter_context(FaultyPath(self.server.port))

    def at(self, port: int, cluster: str) -> Bus:
        from clusterlog.control.bus.postgres.link import PostgresBus

        return PostgresBus(self.server.url(port=port), cluster)

    def lose(self) -> None:
        self.server.run("DROP SCHEMA clusterlog CASCADE")


class HubSite(Site):
    """``clusterlog serve``, with its token to control."""

    def __init__(self) -> None:
        super().__init__()
        self.server = HubServer()
        self._stack.callback(self.server.close)
        self.server.start()
        self.secret = self.server.token("control")
        self.path = self._stack.enter_context(FaultyPath(self.server.port))

    def at(self, port: int, cluster: str) -> Bus:
        from clusterlog.control.bus.hub.link import HubBus

        settings = load({"home": "/nowhere", "token_file": str(self.server.token_file)}, environ={})
        return HubBus(f"hub+http://127.0.0.1:{port}", cluster, settings)

    def lose(self) -> None:
        for left in (self.server.home / "control").glob("bus.db*"):
            left.unlink()


SITES: dict[str, Callable[[], Site]] = {"redis": RedisSite, "postgres": PostgresSite, "hub": HubSite}
