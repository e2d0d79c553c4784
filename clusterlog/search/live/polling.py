"""What has come into a store since one looked last: a store says nothing by itself, so it is asked again and again.

Events come late, by the pauses of their shipper and of the store's own, and not in the order of their times. Each look
asks for the last seconds; now and then the events of the last minutes are counted, and where there are more than were
seen, those are fetched.
"""

from __future__ import annotations

from collections.abc import Iterable

from clusterlog.store.base import Found, Store
from clusterlog.store.query import Node, Query

FRESH_NS = 5_000_000_000
"""How far back each look goes."""
LATE_NS = 120_000_000_000
"""How late an event may come and still be seen."""
COUNT_NS = 10_000_000_000
"""How often the late ones are looked for."""


class Poll:
    """Every event that matches ``where`` and happened, by its own time, a moment before ``now_ns`` or later; each once.

    Those that can be found already do not count as new.
    """

    def __init__(self, store: Store, where: Node, now_ns: int) -> None:
        self._store = store
        self._where = where
        self._begin = now_ns - FRESH_NS
        self._looked = self._counted = now_ns
        self._known: dict[str, int] = {}
        self.note(store.find(self._query(self._begin)))

    def note(self, found: Iterable[Found]) -> None:
        """Count these as seen."""
        for each in found:
            self._known[each.key[1]] = each.key[0]

    def look(self, now_ns: int) -> list[bytes]:
        """What is new, in the order of time. Raises what the store raises; nothing is lost by that."""
        since = max(self._begin, min(self._looked, now_ns) - FRESH_NS)
        if now_ns - self._counted >= COUNT_NS:
            late = max(self._begin, now_ns - LATE_NS)
            self._known = {id: time for id, time in self._known.items() if time >= late}
            if self._store.count(self._query(late)) > len(self._known):
                since = late
            self._counted = now_ns
        new = [each for each in self._store.find(self._query(since)) if each.key[1] not in self._known]
        self.note(new)
        self._looked = now_ns
        return [each.body for each in new]

    def _query(self, since: int) -> Query:
        return Query(self._where, since, order="oldest", limit=None)
