"""OTLP as JSON: an export request of logs or traces, one by one as events.

The collector's file exporter writes one request to a line. Names are lowerCamelCase, ids hexadecimal and enumerations
numbers, as the OpenTelemetry Protocol specification says (1.x, "JSON Protobuf Encoding"); ids in base64 and
enumerations by name, which generic writers of Protocol Buffers produce, are read as well.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any

from clusterlog.encode.foreign.document import Read, taken_apart
from clusterlog.encode.foreign.kinds import Reader, otel_level
from clusterlog.encode.foreign.plans import Flat, Plan, flat
from clusterlog.encode.foreign.tracebacks import Traceback
from clusterlog.encode.sanitize import free

SPAN = "clusterlog.span"
"""The dataset of spans, and the logger they name, as of our own."""

DEPTH = 20
_KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
_ASKED = frozenset({"http.request.id", "user.hash", "clusterlog.session.hash"})
"""What a span's attributes may fill; whatever else the application said of a span are labels, as of our own."""

PlanOf = Callable[[tuple[str, ...], str], Plan]


class Requests:
    """Takes export requests apart; ``plan`` and ``readers`` are the translator's."""

    def __init__(self, plan: PlanOf, readers: dict[str, Reader], inside: frozenset[str]) -> None:
        self._plan = plan
        self._readers = readers
        self._inside = inside

    def reads(self, document: dict[str, Any]) -> list[Read]:
        """All records of a line, in its order. Raises ValueError where there is none."""
        found = [*self._of(document, "resourceLogs", "scopeLogs", "logRecords", self._log)]
        found += self._of(document, "resourceSpans", "scopeSpans", "spans", self._span)
        if found:
            return found
        raise ValueError("metrics, which are no events" if document.get("resourceMetrics") else "no record in it")

    def _of(
        self, document: dict[str, Any], groups: str, scopes: str, records: str, read: Callable[..., Read]
    ) -> Iterator[Read]:
        for group in _objects(document.get(groups)):
            resource = flat(attributes(_object(group.get("resource"))), self._inside)
            if not {"host.name", "k8s.pod.name", "service.node.name"} & resource.keys():
                instance = resource.get("service.instance.id") or resource.get("service.name")
                if type(instance) is str:
                    resource["service.node.name"] = instance
            for scoped in _objects(group.get(scopes)):
                scope = _text(_object(scoped.get("scope")), "name")
                for record in _objects(scoped.get(records)):
                    yield read(record, scope, resource)

    def _log(self, record: dict[str, Any], scope: str, resource: Flat) -> Read:
        """A log record as a line of the usual names, which its attributes cannot take from it."""
        severity = _number(record.get("severityNumber"))
        time = _number(record.get("timeUnixNano")) or _number(record.get("observedTimeUnixNano"))
        line: Flat = {"@timestamp": time or None, "log.level": otel_level(severity) or _text(record, "severityText")}
        line |= {"log.logger": scope, "trace.id": _id(record, "traceId"), "span.id": _id(record, "spanId")}
        body = value(record.get("body"))
        if type(body) is not dict:
            line["message"] = body if type(body) is not list else str(body)
            body = {}
        for said in (flat(body, self._inside), flat(attributes(record), self._inside)):
            for name, each in said.items():
                line[free(line, name)] = each
        for name, each in resource.items():
            line.setdefault(name, each)
        line = {name: each for name, each in line.items() if each is not None}
        return taken_apart(line, self._plan(tuple(line), "otlp"), self._readers)

    def _span(self, span: dict[str, Any], scope: str, resource: Flat) -> Read:
        """A finished span, as our own span processor tells it."""
        began, ended = _number(span.get("startTimeUnixNano")), _number(span.get("endTimeUnixNano"))
        own = {"@timestamp": ended, "trace.id": _id(span, "traceId"), "span.id": _id(span, "spanId")}
        own["clusterlog.parent.span_id"] = _id(span, "parentSpanId")
        line = {**own, **{name: each for name, each in resource.items() if name not in own}}
        read = taken_apart(line, self._plan(tuple(line), "otlp"), self._readers)
        said = flat(attributes(span), frozenset())
        more = taken_apart(said, self._plan(tuple(said), "otlp"), self._readers, _ASKED)
        read.fields |= more.fields
        read.labels |= more.labels
        read.withheld += more.withheld
        read.dataset = SPAN
        failed = _is_error(_object(span.get("status")))
        read.fields |= {
            "log.level": "error" if failed else "info",
            "log.logger": SPAN,
            "message": self._readers["message"](_text(span, "name")) or "",
            "event.duration": max(0, ended - began) if began else 0,
            "event.outcome": "failure" if failed else "success",
            "clusterlog.span.kind": _kind(span.get("kind")),
        }
        if scope:
            read.fields["clusterlog.span.scope"] = self._readers["keyword"](scope)
        status = said.get("http.response.status_code", said.get("http.status_code"))
        if read.fields["clusterlog.span.kind"] == "client" and type(status) is int:
            read.fields["clusterlog.call.status_code"] = status
        self._add_links(read, span)
        self._add_events(read, span, began)
        return read

    def _add_links(self, read: Read, span: dict[str, Any]) -> None:
        links = [
            {"trace_id": _id(each, "traceId"), "span_id": _id(each, "spanId")} for each in _objects(span.get("links"))
        ]
        if links:
            read.fields["clusterlog.span.links"] = links

    def _add_events(self, read: Read, span: dict[str, Any], began: int) -> None:
        """Events of the span's own: the last exception is the span's error, the others are named and become labels."""
        told = []
        for event in _objects(span.get("events")):
            name, said = _text(event, "name"), flat(attributes(event), frozenset())
            if name == "exception":
                self._add_exception(read, said)
                continue
            told.append(
                {"name": self._readers["keyword"](name), "offset_ns": _number(event.get("timeUnixNano")) - began}
            )
            for key, each in said.items():
                read.labels[free(read.labels, f"{name}.{key}")] = each
        if told:
            read.fields["clusterlog.span.events"] = told
        described = _text(_object(span.get("status")), "message")
        if described and read.fields["event.outcome"] == "failure":
            read.fields.setdefault("error.message", self._readers["text"](described))

    def _add_exception(self, read: Read, said: Flat) -> None:
        for path, kind, name in (
            ("error.type", "keyword", "exception.type"),
            ("error.message", "text", "exception.message"),
        ):
            found = self._readers[kind](said.get(name))
            if found is not None:
                read.fields[path] = found
        trace = self._readers["traceback"](said.get("exception.stacktrace"))
        if type(trace) is Traceback:
            read.fields["error.stack_trace"] = trace


def attributes(holder: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a resource, record, span or event as plain values; the last of equal names holds."""
    return _members(holder.get("attributes"), 0)


def value(told: Any, depth: int = 0) -> Any:
    """An ``AnyValue`` as a plain value; ``None`` for what is none."""
    if type(told) is not dict or depth > DEPTH:
        return None
    for name, found in told.items():
        if name == "stringValue":
            return found if type(found) is str else None
        if name == "intValue":
            return _number(found, None)
        if name == "arrayValue":
            values = found.get("values") if type(found) is dict else None
            return [value(each, depth + 1) for each in values] if type(values) is list else []
        if name == "kvlistValue":
            return _members(found.get("values") if type(found) is dict else None, depth + 1)
        if name in ("boolValue", "doubleValue", "bytesValue"):
            return found if type(found) in (bool, int, float, str) else None
    return None


def _members(told: Any, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in _objects(told):
        name = each.get("key")
        if type(name) is str and name:
            found[name] = value(each.get("value"), depth)
    return found


def _number(told: Any, otherwise: Any = 0) -> Any:
    """An integer, which JSON of Protocol Buffers writes as a text where it has 64 bits."""
    if type(told) is str and told.isascii() and told.removeprefix("-").isdigit() and len(told) <= 20:
        return int(told)
    if type(told) is str and told.startswith("SEVERITY_NUMBER_"):
        return _SEVERITIES.get(told.removeprefix("SEVERITY_NUMBER_").rstrip("234"), 0) or otherwise
    return told if type(told) is int else otherwise


_SEVERITIES = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}


def _id(told: dict[str, Any], name: str) -> str | None:
    """A trace or span id in lower-case hex, or in base64; ``None`` if it is neither, or empty."""
    text = _text(told, name)
    if len(text) in (24, 12):
        try:
            text = base64.b64decode(text, validate=True).hex()
        except (binascii.Error, ValueError):
            return None
    return text or None


def _kind(told: Any) -> str:
    if type(told) is str:
        name = told.removeprefix("SPAN_KIND_").lower()
        return name if name in _KINDS else _KINDS[0]
    return _KINDS[told] if type(told) is int and 0 <= told < len(_KINDS) else _KINDS[0]


def _is_error(status: dict[str, Any]) -> bool:
    return status.get("code") in (2, "STATUS_CODE_ERROR")


def _object(told: Any) -> dict[str, Any]:
    return told if type(told) is dict else {}


def _objects(told: Any) -> list[dict[str, Any]]:
    return [each for each in told if type(each) is dict] if type(told) is list else []


def _text(told: dict[str, Any], name: str) -> str:
    found = told.get(name)
    return found if type(found) is str else ""
