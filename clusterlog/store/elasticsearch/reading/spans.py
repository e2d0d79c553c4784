"""Ranges as clauses: numbers, times and texts, each asked of a field only as far as it holds them."""

from __future__ import annotations

import math
from typing import Any

from clusterlog.store.document import time_ns
from clusterlog.store.elasticsearch.reading.clauses import (
    NONE,
    NOTHING,
    Clause,
    Part,
    all_of,
    any_of,
    exactly,
    ignored,
    perhaps,
)
from clusterlog.store.elasticsearch.reading.mapping import Mapped
from clusterlog.store.predicate import read_number
from clusterlog.store.query import Range, Value
from clusterlog.store.wire import stamp

_INT64 = 1 << 63
_EXACT = 1 << 53
_FINITE = 1e300
_MILLISECOND = 1_000_000
_LAST_NS = _INT64 - 1
"""Beyond it a field of nanoseconds holds nothing, and asking for it is an error."""


def within(mapped: Mapped, node: Range, present: Part) -> Part:
    """A range over one field; ``present`` is what is known where the index cannot compare."""
    bounds = {name: limit for name in ("gt", "gte", "lt", "lte") if (limit := getattr(node, name)) is not None}
    limits = list(bounds.values())
    if any(isinstance(limit, bool) for limit in limits):
        return NOTHING
    if not limits:
        return present
    if all(isinstance(limit, str) for limit in limits):
        return _of_texts(mapped, bounds, present)
    if any(isinstance(limit, str) or not abs(limit) < _FINITE for limit in limits):
        return present
    if mapped.family == "whole":
        return _of_integers(mapped, bounds)
    if mapped.family == "float":
        return _of_floats(mapped, bounds)
    return NOTHING if mapped.family == "boolean" else present


def _of_texts(mapped: Mapped, bounds: dict[str, Any], present: Part) -> Part:
    moments = {name: at for name, limit in bounds.items() if (at := time_ns(limit)) is not None}
    if mapped.family in ("nanos", "date") and len(moments) == len(bounds):
        since = [at + (name == "gt") for name, at in moments.items() if name in ("gt", "gte")]
        until = [at + (name == "lte") for name, at in moments.items() if name in ("lt", "lte")]
        part = times(mapped, max(since, default=None), min(until, default=None))
        if mapped.field == "@timestamp":  # no event is stored without one
            return part
        return Part(any_of((part.maybe, ignored(mapped.field))), part.sure)  # such as one before 1970
    if mapped.family == "keyword" and not moments and all(read_number(limit) is None for limit in bounds.values()):
        found = _bounded(mapped.field, bounds)
        return Part(any_of((found, ignored(mapped.field))), found)
    return present


def times(mapped: Mapped, since: int | None, until: int | None) -> Part:
    """From ``since`` (inclusive) to ``until`` (exclusive), nanoseconds; a field of milliseconds knows no better."""
    if mapped.family == "nanos":
        if (since is not None and since > _LAST_NS) or (until is not None and until <= 0):
            return NOTHING
        since = None if since is None or since <= 0 else since
        until = None if until is None or until > _LAST_NS else until
        return exactly(_between(mapped.field, since, until))
    low, high = since, until
    return Part(
        _between(mapped.field, _floor(low), None if high is None else _floor(high - 1, 1)),
        _between(mapped.field, None if low is None else _floor(low + _MILLISECOND - 1), _floor(high)),
    )


def _floor(ns: int | None, more: int = 0) -> int | None:
    return None if ns is None else (ns // _MILLISECOND + more) * _MILLISECOND


def _between(name: str, since: int | None, until: int | None) -> Clause:
    bounds = {bound: stamp(at) for bound, at in (("gte", since), ("lt", until)) if at is not None}
    return {"range": {name: bounds}} if bounds else {"exists": {"field": name}}


def _bounded(name: str, bounds: dict[str, Any]) -> Clause:
    """A range, in clauses of their own where two bounds are on one side: of these a server takes the last, or none."""
    if {"gt", "gte"} <= bounds.keys() or {"lt", "lte"} <= bounds.keys():
        return all_of({"range": {name: {bound: limit}}} for bound, limit in bounds.items())
    return {"range": {name: bounds}}


def _of_integers(mapped: Mapped, bounds: dict[str, Any]) -> Part:
    low, high = -_INT64, _INT64 - 1
    for name, limit in bounds.items():
        if name == "gt":
            low = max(low, math.floor(limit) + 1)
        elif name == "gte":
            low = max(low, math.ceil(limit))
        elif name == "lt":
            high = min(high, math.ceil(limit) - 1)
        else:
            high = min(high, math.floor(limit))
    found: Clause = {"range": {mapped.field: {"gte": low, "lte": high}}} if low <= high else NONE
    if low > -_INT64 and high < _INT64 - 1:
        return exactly(found)
    return Part(any_of((found, ignored(mapped.field))), found)  # a number too large for the field is kept as well


def _of_floats(mapped: Mapped, bounds: dict[str, Value]) -> Part:
    """Rounded as the field's values are: where that matters, bounds count as inside and the events decide."""
    numbers = {name: float(limit) for name, limit in bounds.items()}
    if mapped.exact and all(abs(limit) < _EXACT for limit in numbers.values()):
        return exactly(_bounded(mapped.field, numbers))
    inclusive: dict[str, float] = {}
    for name, limit in numbers.items():
        side, choose = ("gte", max) if name.startswith("g") else ("lte", min)
        inclusive[side] = choose(inclusive.get(side, limit), limit)
    return perhaps({"range": {mapped.field: inclusive}})
