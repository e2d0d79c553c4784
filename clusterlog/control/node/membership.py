"""Who came, left or fell silent: noticed by one who watches, and told to all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from clusterlog.control.bus.base import Lease, Link
from clusterlog.control.members import HEARTBEAT_S, Change, Node, Report, Status, alive, changes, opened, roster
from clusterlog.control.signing.sealing import Sealer

FUNCTIONALITY = "clusterlog"
"""Under which nodes speak of themselves; no application's."""
CHANGED, HERE, GONE, GAP = "changed", "here", "gone", "gap"
_MARK = b'"functionality":"clusterlog"'
_WATCHERS = 2
_SCALE = 50
"""Who does not watch looks once in as many heartbeats as there are fifties of nodes, and at most at every third."""


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What ``cluster.on_change`` tells: ``what`` is ``join``, ``leave`` or ``silence`` of a node of a service."""

    what: str
    node: str
    service: str
    host: str = ""

    @classmethod
    def of(cls, change: Change) -> NodeChange:
        """What a roster made of it."""
        return cls(change.what, change.node.node, change.node.service, change.node.host)

    def data(self) -> dict[str, Any]:
        """For a message."""
        return {"what": self.what, "node": self.node, "service": self.service, "host": self.host}

    @classmethod
    def read(cls, data: Any) -> NodeChange | None:
        """What ``data`` made; ``None`` for anything else."""
        if not isinstance(data, dict):
            return None
        told = [data.get(name) for name in ("what", "node", "service", "host")]
        return cls(*told) if all(type(each) is str for each in told) else None  # type: ignore[arg-type]


def hints(body: bytes) -> bool:
    """Whether a message, whoever it is by, may be of nodes and themselves: then a look tells."""
    return _MARK in body


class Watch:
    """Keeps a roster from leases. ``key`` is whose watch it is: the smallest keys watch closely, and the first tells.

    For one thread.
    """

    def __init__(
        self,
        sealer: Sealer,
        key: Callable[[], str],
        lives: Callable[[Report, Status], bool] = alive,
        heartbeat_s: float = HEARTBEAT_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._sealer = sealer
        self._key = key
        self._lives = lives
        self._heartbeat_s = heartbeat_s
        self._chance = chance
        self._rank = 0
        self._beats = 0
        self.leases: tuple[Lease, ...] = ()
        self.nodes: tuple[Node, ...] | None = None
        """Who was there at the last look; ``None`` before the first."""

    def due(self, count: int) -> bool:
        """Whether to look at this heartbeat, where there are about ``count`` nodes: reading all costs as many."""
        self._beats += 1
        if self.nodes is None:
            return self._chance() * count < _SCALE
        return self.close or self._beats % max(3, len(self.nodes) // _SCALE) == 0

    @property
    def close(self) -> bool:
        """Whether this is one of those who look at every heartbeat, and whenever somebody comes or goes."""
        return self.nodes is not None and self._rank < _WATCHERS

    def look(self, link: Link) -> tuple[Change, ...]:
        """What has happened since the last look; nothing at the first one. Raises BusUnreachable."""
        self.leases = link.leases()
        seen, _ = opened(self.leases, self._sealer)
        before, after = self.nodes, roster(seen, self._heartbeat_s, self._lives)
        self.nodes = after
        self._rank = self._ranked(after)
        return () if before is None else changes(before, after)

    @property
    def tells(self) -> bool:
        """Whether it is this one who tells the others."""
        return self._rank == 0

    def _ranked(self, nodes: Iterable[Node]) -> int:
        """How many that live come before us."""
        mine = self._key()
        speaking = {f"{node.service}/{node.node}@{node.host}" for node in nodes if node.state in ("up", "late")}
        return sum(key < mine for key in speaking)
