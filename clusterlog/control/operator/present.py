"""Who is there as a command sees it: the roster, without the workers that are known to be gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from clusterlog.control.bus.base import Lease
from clusterlog.control.members import HEARTBEAT_S, Node, Report, Status, alive, opened, roster
from clusterlog.control.rules.document import Version
from clusterlog.control.signing.sealing import Sealer

Lives = Callable[[Report, Status], bool]


def present(
    leases: Iterable[Lease], sealer: Sealer, lives: Lives = alive, heartbeat_s: float = HEARTBEAT_S
) -> tuple[Node, ...]:
    """The nodes by what they said last. Of a node that still has a process, those that have ended are left out."""
    seen, _ = opened(leases, sealer)
    dead = {
        worker.instance for each in seen for worker in each.report.workers if not lives(each.report, worker)
    }  # fmt: skip
    nodes = roster(seen, heartbeat_s, lives)
    return tuple(_without(dead, node) for node in nodes)


def _without(dead: set[str], node: Node) -> Node:
    living = tuple(worker for worker in node.workers if worker.status.instance not in dead)
    return replace(node, workers=living) if living else node


def acknowledged(leases: Iterable[Lease], sealer: Sealer) -> tuple[Version, ...]:
    """The versions that workers say they have applied, also those that were silent since."""
    seen, _ = opened(leases, sealer)
    found = {worker.applied for each in seen for worker in each.report.workers}
    versions = []
    for text in found:
        try:
            versions.append(Version.read(text))
        except ValueError:
            continue
    return tuple(versions)
