"""OTLP as JSON: an export request of logs or traces, one by one as events; those of ours are what they were.

The collector's file exporter writes one request to a line. Names are lowerCamelCase, ids hexadecimal and enumerations
numbers, as ``encode.otlp.values`` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from clusterlog.encode.compact import dumps
from clusterlog.encode.foreign import ours
from clusterlog.encode.foreign.document import Read, taken_apart
from clusterlog.encode.foreign.kinds import Reader, otel_level
from clusterlog.encode.foreign.plans import Flat, Plan, flat
from clusterlog.encode.foreign.tracebacks import Traceback
from clusterlog.encode.otlp import restored
from clusterlog.encode.otlp.values import (
    attributes,
    id_of,
    is_error,
    number,
    objects,
    only_object,
    plain,
    span_kind,
    text,
)
from clusterlog.encode.sanitize import free

SPAN = "clusterlog.span"
"""The dataset of spans, and the logger they name, as of our own."""

_ASKED = frozenset({"http.request.id", "user.hash", "clusterlog.session.hash"})
"""What a span's attributes may fill; whatever else the application said of a span are labels, as of our own."""

PlanOf = Callable[[tuple[str, ...], str], Plan]


@dataclass(frozen=True, slots=True)
class Own:
    """An event of ours: its document, and the text of that."""

    document: dict[str, Any]
    line: bytes


class Requests:
    """Takes export requests apart; ``plan`` and ``readers`` are the translator's."""

    def __init__(self, plan: PlanOf, readers: dict[str, Reader], inside: frozenset[str]) -> None:
        self._plan = plan
        self._readers = readers
        self._inside = inside

    def reads(self, document: dict[str, Any]) -> list[Read | Own]:
        """All records of a line, in its order, an event of ours as its document.

        Raises ValueError where there is none.
        """
        found = [*self._of(document, "resourceLogs", "scopeLogs", "logRecords", self._log)]
        found += self._of(document, "resourceSpans", "scopeSpans", "spans", self._span)
        if found:
            return found
        raise ValueError("metrics, which are no events" if document.get("resourceMetrics") else "no record in it")

    def _of(
        self, document: dict[str, Any], groups: str, scopes: str, records: str, read: Callable[..., Read]
    ) -> Iterator[Read | Own]:
        for group in objects(document.get(groups)):
            given = attributes(only_object(group.get("resource")))
            resource = flat(given, self._inside)
            if not {"host.name", "k8s.pod.name", "service.node.name"} & resource.keys():
                instance = resource.get("service.instance.id") or resource.get("service.name")
                if type(instance) is str:
                    resource["service.node.name"] = instance
            for scoped in objects(group.get(scopes)):
                scope = text(only_object(scoped.get("scope")), "name")
                for record in objects(scoped.get(records)):
                    yield _own(record, scope, given) or read(record, scope, resource)

    def _log(self, record: dict[str, Any], scope: str, resource: Flat) -> Read:
        """A log record as a line of the usual names, which its attributes cannot take from it."""
        severity = number(record.get("severityNumber"))
        time = number(record.get("timeUnixNano")) or number(record.get("observedTimeUnixNano"))
        line: Flat = {"@timestamp": time or None, "log.level": otel_level(severity) or text(record, "severityText")}
        line |= {"log.logger": scope, "trace.id": id_of(record, "traceId"), "span.id": id_of(record, "spanId")}
        body = plain(record.get("body"))
        if type(body) is not dict:
            line["message"] = body if type(body) is not list else str(body)
            body = {}
        for said in (flat(body, self._inside), _single(flat(attributes(record), self._inside))):
            for name, each in said.items():
                line[free(line, name)] = each
        for name, each in resource.items():
            line.setdefault(name, each)
        line = {name: each for name, each in line.items() if each is not None}
        return taken_apart(line, self._plan(tuple(line), "otlp"), self._readers)

    def _span(self, span: dict[str, Any], scope: str, resource: Flat) -> Read:
        """A finished span, as our own span processor tells it."""
        began, ended = number(span.get("startTimeUnixNano")), number(span.get("endTimeUnixNano"))
        own = {"@timestamp": ended, "trace.id": id_of(span, "traceId"), "span.id": id_of(span, "spanId")}
        own["clusterlog.parent.span_id"] = id_of(span, "parentSpanId")
        line = {**own, **{name: each for name, each in resource.items() if name not in own}}
        read = taken_apart(line, self._plan(tuple(line), "otlp"), self._readers)
        said = _single(flat(attributes(span), frozenset()))
        more = taken_apart(said, self._plan(tuple(said), "otlp"), self._readers, _ASKED)
        read.fields |= more.fields
        read.labels |= more.labels
        read.withheld += more.withheld
        read.dataset = SPAN
        failed = is_error(only_object(span.get("status")))
        read.fields |= {
            "log.level": "error" if failed else "info",
            "log.logger": SPAN,
            "message": self._readers["message"](text(span, "name")) or "",
            "event.duration": max(0, ended - began) if began else 0,
            "event.outcome": "failure" if failed else "success",
            "clusterlog.span.kind": span_kind(span.get("kind")),
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
            {"trace_id": id_of(each, "traceId"), "span_id": id_of(each, "spanId")}
            for each in objects(span.get("links"))
        ]
        if links:
            read.fields["clusterlog.span.links"] = links

    def _add_events(self, read: Read, span: dict[str, Any], began: int) -> None:
        """Events of the span's own: the last exception is the span's error, the others are named and become labels."""
        told = []
        for event in objects(span.get("events")):
            name, said = text(event, "name"), flat(attributes(event), frozenset())
            if name == "exception":
                self._add_exception(read, said)
                continue
            told.append(
                {"name": self._readers["keyword"](name), "offset_ns": number(event.get("timeUnixNano")) - began}
            )
            for key, each in said.items():
                read.labels[free(read.labels, f"{name}.{key}")] = each
        if told:
            read.fields["clusterlog.span.events"] = told
        described = text(only_object(span.get("status")), "message")
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


def _single(said: Flat) -> Flat:
    """With headers as texts, which the conventions have as lists, since one may come several times."""
    for name, told in said.items():
        if type(told) is list and len(told) == 1 and name.startswith("http.request.header."):
            said[name] = told[0]
    return said


def _own(record: dict[str, Any], scope: str, resource: dict[str, Any]) -> Own | None:
    """A record as the event of ours that it was told of; ``None`` if it was not, or is not one any more."""
    if not restored.is_ours(record):
        return None
    document = restored.event(record, scope, resource)
    try:
        return Own(document, dumps(document)) if ours.is_whole(document) else None
    except TypeError:  # integers without end, say
        return None
