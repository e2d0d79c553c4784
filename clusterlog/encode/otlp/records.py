"""One event as a span or a log record of OTLP's JSON. Pure.

What both have members for goes there, if it fits; whatever is left becomes attributes. So nothing is lost, and
``restored`` makes the same event of it again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from clusterlog.encode.facts import instant
from clusterlog.encode.otlp.fields import (
    ACCESS,
    CALL,
    EDGE,
    EXCEPTION,
    RESOURCE,
    SCOPE,
    SPAN,
    UID,
    field_name,
    label_name,
    leaves,
    nanoseconds,
    shape,
)
from clusterlog.encode.otlp.values import KINDS, keyed

Event = Mapping[str, Any]
Fields = dict[str, Any]

_INTERNAL, _SERVER, _CLIENT, _ERROR = 1, 2, 3, 2
_KINDS = {ACCESS: _SERVER, EDGE: _SERVER, CALL: _CLIENT}
_TIMED = frozenset({ACCESS, CALL, EDGE, SPAN})
_SEVERITIES = {"trace": 1, "debug": 5, "info": 9, "warning": 13, "warn": 13, "error": 17, "critical": 21, "fatal": 21}
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_LONGEST_NS = 10 * 365 * 86_400 * 1_000_000_000  # a span of more than ten years is a mistake, not a duration


def is_span(event: Event) -> bool:
    """Whether an event is told as a span: an answered request, a call or a step with ids and times of its own."""
    return _is_span(leaves(event))


def _is_span(fields: Fields) -> bool:
    ended, took = nanoseconds(fields.get("@timestamp")), fields.get("event.duration")
    whole = ended is not None and type(took) is int and 0 <= took <= min(_LONGEST_NS, ended)
    return whole and _text(fields, "event.dataset") in _TIMED and bool(_span_id(fields) and _trace_id(fields))


class Told:
    """An event as OTLP tells it: ``message`` is a span if ``is_span``, or else a log record.

    ``resource`` are the attributes of the process it is from, ``scope`` is the name of who told it.
    """

    __slots__ = ("is_span", "message", "resource", "scope")

    def __init__(self, event: Event) -> None:
        fields = leaves(event)
        self.resource = {name: fields.pop(path) for path, name in RESOURCE.items() if path in fields}
        dataset = _text(fields, "event.dataset")
        self.is_span = _is_span(fields)
        self.scope, message = (_span if self.is_span else _record)(fields, dataset)
        labels = event.get("labels")
        told = {field_name(path, dataset): value for path, value in fields.items()}
        for name, value in labels.items() if type(labels) is dict else ():
            told[label_name(name, dataset)] = value
        message["attributes"] += keyed(told)
        self.message = message


def _span(fields: Fields, dataset: str) -> tuple[str, dict[str, Any]]:
    """A span by what is taken out of the fields for it; what a span cannot say is left."""
    ended, took = _time(fields), fields.pop("event.duration")
    began = ended - took
    name = _name(fields, dataset)
    own = fields.get("clusterlog.parent.span_id")
    parent = fields.pop("clusterlog.parent.span_id") if _is_parent(own, fields["span.id"]) else ""
    failed = _has_failed(fields)
    happened, links = _events(fields, began), _links(fields)
    raised = _exception(fields)
    if raised:
        happened.append({"timeUnixNano": str(ended), "name": "exception", "attributes": keyed(raised)})
    why = raised.get("exception.message") or _text(fields, "event.reason")
    status = {"code": _ERROR, **({"message": why} if why else {})}
    message: dict[str, Any] = {
        "traceId": fields.pop("trace.id"),
        "spanId": fields.pop("span.id"),
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": _kind(fields, dataset),
        "startTimeUnixNano": str(began),
        "endTimeUnixNano": str(ended),
        "attributes": [],
        **({"events": happened} if happened else {}),
        **({"links": links} if links else {}),
        **({"status": status} if failed else {}),
    }
    for path, usual in usually(dataset, name, failed).items():
        if path not in fields:
            fields[path] = None  # said to be missing, since it would be missed
        elif fields[path] == usual:
            del fields[path]
    scope = _text(fields, "clusterlog.span.scope")
    if scope and scope != SCOPE:
        del fields["clusterlog.span.scope"]
    return scope or SCOPE, message


def usually(dataset: str, name: str, failed: bool) -> Fields:
    """What events have that are told as spans, and spans have no words for: it is said where it is something else."""
    return {
        "event.kind": "event",
        "event.outcome": "failure" if failed else "success",
        "log.level": "error" if failed else "info",
        "log.logger": dataset,
        "message": name,
    }


def _record(fields: Fields, dataset: str) -> tuple[str, dict[str, Any]]:
    """A log record by what is taken out of the fields for it."""
    time, level = str(_time(fields)), _taken(fields, "log.level")
    id = _text(fields, "event.id")
    trace, span, body = _trace_id(fields), _span_id(fields), fields.get("message")
    message: dict[str, Any] = {
        "timeUnixNano": time,
        "observedTimeUnixNano": time,
        "severityNumber": _SEVERITIES.get(level.lower(), 0),
        "severityText": level,
        "attributes": keyed({**({UID: id} if id else {}), **_exception(fields)}),
        **({"traceId": fields.pop("trace.id")} if trace else {}),
        **({"spanId": fields.pop("span.id")} if span else {}),
    }
    if type(body) is str:
        message["body"] = {"stringValue": fields.pop("message")}
    if fields.setdefault("event.kind", None) == "event":
        del fields["event.kind"]
    return _taken(fields, "log.logger"), message


def _time(fields: Fields) -> int:
    """When it was, 0 if that is not known; what is not written as usual is left to be said as well."""
    ns = nanoseconds(fields.get("@timestamp"))
    if ns is not None and instant(ns) == fields["@timestamp"]:
        del fields["@timestamp"]
    return ns or 0


def _name(fields: Fields, dataset: str) -> str:
    """Of few different values, as the conventions ask: the route, the path without ids in it, the step's name."""
    message, method = _text(fields, "message"), _text(fields, "http.request.method")
    if dataset == SPAN:
        return message or _text(fields, "log.logger")
    path = shape(_text(fields, "url.path"))
    if dataset == CALL:
        asked = path or shape(_text(fields, "url.full") or _text(fields, "url.domain"))
    else:
        asked = _text(fields, "clusterlog.route") or path
    return f"{method} {asked}".strip() or shape(message)


def _kind(fields: Fields, dataset: str) -> int:
    if dataset in _KINDS:
        return _KINDS[dataset]
    told = fields.get("clusterlog.span.kind")
    if told not in KINDS[2:]:
        return _INTERNAL
    del fields["clusterlog.span.kind"]
    return KINDS.index(told)


def _has_failed(fields: Fields) -> bool:
    status = fields.get("http.response.status_code", fields.get("clusterlog.call.status_code"))
    return fields.get("event.outcome") == "failure" or (type(status) is int and status >= 500)


def _events(fields: Fields, began: int) -> list[dict[str, Any]]:
    """What a span of OpenTelemetry has noted on its way."""
    noted, found, all_told = fields.get("clusterlog.span.events"), [], True
    for each in noted if type(noted) is list else ():
        offset, name = (each.get("offset_ns"), each.get("name")) if type(each) is dict else (None, None)
        all_told &= type(offset) is int and type(name) is str and name != "exception" and len(each) == 2
        at = began + (offset if type(offset) is int else 0)
        all_told &= 0 <= at < 1 << 64
        found.append({"timeUnixNano": str(at if 0 <= at < 1 << 64 else 0), "name": name if type(name) is str else ""})
    if found and all_told:
        del fields["clusterlog.span.events"]
    return found


def _links(fields: Fields) -> list[dict[str, Any]]:
    noted = fields.get("clusterlog.span.links")
    told = noted if type(noted) is list else []
    links = [each for each in told if _is_link(each)]
    if links and len(links) == len(told) and all(len(each) == 2 for each in links):
        del fields["clusterlog.span.links"]
    return [{"traceId": each["trace_id"], "spanId": each["span_id"]} for each in links]


def _is_link(told: Any) -> bool:
    if type(told) is not dict:
        return False
    trace, span = told.get("trace_id"), told.get("span_id")
    return type(trace) is str and type(span) is str and bool(_TRACE_ID.fullmatch(trace) and _SPAN_ID.fullmatch(span))


def _exception(fields: Fields) -> Fields:
    found = {name: _taken(fields, path) for path, name in EXCEPTION.items()}
    return {name: told for name, told in found.items() if told}


def _is_parent(told: Any, own: str) -> bool:
    return type(told) is str and told != own and bool(_SPAN_ID.fullmatch(told))


def _trace_id(fields: Fields) -> str:
    told = _text(fields, "trace.id")
    return told if _TRACE_ID.fullmatch(told) else ""


def _span_id(fields: Fields) -> str:
    told = _text(fields, "span.id")
    return told if _SPAN_ID.fullmatch(told) else ""


def _text(fields: Fields, path: str) -> str:
    found = fields.get(path)
    return found if type(found) is str else ""


def _taken(fields: Fields, path: str) -> str:
    """A text, which nobody else tells then; empty, and left where it is, for anything else."""
    return fields.pop(path) if _text(fields, path) else ""
