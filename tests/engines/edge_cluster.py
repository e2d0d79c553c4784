"""The shop of the examples as real processes, its sessions in a real Redis, and `serve` that all of it ends up in."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx
from edge_servers import EXAMPLES, PATIENCE, until

from clusterlog.cli.demo.cluster import BANK, NODES, Node
from clusterlog.cli.demo.processes import Child, environment
from clusterlog.cli.demo.services.hop import SURROUNDINGS

SESSION = "shop_session"
_ROOT = Path(__file__).parents[2]


class Shops:
    """Two shops, two nodes of orders, payments and a bank, and `clusterlog serve` on the home that they log into."""

    def __init__(self, directory: Path, redis: str) -> None:
        self.home = directory / "home"
        self.directory = directory
        self._redis = redis
        self._children: dict[str, Child] = {}
        self.ports: dict[str, int] = {}
        self._serve: subprocess.Popen[bytes] | None = None
        self.syslog = ""

    def __enter__(self) -> Self:
        try:
            self._begin_serve()
            sockets = {node.name: socket.create_server(("127.0.0.1", 0)) for node in (BANK, *NODES)}
            self.ports = {name: each.getsockname()[1] for name, each in sockets.items()}
            for node in (BANK, *NODES):
                self._children[node.name] = self._started(node, sockets[node.name])
            for each in sockets.values():
                each.close()
            for name in ("shop-1", "shop-2"):
                until(lambda name=name: self.is_up(name), name)
            for name in ("orders-1", "orders-2", "payments-1"):
                until(lambda name=name: self._answers(name, "/"), name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for child in reversed(self._children.values()):
            child.ask_to_end()
        for child in reversed(self._children.values()):
            child.end()
        if self._serve is not None:
            self._serve.send_signal(signal.SIGTERM)
            self._serve.communicate(timeout=PATIENCE)

    def is_up(self, name: str) -> bool:
        """Whether a shop answers."""
        return self._answers(name, "/session")

    def kill(self, name: str) -> None:
        """SIGKILL, and nobody listens on its port any more."""
        child = self._children[name]
        os.killpg(child.pid, signal.SIGKILL)
        child.end()

    def begin_again(self, name: str) -> None:
        """Start it where it was."""
        node = next(each for each in NODES if each.name == name)
        with socket.create_server(("127.0.0.1", self.ports[name])) as listener:
            self._children[name] = self._started(node, listener)
        until(lambda: self.is_up(name), name)

    def ask(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A command of clusterlog on this home."""
        command = [sys.executable, "-m", "clusterlog", *argv, "--home", str(self.home)]
        return subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)

    def found(self, question: str) -> list[dict[str, Any]]:
        """The events that `search` finds, oldest first."""
        told = self.ask("search", question, "--ndjson", "--limit", "0")
        assert told.returncode in (0, 1), told.stderr
        events = [json.loads(line) for line in told.stdout.splitlines()]
        return sorted(events, key=lambda event: str(event["@timestamp"]))

    def trace(self, id: str, wanted: set[str]) -> dict[str, Any]:
        """`trace ID --json`, once events of all these services are in it, the balancer's among them."""

        def whole() -> dict[str, Any] | None:
            told = self.ask("trace", id, "--json")
            found: dict[str, Any] = json.loads(told.stdout) if told.returncode == 0 else {"lanes": []}
            return found if {lane["service"] for lane in found["lanes"]} >= wanted else None

        found: dict[str, Any] = until(whole, f"all of {id}")
        return found

    def _begin_serve(self) -> None:
        argv = ["serve", "--home", str(self.home), "--listen", "127.0.0.1:0", "--syslog", "127.0.0.1:0", "--json"]
        with (self.directory / "serve.log").open("ab") as console:
            self._serve = subprocess.Popen(
                [sys.executable, "-m", "clusterlog", *argv],
                stdout=subprocess.PIPE,
                stderr=console,
                env=self._environment(),
                cwd=self.directory,
            )
        assert self._serve.stdout is not None
        told = json.loads(self._serve.stdout.readline() or b"null")
        assert told, (self.directory / "serve.log").read_text()
        self.syslog = next(url.rpartition("/")[2] for url in told["syslog"] if "udp" in url)

    def _started(self, node: Node, listener: socket.socket) -> Child:
        argv = node.argv(listener.fileno())
        more: dict[str, str] = {}
        if node.service == "shop":
            argv = [*argv[:-1], "--app-dir", str(EXAMPLES / "shop"), "front:app"]
            more = {"REDIS_URL": self._redis, "CLUSTERLOG_SESSION_COOKIE": SESSION}
        peers = {name: f"http://127.0.0.1:{self.ports[name]}" for name in node.peers}
        told = json.dumps({"node": node.name, "peers": peers})
        env = self._environment(
            CLUSTERLOG_NODE=node.name, CLUSTERLOG_HOME=str(self.home), **{SURROUNDINGS: told}, **more
        )
        return Child(node.name, argv, self.directory / f"{node.name}.log", env, [listener.fileno()])

    def _answers(self, name: str, path: str) -> bool:
        child = self._children[name]
        assert child.exit_code() is None, child.obituary()
        try:
            httpx.get(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=5, trust_env=False)
        except httpx.HTTPError:
            return False
        return True

    @staticmethod
    def _environment(**more: str) -> Mapping[str, str]:
        return environment(PYTHONPATH=str(_ROOT), **more)
