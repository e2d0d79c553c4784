"""A span or a log record that was told of an event of ours, as that event again. Pure.

It is known by its attributes: a dataset of ours and an event's id, which is kept, so that what comes a second time is
known as the same. Nothing is guessed: what ``records`` has put somewhere is taken from there. Whoever stood in between
may have added attributes; those of a resource count where the record itself says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterlog.encode.facts import instant, is_id
from clusterlog.encode.otlp.fields import EXCEPTION, RESOURCE, SCOPE, UID, place
from clusterlog.encode.otlp.records import usually
from clusterlog.encode.otlp.values import attributes, id_of, is_error, number, objects, only_object, text

_OURS = "clusterlog."
_KIND = {2: "server", 3: "client", 4: "producer", 5: "consumer"}
_OWN_KIND = ("clusterlog.span", "clusterlog.span.kind")
_ORDER = "@timestamp process event log ecs service host message clusterlog http trace span user error".split()
_FIELDS = {name: path for path, name in RESOURCE.items()}
_ERRORS = {name: path for path, name in EXCEPTION.items()}


def is_ours(record: Mapping[str, Any]) -> bool:
    """Whether a span or a log record, in OTLP's JSON, was told of an event of ours."""
    names = [each.get("key") for each in objects(record.get("attributes"))]
    if "event.dataset" not in names or "event.id" not in names:
        return False
    said = attributes(record)
    dataset, id = said.get("event.dataset"), said.get("event.id")
    return type(dataset) is str and dataset.startswith(_OURS) and is_id(id)


def event(record: Mapping[str, Any], scope: str, resource: Mapping[str, Any]) -> dict[str, Any]:
    """The event that a log record or a span (which has a ``spanId`` and times) was told of.

    ``resource`` are the attributes of its resource as they were sent, ``scope`` is the name of its scope.
    """
    said = attributes(record)
    dataset = said["event.dataset"]
    fields: dict[str, Any] = {}
    labels: dict[str, Any] = {}
    for name, value in resource.items():
        if name in _FIELDS:
            fields[_FIELDS[name]] = value
        else:
            _add(name, value, dataset, fields, labels)
    fields |= _span(record, scope, dataset) if "endTimeUnixNano" in record else _log(record, scope)
    for name, value in said.items():
        if name in _ERRORS:
            fields[_ERRORS[name]] = value
        elif name != UID:
            _add(name, value, dataset, fields, labels)
    tree: dict[str, Any] = dict.fromkeys(_ORDER)
    for path, value in fields.items():
        if value is not None:
            _put(tree, path, value)
    told = {name: value for name, value in tree.items() if value is not None}
    if labels and "labels" not in told:
        told["labels"] = labels
    return told


def _add(name: str, value: Any, dataset: str, fields: dict[str, Any], labels: dict[str, Any]) -> None:
    is_label, where = place(name, dataset)
    (labels if is_label else fields)[where] = value


def _log(record: Mapping[str, Any], scope: str) -> dict[str, Any]:
    body = only_object(record.get("body")).get("stringValue")
    return {
        **_common(record, "timeUnixNano"),
        "event.kind": "event",
        "log.level": text(record, "severityText") or None,
        "log.logger": scope or None,
        "message": body if type(body) is str else None,
    }


def _span(record: Mapping[str, Any], scope: str, dataset: str) -> dict[str, Any]:
    began, ended = number(record.get("startTimeUnixNano")), number(record.get("endTimeUnixNano"))
    found = {
        **_common(record, "endTimeUnixNano"),
        **usually(dataset, text(record, "name"), is_error(only_object(record.get("status")))),
        "event.duration": ended - began,
        "clusterlog.parent.span_id": id_of(record, "parentSpanId"),
        "clusterlog.span.scope": scope if scope != SCOPE else None,
    }
    if dataset == _OWN_KIND[0]:
        found[_OWN_KIND[1]] = _KIND.get(number(record.get("kind")))
    noted = []
    for each in objects(record.get("events")):
        if text(each, "name") == "exception":
            found |= {_ERRORS[name]: value for name, value in attributes(each).items() if name in _ERRORS}
        else:
            noted.append({"name": text(each, "name"), "offset_ns": number(each.get("timeUnixNano")) - began})
    links = [
        {"trace_id": id_of(each, "traceId"), "span_id": id_of(each, "spanId")} for each in objects(record.get("links"))
    ]
    return {**found, "clusterlog.span.events": noted or None, "clusterlog.span.links": links or None}


def _common(record: Mapping[str, Any], time: str) -> dict[str, Any]:
    ns = number(record.get(time))
    return {
        "@timestamp": instant(ns) if 0 < ns < 1 << 64 else None,
        "trace.id": id_of(record, "traceId"),
        "span.id": id_of(record, "spanId"),
    }


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        inner = tree.get(name)
        if inner is None:
            inner = tree[name] = {}
        if type(inner) is not dict:
            return
        tree = inner
    tree[last] = value
