"""Which sequence numbers are stored, counted where the events are.

A histogram over ``event.sequence`` says of each thousand numbers how many events there are, and the least and greatest
of them: as many as lie between these two means all of them, as one index holds an id once. Only where that is not so,
or where two indices of a data stream share a thousand, is each number looked at.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from clusterlog.errors import StoreUnavailable
from clusterlog.store.base import Progress, Sequences
from clusterlog.store.elasticsearch.reading.asker import BUCKETS, Asker, Damage
from clusterlog.store.elasticsearch.reading.clauses import ALL, Clause, all_of, none_of
from clusterlog.store.elasticsearch.reading.distinct import stream_of
from clusterlog.store.ranges import Ranges, merged, minus

INTERVAL = 1_000
LAST = (1 << 44) - 1
"""What eleven hex digits of an ``event.id`` can say."""

Bucket = Mapping[str, Any]

_INSTANCE = re.compile(r"[0-9a-f]{32}")
_OWN_ID = "[0-9a-f]{32}-[0-9a-f]{11}"
_ID = re.compile(f"({_INSTANCE.pattern})-([0-9a-f]{{11}})")


@dataclass(slots=True)
class _Counted:
    """What a histogram says of one instance: numbers that are surely there, and stretches to look into."""

    stored: list[tuple[int, int]] = field(default_factory=list)
    doubtful: list[tuple[int, int]] = field(default_factory=list)


class Numbers:
    """Asks for the numbers of instances. What an answer lacks is noted in ``damage``."""

    def __init__(self, asker: Asker, damage: Damage) -> None:
        self._asker = asker
        self._damage = damage
        mapping = asker.mapping()
        self._entity = mapping.sortable("process.entity_id")
        self._id = mapping.sortable("event.id")

    def of(self, instance: str, within: tuple[int, int]) -> Sequences:
        """The numbers of one instance, those ``within`` two numbers; none for what is no instance of ours."""
        if not _INSTANCE.fullmatch(instance):
            return Sequences(instance, ())
        first, last = max(1, within[0]), min(LAST, within[1])
        if last - first < BUCKETS:
            return self._one_by_one(instance, ((first, last),))
        counted = _Counted()
        for _, buckets in groupby(self._histogram(self._own(instance, first, last)), _place):
            _judge(list(buckets), counted)
        singly = self._one_by_one(instance, merged(counted.doubtful))
        return Sequences(instance, merged((*counted.stored, *singly.stored)), singly.twice)

    def all(self, progress: Progress) -> Iterator[Sequences]:
        """Those of every instance, in their order."""
        numbered = {"range": {"event.sequence": {"gte": 1, "lte": LAST}}}
        everything = all_of((numbered, {"exists": {"field": self._entity}}))
        total, done = self._asker.count(everything, self._damage), 0
        strange = self._strange(everything) if total else {}
        aside = self._failed()
        rest = sorted(aside)
        for instance, buckets in groupby(self._histogram(everything), lambda bucket: str(bucket["key"]["instance"])):
            counted = _Counted()
            for _, same in groupby(buckets, _place):
                held = list(same)
                done += sum(int(bucket["doc_count"]) for bucket in held)
                _judge(held, counted, strange.get(instance, ()))
            progress(min(done, total), total)
            while rest and rest[0] < instance:
                yield Sequences(rest[0], (), (), merged(aside[rest.pop(0)]))
            rest = rest[1:] if rest[:1] == [instance] else rest
            if _INSTANCE.fullmatch(instance) and (found := self._whole(instance, counted, aside.get(instance, ()))):
                yield found
        yield from (Sequences(instance, (), (), merged(aside[instance])) for instance in rest)
        if total:
            progress(total, total)

    def _whole(self, instance: str, counted: _Counted, aside: Iterable[tuple[int, int]]) -> Sequences | None:
        singly = self._one_by_one(instance, merged(counted.doubtful))
        stored = merged((*counted.stored, *singly.stored))
        unreadable = minus(merged(aside), stored)
        return Sequences(instance, stored, singly.twice, unreadable) if stored or unreadable else None

    def _own(self, instance: str, first: int, last: int) -> Clause:
        """Events of an instance with an id of our own form, between two numbers."""
        ids = {"gte": f"{instance}-{first:011x}", "lte": f"{instance}-{last:011x}"}
        numbers = {"gte": first, "lte": last}
        return all_of(
            (
                {"term": {self._entity: instance}},
                {"range": {"event.sequence": numbers}},
                {"range": {self._id: ids}},
            )
        )

    def _histogram(self, clause: Clause) -> Iterator[Bucket]:
        """By instance, thousand and index, in that order, with the least and greatest number in each."""
        sources = (
            {"instance": {"terms": {"field": self._entity}}},
            {"thousand": {"histogram": {"field": "event.sequence", "interval": INTERVAL}}},
            {"index": {"terms": {"field": "_index"}}},
        )
        ends = {"least": {"min": {"field": "event.sequence"}}, "greatest": {"max": {"field": "event.sequence"}}}
        return self._asker.buckets(clause, sources, self._damage, inside=ends)

    def _one_by_one(self, instance: str, ranges: Ranges) -> Sequences:
        """Each number between some two, with how many documents have it."""
        stored: list[tuple[int, int]] = []
        twice: list[tuple[int, int]] = []
        for low, high in _cut(ranges):
            histogram = {"field": "event.sequence", "interval": 1, "min_doc_count": 1}
            body = {
                "query": self._own(instance, low, high),
                "size": 0,
                "track_total_hits": False,
                "aggs": {"numbers": {"histogram": histogram}},
            }
            for bucket in self._asker.aggregation(body, "numbers", self._damage).get("buckets", ()):
                number = int(bucket["key"])
                stored.append((number, number))
                if bucket["doc_count"] > 1:
                    twice.append((number, number))
        return Sequences(instance, merged(stored), merged(twice))

    def _strange(self, clause: Clause) -> Mapping[str, list[int]]:
        """Numbers of events whose id is of another form than ours: they have none, whatever they say."""
        others = all_of((clause, none_of({"regexp": {self._id: {"value": _OWN_ID}}})))
        sources = (
            {"instance": {"terms": {"field": self._entity}}},
            {"number": {"histogram": {"field": "event.sequence", "interval": 1}}},
        )
        found: dict[str, list[int]] = defaultdict(list)
        for bucket in self._asker.buckets(others, sources, self._damage):
            found[str(bucket["key"]["instance"])].append(int(bucket["key"]["number"]))
        return found

    def _failed(self) -> Mapping[str, list[tuple[int, int]]]:
        """Numbers in the failure stores, as far as there are some and we may read them: taken, and not to be found.

        Raises StoreUnavailable where the server has no time, or is away: what it did not tell is not nothing.
        """
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        try:
            sources = ({"id": {"terms": {"field": "document.id"}}},)
            for bucket in self._asker.buckets(ALL, sources, self._damage, of="::failures"):
                own = _ID.fullmatch(str(bucket["key"]["id"]))
                if own:
                    found[own[1]].append((int(own[2], 16), int(own[2], 16)))
        except StoreUnavailable as error:
            if error.advice in ("again", "slower"):
                raise  # else there is no such thing on this server, or not for us
        return found


def _place(bucket: Bucket) -> tuple[str, int]:
    return str(bucket["key"]["instance"]), int(bucket["key"]["thousand"])


def _judge(buckets: list[Bucket], into: _Counted, strange: Iterable[int] = ()) -> None:
    """What the buckets of one thousand numbers of one instance, one for each index, say together."""
    low = min(int(bucket["least"]["value"]) for bucket in buckets)
    high = max(int(bucket["greatest"]["value"]) for bucket in buckets)
    streams = {stream_of(str(bucket["key"]["index"])) for bucket in buckets}
    is_whole = sum(int(bucket["doc_count"]) for bucket in buckets) == high - low + 1
    if is_whole and len(streams) == len(buckets) and not any(low <= number <= high for number in strange):
        into.stored.append((low, high))
    else:
        into.doubtful.append((low, high))


def _cut(ranges: Ranges) -> Iterator[tuple[int, int]]:
    """The ranges in pieces of which each number can be a bucket of one answer."""
    for first, last in ranges:
        for low in range(first, last + 1, BUCKETS):
            yield low, min(last, low + BUCKETS - 1)
