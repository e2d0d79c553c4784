"""What an OpenTelemetry span knows, as our events tell it: attributes, exceptions, links, events of its own.

Whatever the application said, attributes of spans, span events and links alike, stands under ``labels`` alone. The
names in here are those of OpenTelemetry's semantic conventions, the older ones for HTTP included.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from clusterlog.context.tracing import Known
from clusterlog.record.failure import fingerprint

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event, ReadableSpan

OURS = "clusterlog"
"""The tracer's name under which steps are spans."""

_EXCEPTION = "exception"
_FUNCTION = re.compile(r'^ *File "[^"\n]*", line \d+, in (.+)$', re.MULTILINE)
_DEPTH = 20
_TOLD = frozenset(
    """
    error.type http.flavor http.host http.method http.request.method http.request.method_original
    http.response.status_code http.route http.scheme http.server_name http.status_code http.target http.url
    net.host.name net.host.port net.peer.name net.peer.port network.protocol.name network.protocol.version
    server.address server.port url.full url.path url.query url.scheme
    """.split()
)
"""What an access or call event tells itself, or leaves out on purpose: a URL's query."""


def known(span: ReadableSpan, told: bool) -> Known:
    """What a span knows, running or ended; ``told`` leaves out what an access or call event says itself."""
    attributes = attributes_of(span)
    recorded = [event for event in span.events if event.name != _EXCEPTION]
    raised = [event for event in span.events if event.name == _EXCEPTION]
    links = list(span.links)
    labels = {name: value for name, value in attributes.items() if not (told and name in _TOLD)}
    labels |= _gathered((event.name, event.attributes) for event in recorded)
    labels |= _gathered(("link", link.attributes) for link in links)
    own: dict[str, Any] = {"kind": span.kind.name.lower()}
    scope = span.instrumentation_scope
    if scope is not None and scope.name and scope.name != OURS:
        own["scope"] = scope.name
    if links:
        own["links"] = [
            {"trace_id": f"{link.context.trace_id:032x}", "span_id": f"{link.context.span_id:016x}"} for link in links
        ]
    if recorded:
        began = span.start_time or 0
        own["events"] = [{"name": event.name, "offset_ns": event.timestamp - began} for event in recorded]
    lost = {"attributes": span.dropped_attributes, "events": span.dropped_events, "links": span.dropped_links}
    if any(lost.values()):
        own["dropped"] = {name: count for name, count in lost.items() if count}
    return _with_failure(span, attributes, raised, labels, own)


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    """A copy of a span's attributes as plain values; other threads may still add to them."""
    for _ in range(3):
        try:
            return {str(name): _plain(value) for name, value in (span.attributes or {}).items()}
        except RuntimeError:  # changed size while it was read
            continue
    return {}


def names_beside(span: ReadableSpan) -> frozenset[str]:
    """The names of those attributes that an access or call event does not tell itself."""
    return frozenset(attributes_of(span)) - _TOLD


def failed(span: ReadableSpan) -> bool:
    """Whether its status is ERROR; unset is no failure."""
    return span.status.status_code.name == "ERROR"


def _with_failure(
    span: ReadableSpan, attributes: Mapping[str, Any], raised: list[Event], labels: dict[str, Any], own: dict[str, Any]
) -> Known:
    """The last exception that was recorded; without one, what the status and ``error.type`` say of a failure."""
    description = span.status.description or ""
    if not raised:
        error = {}
        if failed(span):
            error = {"type": attributes.get("error.type"), "message": description}
            error = {name: value for name, value in error.items() if type(value) is str and value}
        return Known(labels, {"span": own}, error)
    said = dict(raised[-1].attributes or {})
    kind, message, trace = (str(said.get(f"exception.{name}") or "") for name in ("type", "message", "stacktrace"))
    if description not in ("", message, f"{kind}: {message}", f"{kind.rpartition('.')[2]}: {message}"):
        own["status"] = description
    more = {name: value for name, value in said.items() if not name.startswith("exception.")}
    labels |= _gathered([(_EXCEPTION, more)])
    error = {"type": kind, "message": message, "stack_trace": trace}
    error = {name: value for name, value in error.items() if value}
    present = sys.exception()
    if present is not None and _type_name(type(present)) == kind and _says(present, message):
        return Known(labels, {"span": own}, failure=present)
    return Known(labels, {"span": own}, error, fingerprint([kind, *dict.fromkeys(_FUNCTION.findall(trace))]))


def _gathered(told: Iterable[tuple[str, Mapping[str, Any] | None]]) -> dict[str, Any]:
    """Attributes under ``<name>.<attribute>``; of those that occur again, all values in order."""
    found: dict[str, list[Any]] = {}
    for name, attributes in told:
        for key, value in (attributes or {}).items():
            found.setdefault(f"{name}.{key}", []).append(_plain(value))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _plain(value: Any, depth: int = 0) -> Any:
    """A value in lists and dictionaries, which alone are looked into; OpenTelemetry keeps tuples and proxies."""
    if depth > _DEPTH:
        return value
    if isinstance(value, tuple | list):
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, Mapping):
        return {name: _plain(each, depth + 1) for name, each in value.items()}
    return value


def _type_name(kind: type) -> str:
    """As ``Span.record_exception`` writes it."""
    return kind.__qualname__ if kind.__module__ in (None, "builtins") else f"{kind.__module__}.{kind.__qualname__}"


def _says(error: BaseException, message: str) -> bool:
    try:
        return str(error) == message
    except Exception:  # the application's own
        return False
