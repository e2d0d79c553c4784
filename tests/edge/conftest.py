"""Each balancer of the examples as it runs, two nodes behind it, and where it logs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from edge_servers import EXAMPLES, Backend, Datagrams, Edge, haproxy, nginx

_NUMBERS = count()
FILES = {"haproxy": EXAMPLES / "edge" / "haproxy.cfg", "haproxy of the shop": EXAMPLES / "shop" / "haproxy.cfg"}


@dataclass
class Way:
    """A balancer with all that belongs to it; ``node`` answers everything, whichever name it is called by."""

    kind: str
    edge: Edge
    node: Backend
    log: Datagrams

    def new(self, begin: str) -> str:
        """A path that nobody has asked for."""
        return f"/{begin}/{next(_NUMBERS)}"

    def passed(self, path: str, *headers: tuple[str, str], **how: Any) -> tuple[dict[str, list[str]], dict[str, Any]]:
        """What the node heard, and what was logged, of one request."""
        answer = self.edge.get(path, *headers, **how)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        path = path.partition("?")[0]
        return self.node.headers(path), self.log.of(path)


@pytest.fixture(scope="session", params=[*FILES, "nginx"])
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    directory = tmp_path_factory.mktemp("edge")
    log, node = Datagrams(), Backend()
    nodes = {"shop-1": node.port, "shop-2": node.port}
    to = f"127.0.0.1:{log.port}"
    if request.param == "nginx":
        # Headers with underscores as whoever needs them has it; and the node, which is both, is tried again at once.
        changes = {"listen 8080;": "listen 8080; underscores_in_headers on;", "max_fails=1": "max_fails=0"}
        begun = nginx(directory, to, nodes, changes)
    else:
        begun = haproxy(directory, FILES[request.param], to, nodes)
    with begun as edge:
        yield Way(request.param, edge, node, log)
    node.close()
    log.close()
