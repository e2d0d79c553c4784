"""The store every engine is held against: a list of events, asked by brute force."""

from __future__ import annotations

from dataclasses import dataclass, field

from clusterlog.store import document
from clusterlog.store.base import Delivery, Found
from clusterlog.store.predicate import selects
from clusterlog.store.query import Query


@dataclass(slots=True)
class ReferenceStore:
    """Keeps deliveries and answers queries by asking the predicate of each. ``arrival`` is that of all its events."""

    arrival: int
    events: dict[str, bytes] = field(default_factory=dict)

    def deliver(self, batch: list[Delivery]) -> None:
        """Keep what was not there before."""
        for delivery in batch:
            self.events.setdefault(delivery.id, delivery.body)

    def find(self, query: Query) -> list[Found]:
        """The events that match, in the query's order."""
        found = self._matching(query)
        newest = query.order == "newest"
        found.sort(key=lambda each: each.key, reverse=newest)
        if query.after is not None:
            found = [each for each in found if (each.key < query.after if newest else each.key > query.after)]
        return found if query.limit is None else found[: query.limit]

    def count(self, query: Query) -> int:
        """How many events match."""
        return len(self._matching(query))

    def _matching(self, query: Query) -> list[Found]:
        found = []
        for id, body in self.events.items():
            event = document.parse(body)
            time, _ = document.placed(event, self.arrival)
            if selects(query, event, time):
                found.append(Found((time, id), body))
        return found
