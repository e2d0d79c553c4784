"""How many events match, each counted once where several backing indices of a data stream hold a copy.

A server knows an id in one index. An event that was sent again after a rollover, because the first answer was lost, is
in two. Both copies say when it happened, so there can be some only where the times of two indices overlap.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from clusterlog.store.elasticsearch.reading import spans
from clusterlog.store.elasticsearch.reading.asker import Asker, Damage
from clusterlog.store.elasticsearch.reading.clauses import Clause, all_of, either
from clusterlog.store.elasticsearch.reading.pages import Pages

LOOKED_UP_AT_ONCE = 1_000
_MOST_INDICES = 10_000
_MILLISECOND = 1_000_000
_BACKING = re.compile(r"(?:[a-z-]+-)?\.ds-(.+?)(?:-\d{4}\.\d\d\.\d\d)?-\d{6,}")


def stream_of(index: str) -> str:
    """The data stream whose backing index this is; the name itself where it is none."""
    backing = _BACKING.fullmatch(index)
    return backing[1] if backing else index


@dataclass(frozen=True, slots=True)
class _Share:
    """What one index holds of an answer: how many documents, from when to when (ns, a little more than exactly)."""

    index: str
    count: int
    since: int
    until: int


def count(asker: Asker, clause: Clause, damage: Damage) -> int:
    """How many different events match a clause."""
    mapping = asker.mapping()
    streams = [stream_of(index) for index in mapping.indices]
    # A server that counts without looking leaves out texts without a word, which do exist.
    looks = any(each.family == "text" for name in _said_to_exist(clause) for each in mapping.of(name))
    if len(streams) == len(set(streams)) and not looks:
        return asker.count(clause, damage)
    shares = _shares(asker, clause, damage)
    by_stream: dict[str, list[_Share]] = defaultdict(list)
    for share in sorted(shares, key=lambda share: share.index):
        by_stream[stream_of(share.index)].append(share)
    repeated = 0
    for held in by_stream.values():
        for number in range(1, len(held)):
            repeated += _in_both(asker, clause, held[:number], held[number], damage)
    return sum(share.count for share in shares) - repeated


def _said_to_exist(clause: Clause) -> Iterator[str]:
    """The fields of which a clause asks whether they have a value."""
    ((kind, inside),) = clause.items()
    if kind == "exists":
        yield inside["field"]
    elif kind == "bool":
        for group in inside.values():
            for each in group:
                yield from _said_to_exist(each)


def _shares(asker: Asker, clause: Clause, damage: Damage) -> list[_Share]:
    times = {"since": {"min": {"field": "@timestamp"}}, "until": {"max": {"field": "@timestamp"}}}
    by_index = {"terms": {"field": "_index", "size": _MOST_INDICES}, "aggs": times}
    body = {"query": clause, "size": 0, "track_total_hits": False, "aggs": {"by": by_index}}
    return [
        _Share(
            bucket["key"],
            int(bucket["doc_count"]),
            (int(bucket["since"]["value"] or 0) - 1) * _MILLISECOND,
            (int(bucket["until"]["value"] or 0) + 2) * _MILLISECOND,
        )
        for bucket in asker.aggregation(body, "by", damage).get("buckets", ())
    ]


def _in_both(asker: Asker, clause: Clause, older: Sequence[_Share], newer: _Share, damage: Damage) -> int:
    """How many events the newer index holds that one of the older ones holds as well."""
    touching = [share for share in older if share.since < newer.until and newer.since < share.until]
    if not touching:
        return 0
    since = max(newer.since, min(share.since for share in touching))
    until = min(newer.until, max(share.until for share in touching))
    sides = []
    for shares in (touching, [newer]):
        side = all_of((clause, _within(asker, since, until), {"terms": {"_index": [each.index for each in shares]}}))
        sides.append((asker.count(side, damage), side))
    (_, fewer), (_, more) = sorted(sides, key=lambda side: side[0])
    hits = Pages(asker, fewer, "oldest", damage, keys=True).hits()
    ids = (id for id, _ in groupby(hit.key[1] for hit in hits))  # copies stand side by side, and count as one
    return sum(_known(asker, more, batch, damage) for batch in _batches(ids))


def _within(asker: Asker, since: int, until: int) -> Clause:
    return either(spans.times(each, since, until) for each in asker.mapping().of("@timestamp")).maybe


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while batch := list(islice(rest, LOOKED_UP_AT_ONCE)):
        yield batch


def _known(asker: Asker, clause: Clause, ids: Sequence[str], damage: Damage) -> int:
    """How many of these ids events have that match a clause."""
    field = asker.mapping().sortable("event.id")
    body: dict[str, Any] = {
        "query": all_of((clause, {"terms": {field: list(ids)}})),
        "size": 0,
        "track_total_hits": False,
        "aggs": {"ids": {"terms": {"field": field, "size": len(ids)}}},
    }
    return len(asker.aggregation(body, "ids", damage).get("buckets", ()))
