"""The cluster of the demo: which nodes there are, how each is started, and that all of them end."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from clusterlog.cli.demo.processes import Child, environment
from clusterlog.cli.demo.reports import Reports
from clusterlog.cli.demo.services.hop import SURROUNDINGS
from clusterlog.errors import NodeUnavailable

START_S = 60.0
_SERVICES = "clusterlog.cli.demo.services"


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its ``service``, how many processes of it answer, and which others it calls."""

    name: str
    service: str
    workers: int
    peers: tuple[str, ...]

    def argv(self, fd: int) -> list[str]:
        """The command line of its server, which listens on a socket it is handed as ``fd``."""
        if self.service == "bank":
            return [sys.executable, "-m", f"{_SERVICES}.bank", str(fd)]
        application = f"{_SERVICES}.{self.service}:app"
        if self.service == "orders":
            config = f"python:{_SERVICES}.gunicorn_conf"
            return [sys.executable, "-m", "gunicorn", "--config", config, "--bind", f"fd://{fd}", application]
        graceful = ("--timeout-graceful-shutdown", "5")
        return [sys.executable, "-m", "uvicorn", "--fd", str(fd), *graceful, application]


BANK = Node("bank", "bank", 0, ())
"""Not of the cluster: it logs nothing, and reports nothing."""

NODES = (
    Node("payments-1", "payments", 1, ("bank",)),
    Node("orders-1", "orders", 2, ("payments-1",)),
    Node("orders-2", "orders", 2, ("payments-1",)),
    Node("shop-1", "shop", 1, ("orders-1", "orders-2")),
    Node("shop-2", "shop", 1, ("orders-1", "orders-2")),
)


class Cluster:
    """The nodes and the bank, each a process on a free port of the loopback, with their consoles in ``directory``.

    Started with ``start``; a context manager at whose end nothing of them is left.
    """

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self.reports = Reports()
        self.urls: dict[str, str] = {}
        self._directory = directory
        self._settings = settings
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reports.let_go()
        self.stop(0.0 if kind else None)

    def start(self, tell: Callable[[int, int], None]) -> None:
        """Start every node and wait until all their processes are there. Raises NodeUnavailable if one is not."""
        sockets = {node.name: socket.create_server(("127.0.0.1", 0)) for node in (BANK, *NODES)}
        try:
            self.urls = {name: f"http://127.0.0.1:{each.getsockname()[1]}" for name, each in sockets.items()}
            for node in (BANK, *NODES):
                self._children.append(self._started(node, sockets[node.name]))
        finally:
            # Where nobody listens any more a call is to be refused, and not to wait for ever.
            for each in sockets.values():
                each.close()
        self.reports.let_go()
        self._await(tell)

    def _started(self, node: Node, listener: socket.socket) -> Child:
        peers = {name: self.urls[name] for name in node.peers}
        told = {"node": node.name, "peers": peers, "report": self.reports.fd}
        env = environment(**self._settings, CLUSTERLOG_NODE=node.name, **{SURROUNDINGS: json.dumps(told)})
        fds = (listener.fileno(), self.reports.fd)
        return Child(node.name, node.argv(listener.fileno()), self._directory / f"{node.name}.log", env, fds)

    def _await(self, tell: Callable[[int, int], None]) -> None:
        wanted = Counter({node.name: node.workers for node in NODES})
        deadline = time.monotonic() + START_S
        while missing := wanted - self.reports.present():
            tell(wanted.total() - missing.total(), wanted.total())
            self.watch()
            if time.monotonic() > deadline:
                raise NodeUnavailable(f"{', '.join(missing)} did not start within {START_S:.0f} s")
            self.reports.wait(0.1)

    def watch(self) -> None:
        """Raises NodeUnavailable if a node has ended."""
        for child in self._children:
            if child.exit_code() is not None:
                raise NodeUnavailable(child.obituary())

    def stop(self, patience: float | None = None) -> None:
        """End every node: all are asked, then waited for, ``patience`` seconds each. Idempotent."""
        children, self._children = self._children, []
        for child in reversed(children):
            child.ask_to_end()
        for child in reversed(children):
            child.end() if patience is None else child.end(patience)
