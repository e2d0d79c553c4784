"""Real Redis and Redis Sentinel for the tests: on free ports, in directories of their own, ended with the run.

A test asks for ``redis_server`` and gets the one that all tests share; name spaces of its own keep it apart.
``start_redis`` and ``start_sentinel`` start one that may be killed, frozen, robbed of its data and started again; it
ends with the test.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import Any

import pytest
from engine_servers import NOBODY, directory_of_its_own, free_ports
from programs import program

from clusterlog.cli.demo.leash import leash

PATIENCE_S = 60.0


class Server:
    """A server process that can be treated badly. ``port`` stays what it is for its life."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.directory = directory_of_its_own()
        if os.geteuid() == 0:
            os.chown(self.directory, NOBODY, NOBODY)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def argv(self) -> Sequence[str]:
        """How it is started."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, also again, and wait until it answers."""
        self._process = self._spawn(self.argv)
        end = time.monotonic() + PATIENCE_S
        while not self.ready():
            assert self._process.poll() is None and time.monotonic() < end, self._last_words()
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, new ones are taken by the kernel, nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, and remove what it wrote."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self._process is not None and self._process.poll() is None:
                os.killpg(self._process.pid, number)

    def _spawn(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                argv,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
                preexec_fn=partial(leash, os.getpid()),  # noqa: PLW1509 - a system call whose address is known
                **identity,
            )

    def _last_words(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-2000:]


class RedisServer(Server):
    """Redis. ``options`` are lines of its configuration; ``kept`` whether its data outlive a kill."""

    def __init__(self, *options: str, kept: bool = True, port: int = 0, sentinel: bool = False) -> None:
        super().__init__(port or free_ports(1)[0])
        self._program = program("redis-sentinel" if sentinel else "redis-server")
        self.password = ""
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.directory}"]
        if not sentinel:
            lines += ['save ""', f"appendonly {'yes' if kept else 'no'}", "appendfsync no"]
            lines += ["repl-diskless-sync-delay 0"]
        self.configuration = self.directory / "redis.conf"
        self.configuration.write_text("\n".join((*lines, *options, "")))
        if os.geteuid() == 0:
            os.chown(self.configuration, NOBODY, NOBODY)

    @property
    def argv(self) -> Sequence[str]:
        return [self._program, str(self.configuration)]

    @property
    def url(self) -> str:
        """Its address, without a user."""
        return f"redis://127.0.0.1:{self.port}"

    def ready(self) -> bool:
        from redis.exceptions import AuthenticationError, RedisError

        try:
            return bool(self.ask("PING"))
        except AuthenticationError:
            return True
        except (RedisError, OSError):
            return False

    def ask(self, *command: str | bytes | int) -> Any:
        """The answer to a command."""
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        with closing(
            Redis(
                port=self.port,
                password=self.password or None,
                retry=Retry(NoBackoff(), 0),
                socket_timeout=10,
                decode_responses=True,
            )
        ) as client:
            return client.execute_command(*command)


class SentinelCluster:
    """A master, a replica and three sentinels that watch them; ``master`` is the name they know it by."""

    master = "control"

    def __init__(self) -> None:
        self._stack = ExitStack()
        ports = free_ports(5)
        try:
            self.first = self._begin(RedisServer(port=ports[0]))
            self.second = self._begin(RedisServer(f"replicaof 127.0.0.1 {ports[0]}", port=ports[1]))
            self.sentinels = [
                self._begin(
                    RedisServer(
                        f"sentinel monitor {self.master} 127.0.0.1 {ports[0]} 2",
                        f"sentinel down-after-milliseconds {self.master} 800",
                        f"sentinel failover-timeout {self.master} 3000",
                        port=port,
                        sentinel=True,
                    )
                )
                for port in ports[2:]
            ]
            self._wait(lambda: self._seen() == {(1, 2)})
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Its address."""
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.master}"

    def current(self) -> RedisServer:
        """The master, as the first sentinel says."""
        _, port = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.master)
        return self.first if int(port) == self.first.port else self.second

    def fail_over(self) -> None:
        """Make the replica the master while both live, and wait until it is."""
        before = self.current()
        self._wait(lambda: self._seen() == {(1, 2)})
        self.sentinels[0].ask("SENTINEL", "FAILOVER", self.master)
        self.until_master(self.second if before is self.first else self.first)

    def until_master(self, server: RedisServer) -> None:
        """Wait until all sentinels call ``server`` the master, and it calls itself so."""

        def so() -> bool:
            ports = {each.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.master)[1] for each in self.sentinels}
            return ports == {str(server.port)} and server.ask("ROLE")[0] == "master"

        self._wait(so)

    def _seen(self) -> set[tuple[int, int]]:
        """How many replicas and other sentinels each knows."""
        known = [each.ask("SENTINEL", "MASTER", self.master) for each in self.sentinels]
        return {(int(each["num-slaves"]), int(each["num-other-sentinels"])) for each in known}

    def _begin(self, server: RedisServer) -> RedisServer:
        self._stack.callback(server.close)
        server.start()
        return server

    def _wait(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.05)

    def close(self) -> None:
        """End all of them."""
        self._stack.close()


@pytest.fixture
def start_redis() -> Iterator[Callable[..., RedisServer]]:
    """Start a Redis of one's own."""
    with ExitStack() as stack:

        def begin(*options: str, kept: bool = True) -> RedisServer:
            server = RedisServer(*options, kept=kept)
            stack.callback(server.close)
            server.start()
            return server

        yield begin


@pytest.fixture
def start_sentinel() -> Iterator[Callable[[], SentinelCluster]]:
    """Start a Redis that sentinels watch."""
    with ExitStack() as stack:

        def begin() -> SentinelCluster:
            cluster = SentinelCluster()
            stack.callback(cluster.close)
            return cluster

        yield begin


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The Redis that all tests share."""
    with ExitStack() as stack:
        server = RedisServer(kept=False)
        stack.callback(server.close)
        server.start()
        yield server
