"""One run of the demo: what was answered, and what each request must leave in the store once its last hop has ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from clusterlog.cli.demo.cluster import NODES, Cluster
from clusterlog.cli.demo.plan import CAUSES, Outcome, Planned
from clusterlog.cli.demo.reports import Visit
from clusterlog.cli.demo.shipping import Shipping
from clusterlog.cli.demo.traffic import Answer, Customers
from clusterlog.errors import TimedOut

HOPS_S = 30.0
"""How long after the last answer the last hop of a request may take to end."""

Advance = Callable[[int, int], None]
_TICK_S = 0.05
_ORDER = [node.name for node in reversed(NODES)]


class Run:
    """Sends customers to a started cluster and watches over it. ``remember`` keeps a document of every request."""

    def __init__(self, cluster: Cluster, shipping: Shipping, stop: Callable[[], bool], *, remember: bool) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.unplanned = 0
        self.examples: dict[Outcome, Answer] = {}
        self._cluster = cluster
        self._shipping = shipping
        self._stop = stop
        self._remember = remember
        self._documents: dict[int, dict[str, Any]] = {}
        self._open: list[Answer] = []
        self._tell: Advance = _unseen
        self._total = 0
        self._customers = Customers(cluster.urls, self._answered, self._watch)

    def send(
        self, requests: Iterable[Planned], rate: float | None, total: int = 0, tell: Advance | None = None
    ) -> None:
        """Make requests until they are answered or it is time to stop. Raises NodeUnavailable."""
        self._total, self._tell = total, tell or _unseen
        self._customers.send(requests, rate, self._stop)

    def settle(self) -> None:
        """Wait until the last hop of every request has ended, background work included. Raises TimedOut."""
        deadline = time.monotonic() + HOPS_S
        while self._open:
            self._watch()
            if self._open and time.monotonic() > deadline:
                answer = self._open[0]
                nodes = ", ".join(self._visit(answer).missing(answer.planned.shop))
                raise TimedOut(f"request {answer.id} has not ended on {nodes} after {HOPS_S:.0f} s")
            self._cluster.reports.wait(_TICK_S)

    def documents(self) -> list[dict[str, Any]]:
        """``clusterlog.demo/1``: every request that has ended, in the order they were made."""
        return [self._documents[number] for number in sorted(self._documents)]

    def _answered(self, answer: Answer) -> None:
        self._open.append(answer)
        self.outcomes[answer.outcome] += 1
        self.unplanned += answer.outcome != answer.planned.outcome
        self.examples.setdefault(answer.outcome, answer)
        self._tell(self.outcomes.total(), self._total)

    def _watch(self) -> None:
        """Several times a second: keep the shipper alive, see that the nodes are, take what requests have come to."""
        self._shipping.watch()
        self._cluster.watch()
        still_open = []
        for answer in self._open:
            visit = self._visit(answer)
            if visit.missing(answer.planned.shop):
                still_open.append(answer)
            else:
                self._ended(answer, visit)
        self._open = still_open

    def _visit(self, answer: Answer) -> Visit:
        return self._cluster.reports.visit(answer.planned.ticket)

    def _ended(self, answer: Answer, visit: Visit) -> None:
        ticket = answer.planned.ticket
        self._cluster.reports.forget(ticket)
        if self._remember:
            nodes = [node for node in _ORDER if node in visit.events_by_node]
            self._documents[int(ticket)] = {
                "id": answer.id,
                "trace_id": visit.trace_id,
                "user": answer.planned.user,
                "status": answer.status,
                "outcome": answer.outcome,
                "nodes": nodes,
                "events": visit.events_by_node.total(),
                "events_by_node": dict(sorted(visit.events_by_node.items())),
                "planted": self._planted(answer.planned, nodes),
            }

    def _planted(self, planned: Planned, nodes: Iterable[str]) -> dict[str, str] | None:
        """The cause that was planted, with the node it is on and the address it asks; ``None`` if there is none."""
        cause = CAUSES.get(planned.outcome)
        if cause is None:
            return None
        node = next((node for node in nodes if node.rpartition("-")[0] == cause.service), "")
        target = self._cluster.urls.get(cause.target, "").partition("://")[2]
        return {**asdict(cause), "node": node, "target": target}


def _unseen(done: int, total: int) -> None:
    """Nobody looks."""
