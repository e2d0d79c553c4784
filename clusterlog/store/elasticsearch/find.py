"""The store: questions to Elasticsearch or OpenSearch, answered as every other store answers them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from clusterlog.store.base import Found, Progress, Sequences, unseen
from clusterlog.store.elasticsearch.dsl import condition, window
from clusterlog.store.elasticsearch.reading import distinct
from clusterlog.store.elasticsearch.reading.asker import Asker, Damage
from clusterlog.store.elasticsearch.reading.clauses import NONE, Part, all_of, both, none_of
from clusterlog.store.elasticsearch.reading.numbers import LAST, Numbers
from clusterlog.store.elasticsearch.reading.pages import FIRST_PAGE, Pages
from clusterlog.store.elasticsearch.streams import PATTERN
from clusterlog.store.elasticsearch.transport import Client
from clusterlog.store.predicate import selects
from clusterlog.store.query import Query


class ElasticsearchStore:
    """Asks for events over ``client``, whose key may read; ``close`` closes the client.

    ``target`` are the indices, with wildcards; without it all of ours. All answers are of what a refresh has made
    visible, as a rule what came more than a second ago.
    """

    def __init__(self, client: Client, target: str | None = None) -> None:
        self._client = client
        self._asker = Asker(client, PATTERN if target is None else target)

    def find(self, query: Query) -> Iterator[Found]:
        """The events that match, in the query's order, lazily and in bounded memory.

        ``Found.body`` is the document as the server has it, in JSON. Raises ``Incomplete`` at the end when some of the
        server's shards could not answer, ``StoreUnavailable`` and ``StoreDenied``.
        """
        if query.limit == 0:
            return
        damage = Damage()
        part = self._part(query)
        judged = not (part.exact and self._asker.mapping().keeps_nanoseconds)
        first = FIRST_PAGE if judged or query.limit is None else min(query.limit, FIRST_PAGE)
        left = query.limit
        last = None
        with closing(Pages(self._asker, part.maybe, query.order, damage, first=first).hits(query.after)) as hits:
            for hit in hits:
                if hit.key == last or (judged and not selects(query, hit.event, hit.key[0])):
                    continue
                last = hit.key
                yield Found(hit.key, hit.body)
                if left is not None:
                    left -= 1
                    if not left:
                        break
        damage.confess()

    def count(self, query: Query) -> int:
        """How many events match; ``limit``, ``order`` and ``after`` do not count. Raises as ``find``."""
        damage = Damage()
        part = self._part(query)
        found = distinct.count(self._asker, part.sure, damage) if part.sure != NONE else 0
        if not part.exact:
            doubtful = all_of((part.maybe, none_of(part.sure)))
            if self._asker.count(doubtful, damage):
                keys = (
                    hit.key
                    for hit in Pages(self._asker, doubtful, "oldest", damage).hits()
                    if selects(query, hit.event, hit.key[0])
                )
                found += _different(keys)
        damage.confess()
        return found

    def sequences(self, instance: str, within: tuple[int, int] | None = None) -> Sequences:
        """Which numbers of an instance are stored; those outside of ``within`` are not looked for."""
        damage = Damage()
        found = Numbers(self._asker, damage).of(instance, within or (1, LAST))
        damage.confess()
        return found

    def audit(self, progress: Progress = unseen) -> Iterator[Sequences]:
        """The same for every instance, by all that can be read; ``progress`` counts events.

        What lies in a failure store counts as unreadable. Raises ``Incomplete`` at the end as ``find``.
        """
        damage = Damage()
        yield from Numbers(self._asker, damage).all(progress)
        damage.confess()

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._client.close()

    def _part(self, query: Query) -> Part:
        mapping = self._asker.mapping()
        return both((window(query.since, query.until, mapping), condition(query.where, mapping)))


def _different(keys: Iterator[tuple[int, str]]) -> int:
    """How many there are; equal ones stand side by side."""
    found, last = 0, None
    for key in keys:
        found += key != last
        last = key
    return found
