"""What Kibana's Lens asks a search server for, from what is known of it: a panel as a search, its answer as rows.

Beside it stands the same counted by hand over documents, so that the numbers of a server can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusterlog.search.instant import instant
from clusterlog.search.language.parsing import parse
from clusterlog.store.predicate import matches
from clusterlog.store.query import And, Everything, Exists, Match, Node, Not, Or, Range, Wildcard

SECOND_NS = 1_000_000_000
RECORDS = "___records___"


@dataclass(frozen=True)
class Row:
    """One row of an answer: the values of what it is divided by, and each measure by its column."""

    key: tuple[Any, ...]
    values: Mapping[str, float | None]


def read(query: str) -> Node:
    """A query in KQL."""
    return parse(query) if query.strip() else Everything()


def fields_of(node: Node) -> Iterator[tuple[str, Node]]:
    """Every field a query asks for, with what it asks."""
    match node:
        case And(parts) | Or(parts):
            for each in parts:
                yield from fields_of(each)
        case Not(part):
            yield from fields_of(part)
        case Everything():
            return
        case _:
            yield node.field, node


def clause(node: Node) -> dict[str, Any]:
    """A query as Kibana sends it."""
    match node:
        case Everything():
            return {"match_all": {}}
        case And(parts):
            return {"bool": {"filter": [clause(each) for each in parts]}}
        case Or(parts):
            return {"bool": {"should": [clause(each) for each in parts], "minimum_should_match": 1}}
        case Not(part):
            return {"bool": {"must_not": clause(part)}}
        case Exists(field):
            return {"exists": {"field": field}}
        case Match(field, value):
            return {"match": {field: value}}
        case Range():
            bounds = {name: getattr(node, name) for name in ("gt", "gte", "lt", "lte")}
            return {"range": {node.field: {name: each for name, each in bounds.items() if each is not None}}}
        case Wildcard(field, pattern):
            return {"wildcard": {field: "*".join(pattern)}}
    raise AssertionError(node)


def search(state: Mapping[str, Any], times: tuple[str, str]) -> dict[str, Any]:
    """The search for a panel's state."""
    (layer,) = state["datasourceStates"]["formBased"]["layers"].values()
    within = {"range": {"@timestamp": {"gte": times[0], "lte": times[1], "format": "strict_date_optional_time_nanos"}}}
    query = {"bool": {"filter": [within, clause(read(state["query"]["query"]))]}}
    columns = [(name, layer["columns"][name]) for name in layer["columnOrder"]]
    return {"size": 0, "query": query, "track_total_hits": True, "aggs": _aggregations(columns, dict(columns))}


def _aggregations(columns: Sequence[tuple[str, Any]], known: Mapping[str, Any]) -> dict[str, Any]:
    buckets = [(name, column) for name, column in columns if column["isBucketed"]]
    if buckets:
        name, column = buckets[0]
        rest = [each for each in columns if each[0] != name]
        inner = _aggregations(rest, known)
        order = column["params"].get("orderBy", {}).get("columnId")
        if order and order not in inner:  # what is ordered by is asked for beside what is divided further
            inner |= dict([_measure(order, known[order])])
        return {name: {**_bucket(column, known), "aggs": inner}}
    return dict(_measure(name, column) for name, column in columns)


def _bucket(column: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    field, params = column["sourceField"], column["params"]
    if column["operationType"] == "date_histogram":
        return {"date_histogram": {"field": field, "fixed_interval": "1s", "min_doc_count": 1}}
    by = params["orderBy"]["columnId"]
    return {
        "terms": {"field": field, "size": params["size"], "order": {_path(by, known[by]): params["orderDirection"]}}
    }


def _path(name: str, column: Mapping[str, Any]) -> str:
    percent = {"median": 50, "percentile": column["params"].get("percentile")}.get(column["operationType"])
    leaf = "" if percent is None else f".{percent}"
    if column["operationType"] == "count":
        return f"{name}._count" if "filter" in column else "_count"
    return f"{name}>{name}{leaf}" if "filter" in column else f"{name}{leaf}"


def _measure(name: str, column: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    operation, field = column["operationType"], column["sourceField"]
    where = column.get("filter")
    if operation == "count":
        return name, {"filter": clause(read(where["query"])) if where else {"match_all": {}}}
    asked = {
        "unique_count": {"cardinality": {"field": field}},
        "median": {"percentiles": {"field": field, "percents": [50]}},
        "percentile": {"percentiles": {"field": field, "percents": [column["params"].get("percentile")]}},
    }.get(operation, {operation: {"field": field}})
    return name, {"filter": clause(read(where["query"])), "aggs": {name: asked}} if where else asked


def rows(state: Mapping[str, Any], answer: Mapping[str, Any]) -> list[Row]:
    """The rows of an answer."""
    (layer,) = state["datasourceStates"]["formBased"]["layers"].values()
    columns = [(name, layer["columns"][name]) for name in layer["columnOrder"]]
    return list(_rows(columns, answer.get("aggregations", {}), ()))


def _rows(columns: Sequence[tuple[str, Any]], told: Mapping[str, Any], key: tuple[Any, ...]) -> Iterator[Row]:
    buckets = [name for name, column in columns if column["isBucketed"]]
    if not buckets:
        yield Row(key, {name: _value(name, column, told[name]) for name, column in columns})
        return
    rest = [each for each in columns if each[0] != buckets[0]]
    for bucket in told[buckets[0]]["buckets"]:
        yield from _rows(rest, bucket, (*key, bucket["key"]))


def _value(name: str, column: Mapping[str, Any], told: Mapping[str, Any]) -> float | None:
    if column["operationType"] == "count":
        return told["doc_count"]
    inner = told[name] if "filter" in column else told
    return next(iter(inner["values"].values())) if "values" in inner else inner["value"]


def counted(state: Mapping[str, Any], documents: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Key → column → what it is, counted over documents; of a percentile the least and the greatest it may be."""
    (layer,) = state["datasourceStates"]["formBased"]["layers"].values()
    found = [each for each in documents if matches(read(state["query"]["query"]), each)]
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    buckets = [column for column in layer["columns"].values() if column["isBucketed"]]
    for document in found:
        key = tuple(_part(document, column) for column in buckets)
        if None not in key:
            groups.setdefault(key, []).append(document)
    if not buckets:
        groups.setdefault((), [])
    measures = {name: column for name, column in layer["columns"].items() if not column["isBucketed"]}
    return {key: {name: _counted(column, group) for name, column in measures.items()} for key, group in groups.items()}


def value_at(document: Mapping[str, Any], field: str) -> Any:
    """What stands in a field."""
    found: Any = document
    for part in field.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _part(document: Mapping[str, Any], column: Mapping[str, Any]) -> Any:
    value = value_at(document, column["sourceField"])
    return (instant(value) or 0) // SECOND_NS * 1000 if column["operationType"] == "date_histogram" else value


def _counted(column: Mapping[str, Any], group: Sequence[Mapping[str, Any]]) -> Any:
    if "filter" in column:
        group = [each for each in group if matches(read(column["filter"]["query"]), each)]
    operation, field = column["operationType"], column["sourceField"]
    if operation == "count":
        return len(group)
    values = [value for each in group if (value := value_at(each, field)) is not None]
    if field == "@timestamp":
        values = [(instant(value) or 0) // 1_000_000 for value in values]
    simple: dict[str, Callable[[], Any]] = {
        "unique_count": lambda: len(set(values)),
        "sum": lambda: sum(values),
        "max": lambda: max(values, default=None),
        "min": lambda: min(values, default=None),
    }
    if operation in simple:
        return simple[operation]()
    rank = (column["params"].get("percentile", 50)) / 100 * (len(values) - 1)
    values.sort()
    if not values:
        return None
    return values[max(0, math.floor(rank) - 1)], values[min(len(values) - 1, math.ceil(rank) + 1)]
