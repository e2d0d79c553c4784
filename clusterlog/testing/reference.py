"""The store every engine is held against: a list of events, asked by brute force."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from clusterlog.store import document
from clusterlog.store.base import Delivery, Found, Sequences
from clusterlog.store.predicate import selects
from clusterlog.store.query import Query
from clusterlog.store.ranges import merged

_OWN_ID = re.compile(r"([0-9a-f]{32})-([0-9a-f]{11})")


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

    def audit(self) -> list[Sequences]:
        """The numbers of every instance by the ids of its events."""
        numbers: dict[str, list[tuple[int, int]]] = {}
        for id in self.events:
            own = _OWN_ID.fullmatch(id)
            if own is not None:
                number = int(own[2], 16)
                numbers.setdefault(own[1], []).append((number, number))
        return [Sequences(instance, merged(found)) for instance, found in sorted(numbers.items())]

    def _matching(self, query: Query) -> list[Found]:
        found = []
        for id, body in self.events.items():
            event = document.parse(body)
            time, _ = document.placed(event, self.arrival)
            if selects(query, event, time):
                found.append(Found((time, id), body))
        return found
