"""One request as OpenTelemetry tells it: spans, and the log records in them, in OTLP's JSON.

Ids are hexadecimal, 64-bit integers text, enumerations numbers and names lowerCamelCase, as the OpenTelemetry Protocol
specification says (1.x, "JSON Protobuf Encoding"). Times are those that were recorded: back ends put them beside others
of the same processes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from clusterlog.search.export.attributes import attributes, exception, keyed, resource
from clusterlog.search.story.event import Event, method_and_route, name, part, text
from clusterlog.search.story.journey import Journey
from clusterlog.search.template import template

SCOPE = "clusterlog"
"""The instrumentation scope of what clusterlog times itself."""

_SERVER, _CLIENT, _ERROR = 2, 3, 2
_KINDS = {"internal": 1, "server": _SERVER, "client": _CLIENT, "producer": 4, "consumer": 5}
_SEVERITIES = {"trace": 1, "debug": 5, "info": 9, "warning": 13, "warn": 13, "error": 17, "critical": 21, "fatal": 21}
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")


def traces(journey: Journey) -> dict[str, Any]:
    """``TracesData``: every answered request, call and step with ids of its own."""
    spans = (entry.event for entry in journey.entries if is_span(entry.event))
    return {"resourceSpans": _grouped(journey, spans, "scopeSpans", "spans", _span, _scope_of_span)}


def logs(journey: Journey) -> dict[str, Any]:
    """``LogsData``: every line, and whatever else is no span for want of ids or a time."""
    lines = (entry.event for entry in journey.entries if not is_span(entry.event))
    return {"resourceLogs": _grouped(journey, lines, "scopeLogs", "logRecords", _record, lambda event: event.logger)}


def everything(journey: Journey) -> dict[str, Any]:
    """Both in one object. What reads one of them ignores the other, as it must any name it does not know."""
    return {**traces(journey), **logs(journey)}


def is_span(event: Event) -> bool:
    """Whether an event is told as a span."""
    whole = event.time_ns is not None and event.duration_ns is not None
    return event.kind != "line" and whole and bool(_SPAN_ID.fullmatch(event.span) and _TRACE_ID.fullmatch(event.trace))


def _grouped(
    journey: Journey,
    events: Iterable[Event],
    scopes: str,
    records: str,
    told: Callable[[Event], dict[str, Any]],
    scope_of: Callable[[Event], str],
) -> list[dict[str, Any]]:
    """By process and scope, in the order of first appearance."""
    lanes = {entry.event.id: entry.lane for entry in journey.entries}
    groups: dict[int, dict[str, list[Event]]] = {}
    for event in events:
        groups.setdefault(lanes[event.id], {}).setdefault(scope_of(event), []).append(event)
    return [
        {
            "resource": {"attributes": resource(next(iter(inside.values()))[0].document)},
            scopes: [
                {"scope": {"name": scope} if scope else {}, records: [told(event) for event in found]}
                for scope, found in inside.items()
            ],
        }
        for inside in groups.values()
    ]


def _scope_of_span(event: Event) -> str:
    return text(event.document, "clusterlog.span.scope") or SCOPE


def _span(event: Event) -> dict[str, Any]:
    told: dict[str, Any] = {
        "traceId": event.trace,
        "spanId": event.span,
        **({"parentSpanId": event.parent} if _SPAN_ID.fullmatch(event.parent) else {}),
        "name": _name(event),
        "kind": {"access": _SERVER, "call": _CLIENT}.get(event.kind) or _KINDS.get(event.role, _KINDS["internal"]),
        "startTimeUnixNano": _nanoseconds(event.started_ns),
        "endTimeUnixNano": _nanoseconds(event.time_ns),
        "attributes": attributes(event.document),
    }
    happened = [*_events(event), *_raised(event)]
    if happened:
        told["events"] = happened
    links = part(event.document, "clusterlog.span.links")
    if isinstance(links, list):
        told["links"] = [
            {"traceId": text(link, "trace_id"), "spanId": text(link, "span_id")}
            for link in links
            if _TRACE_ID.fullmatch(text(link, "trace_id")) and _SPAN_ID.fullmatch(text(link, "span_id"))
        ]
    if event.failed:
        why = text(event.document, "error.message") or text(event.document, "event.reason")
        told["status"] = {"code": _ERROR, **({"message": why} if why else {})}
    return told


def _name(event: Event) -> str:
    """Of few different values, as the conventions ask: the route, the path without ids in it, the step's name."""
    if event.kind == "access":
        return method_and_route(event) if text(event.document, "clusterlog.route") else template(event)
    return template(event) if event.kind == "call" else name(event)


def _events(event: Event) -> list[dict[str, Any]]:
    """What a span of OpenTelemetry has noted on its way."""
    noted = part(event.document, "clusterlog.span.events")
    found = []
    for each in noted if isinstance(noted, list) else ():
        offset = part(each, "offset_ns")
        at = (event.started_ns or 0) + (offset if isinstance(offset, int) else 0)
        found.append({"timeUnixNano": _nanoseconds(at), "name": text(each, "name")})
    return found


def _raised(event: Event) -> list[dict[str, Any]]:
    told = exception(event.document)
    return [{"timeUnixNano": _nanoseconds(event.time_ns), "name": "exception", "attributes": told}] if told else []


def _record(event: Event) -> dict[str, Any]:
    return {
        "timeUnixNano": _nanoseconds(event.time_ns),
        "observedTimeUnixNano": _nanoseconds(event.time_ns),
        "severityNumber": _SEVERITIES.get(event.level, 0),
        "severityText": event.level,
        "body": {"stringValue": text(event.document, "message").encode("utf-8", "replace").decode()},
        "attributes": [*keyed({"log.record.uid": event.id}), *attributes(event.document), *exception(event.document)],
        **({"traceId": event.trace} if _TRACE_ID.fullmatch(event.trace) else {}),
        **({"spanId": event.span} if _SPAN_ID.fullmatch(event.span) else {}),
    }


def _nanoseconds(ns: int | None) -> str:
    """A ``fixed64``; 0 means that it is not known."""
    return str(ns) if ns is not None and 0 <= ns < 1 << 64 else "0"
