"""A query as Elasticsearch's and OpenSearch's query language: pure, by what is known of how fields are mapped.

What a condition means stands at the nodes of ``store.query``; the clauses found here agree with it, or say how far they
do (``reading.clauses``). Servers bound what they are asked: what would be too much is left to the reference evaluator,
which makes an answer slower and never another one.
"""

from __future__ import annotations

from clusterlog.store.elasticsearch.reading import spans
from clusterlog.store.elasticsearch.reading.clauses import (
    ALL,
    EVERYTHING,
    UNKNOWN,
    Clause,
    Part,
    all_of,
    both,
    depth,
    either,
    negated,
    perhaps,
    size,
)
from clusterlog.store.elasticsearch.reading.leaves import leaf
from clusterlog.store.elasticsearch.reading.mapping import Mapping
from clusterlog.store.query import And, Everything, Node, Not, Or

MOST_CLAUSES = 480
"""In one condition. OpenSearch takes 1,024 in all (``indices.query.bool.max_clause_count``), and two may be sent."""
DEEPEST = 20
"""Elasticsearch takes 30 ``bool`` within each other (``indices.query.bool.max_nested_depth``)."""


def condition(where: Node, mapping: Mapping) -> Part:
    """The clauses of a condition: what may match it, and what surely does."""
    match where:
        case Everything():
            return EVERYTHING
        case And(parts):
            return _bounded(both(each := [condition(part, mapping) for part in parts]), each)
        case Or(parts):
            return _bounded(either(condition(part, mapping) for part in parts))
        case Not(part):
            return negated(condition(part, mapping))
        case _:
            return leaf(where, mapping)


def window(since: int | None, until: int | None, mapping: Mapping) -> Part:
    """The events from ``since`` (inclusive) to ``until`` (exclusive), nanoseconds since the epoch."""
    if since is None and until is None:
        return EVERYTHING
    mapped = mapping.of("@timestamp")
    return either(spans.times(each, since, until) for each in mapped) if mapped else UNKNOWN


def _bounded(part: Part, parts: list[Part] | None = None) -> Part:
    """A condition no larger than a server takes; of parts that all must match, as many as it takes."""
    if _is_taken(part.maybe) and _is_taken(part.sure):
        return part
    left, taken = MOST_CLAUSES, list[Clause]()
    for each in parts or ():
        left -= size(each.maybe)
        if left >= 0 and depth(each.maybe) < DEEPEST:
            taken.append(each.maybe)
    return perhaps(all_of(taken) if taken else ALL)


def _is_taken(clause: Clause) -> bool:
    return size(clause) <= MOST_CLAUSES and depth(clause) <= DEEPEST
