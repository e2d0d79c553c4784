"""Who is there as a command sees it: the roster, without the workers that are known to be gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from clusterlog.control.bus.base import Lease
from clusterlog.control.members import HEARTBEAT_S, SCHEMA, Node, Report, Seen, Status, alive, report_of, roster
from clusterlog.control.rules.document import Version
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import Rejected

Lives = Callable[[Report, Status], bool]


class Reports:
    """What leases say, for somebody who looks again and again: one that has not changed is not opened a second time.

    Without it a thousand nodes cost a tenth of a second at each look.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._known: dict[bytes, Report | None] = {}

    def seen(self, leases: Iterable[Lease]) -> tuple[Seen, ...]:
        """The reports of those that can be believed."""
        before, self._known = self._known, {}
        found = []
        for lease in leases:
            body = lease.body
            report = self._known[body] = before[body] if body in before else self._opened(body)
            if report is not None:
                found.append(Seen(report, lease.age_s))
        return tuple(found)

    def _opened(self, body: bytes) -> Report | None:
        try:
            return report_of(self._sealer.opened(body, SCHEMA))
        except Rejected:
            return None


def present(
    leases: Iterable[Lease],
    sealer: Sealer,
    lives: Lives = alive,
    heartbeat_s: float = HEARTBEAT_S,
    reports: Reports | None = None,
) -> tuple[Node, ...]:
    """The nodes by what they said last. Of a node that still has a process, those that have ended are left out."""
    seen = (reports or Reports(sealer)).seen(leases)
    dead = {worker.instance for each in seen for worker in each.report.workers if not lives(each.report, worker)}
    nodes = roster(seen, heartbeat_s, lives)
    return tuple(_without(dead, node) for node in nodes) if dead else nodes


def _without(dead: set[str], node: Node) -> Node:
    living = tuple(worker for worker in node.workers if worker.status.instance not in dead)
    return replace(node, workers=living) if living else node


def acknowledged(leases: Iterable[Lease], sealer: Sealer, reports: Reports | None = None) -> tuple[Version, ...]:
    """The versions that workers say they have applied, also those that were silent since."""
    seen = (reports or Reports(sealer)).seen(leases)
    found = {worker.applied for each in seen for worker in each.report.workers}
    versions = []
    for text in found:
        try:
            versions.append(Version.read(text))
        except ValueError:
            continue
    return tuple(versions)
