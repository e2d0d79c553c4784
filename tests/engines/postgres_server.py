"""A real PostgreSQL for the tests: on a free port, in a directory of its own, as a user that is not root.

A test asks for ``postgres_server`` and gets the one that all tests share; name spaces of its own keep it apart.
``start_postgres`` starts one that may be killed, frozen, robbed of its data and started again; it ends with the test.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from bus_servers import Server
from engine_servers import NOBODY, free_ports
from programs import program

OWNER = "clusterlog-tests"
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "unix_socket_directories=", "jit=off")
"""A kill of the server loses nothing by these; a crash of the machine would."""


class Postgres(Server):
    """PostgreSQL. ``settings`` are lines of its configuration, ``files`` are put beside its data."""

    def __init__(self, *settings: str, files: Mapping[str, bytes] | None = None) -> None:
        super().__init__(free_ports(1)[0])
        binaries = _binaries()
        self.password = secrets.token_urlsafe(12)
        self._postgres = str(binaries / "postgres")
        self._settings = (*_SETTINGS, *settings)
        self._data = self.directory / "data"
        self._put(self.directory / "password", self.password.encode())
        initdb = self._spawn(
            (
                *(str(binaries / "initdb"), "--pgdata", str(self._data), "--username", OWNER, "--no-sync"),
                *("--auth", "scram-sha-256", "--pwfile", str(self.directory / "password")),
                *("--encoding", "UTF8", "--locale", "C"),
            )
        )
        assert initdb.wait() == 0, self._last_words()
        for name, content in (files or {}).items():
            self._put(self._data / name, content)

    @property
    def argv(self) -> Sequence[str]:
        settings = (f"port={self.port}", "listen_addresses=127.0.0.1", *self._settings)
        return (self._postgres, "-D", str(self._data), *(word for each in settings for word in ("-c", each)))

    def ready(self) -> bool:
        with suppress(psycopg.OperationalError):
            return bool(self.run("SELECT 1"))
        return False

    def url(self, user: str = OWNER, password: str | None = None, *, port: int = 0, more: str = "") -> str:
        """Its address for somebody; ``port`` is that of what stands before it."""
        login = f"{quote(user)}:{quote(self.password if password is None else password)}"
        return f"postgresql://{login}@127.0.0.1:{port or self.port}/postgres{more}"

    def run(self, *statements: str, url: str = "") -> list[tuple[Any, ...]]:
        """The rows of the last statement, if it has any."""
        rows: list[tuple[Any, ...]] = []
        with psycopg.connect(url or self.url(), autocommit=True, connect_timeout=10) as connection:
            for each in statements:
                cursor = connection.execute(each.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def _signal(self, number: signal.Signals) -> None:
        """To the server and to all that it has started: each of those has a session of its own."""
        if self._process is None or self._process.poll() is not None:
            return
        for each in (self._process.pid, *_children(self._process.pid)):
            with suppress(ProcessLookupError):
                os.kill(each, number)

    def _put(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        path.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)


class PgBouncer(Server):
    """A pooler before ``postgres``; whoever comes is its superuser. ``mode`` is ``transaction`` or ``session``."""

    def __init__(self, postgres: Postgres, mode: str = "transaction") -> None:
        super().__init__(free_ports(1)[0])
        self._program = program("pgbouncer")
        self._postgres = postgres
        self._configuration = self.directory / "pgbouncer.ini"
        login = f"user={OWNER} password={postgres.password}"
        lines = (
            "[databases]",
            f"postgres = host=127.0.0.1 port={postgres.port} {login}",
            "[pgbouncer]",
            f"listen_port = {self.port}",
            "listen_addr = 127.0.0.1",
            "unix_socket_dir =",
            "auth_type = any",
            f"pool_mode = {mode}",
        )
        self._configuration.write_text("\n".join(lines) + "\n")
        self._configuration.chmod(0o644)

    @property
    def argv(self) -> Sequence[str]:
        return (self._program, str(self._configuration))

    @property
    def url(self) -> str:
        """Its address."""
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/postgres"

    def ready(self) -> bool:
        with suppress(psycopg.OperationalError):
            return bool(self._postgres.run("SELECT 1", url=self.url))
        return False


def _binaries() -> Path:
    """Where the server's programs are; Debian keeps each version's apart."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda each: int(each.parts[-3]))
    return (found[-1] if found else Path(program("postgres", "postgresql"))).parent


def _children(parent: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                yield int(entry.name)


@pytest.fixture
def start_postgres() -> Iterator[Callable[..., Postgres]]:
    """Start a PostgreSQL of one's own."""
    with ExitStack() as stack:

        def begin(*settings: str, files: Mapping[str, bytes] | None = None) -> Postgres:
            server = Postgres(*settings, files=files)
            stack.callback(server.close)
            server.start()
            return server

        yield begin


@pytest.fixture
def start_pgbouncer() -> Iterator[Callable[..., PgBouncer]]:
    """Start a pooler of one's own."""
    with ExitStack() as stack:

        def begin(postgres: Postgres, mode: str = "transaction") -> PgBouncer:
            server = PgBouncer(postgres, mode)
            stack.callback(server.close)
            server.start()
            return server

        yield begin


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """The PostgreSQL that all tests share."""
    with ExitStack() as stack:
        server = Postgres()
        stack.callback(server.close)
        server.start()
        yield server
