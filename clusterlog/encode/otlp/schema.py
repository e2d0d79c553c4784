"""The messages of OTLP 1.x that are read and written here, as fields by their numbers. Pure.

Names are those of its JSON (lowerCamelCase). What is not named here is read over, as Protocol Buffers want it for
fields of later versions. Source: opentelemetry-proto, ``collector/{logs,trace}/v1``, ``logs``, ``trace``, ``common``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "bytes", "hex", "bool", "integer", "double", "fixed"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: ``kind`` or, of a message, ``message``; ``repeated`` ones are a list."""

    name: str
    kind: Kind | None = None
    message: Message | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A message's fields by number."""

    fields: Mapping[int, Field] = field(default_factory=dict)


_any: dict[int, Field] = {}
_ANY = Message(_any)
_KEY_VALUE = Message({1: Field("key", "text"), 2: Field("value", message=_ANY)})
_any |= {
    1: Field("stringValue", "text"),
    2: Field("boolValue", "bool"),
    3: Field("intValue", "integer"),
    4: Field("doubleValue", "double"),
    5: Field("arrayValue", message=Message({1: Field("values", message=_ANY, repeated=True)})),
    6: Field("kvlistValue", message=Message({1: Field("values", message=_KEY_VALUE, repeated=True)})),
    7: Field("bytesValue", "bytes"),
}


def _attributes() -> Field:
    return Field("attributes", message=_KEY_VALUE, repeated=True)


_RESOURCE = Message({1: _attributes()})
_SCOPE = Message({1: Field("name", "text"), 2: Field("version", "text"), 3: _attributes()})
_LOG = Message(
    {
        1: Field("timeUnixNano", "fixed"),
        2: Field("severityNumber", "integer"),
        3: Field("severityText", "text"),
        5: Field("body", message=_ANY),
        6: _attributes(),
        9: Field("traceId", "hex"),
        10: Field("spanId", "hex"),
        11: Field("observedTimeUnixNano", "fixed"),
    }
)
_EVENT = Message({1: Field("timeUnixNano", "fixed"), 2: Field("name", "text"), 3: _attributes()})
_LINK = Message({1: Field("traceId", "hex"), 2: Field("spanId", "hex"), 4: _attributes()})
_STATUS = Message({2: Field("message", "text"), 3: Field("code", "integer")})
_SPAN = Message(
    {
        1: Field("traceId", "hex"),
        2: Field("spanId", "hex"),
        4: Field("parentSpanId", "hex"),
        5: Field("name", "text"),
        6: Field("kind", "integer"),
        7: Field("startTimeUnixNano", "fixed"),
        8: Field("endTimeUnixNano", "fixed"),
        9: _attributes(),
        11: Field("events", message=_EVENT, repeated=True),
        13: Field("links", message=_LINK, repeated=True),
        15: Field("status", message=_STATUS),
    }
)


def _request(groups: str, scopes: str, records: str, record: Message) -> Message:
    scoped = Message({1: Field("scope", message=_SCOPE), 2: Field(records, message=record, repeated=True)})
    group = Message({1: Field("resource", message=_RESOURCE), 2: Field(scopes, message=scoped, repeated=True)})
    return Message({1: Field(groups, message=group, repeated=True)})


LOGS = _request("resourceLogs", "scopeLogs", "logRecords", _LOG)
"""``ExportLogsServiceRequest``."""
TRACES = _request("resourceSpans", "scopeSpans", "spans", _SPAN)
"""``ExportTraceServiceRequest``."""


def _answer(counted: str) -> Message:
    partial = Message({1: Field(counted, "integer"), 2: Field("errorMessage", "text")})
    return Message({1: Field("partialSuccess", message=partial)})


LOGS_ANSWER, TRACES_ANSWER = _answer("rejectedLogRecords"), _answer("rejectedSpans")
"""``ExportLogsServiceResponse`` and ``ExportTraceServiceResponse``."""
STATUS = Message({1: Field("code", "integer"), 2: Field("message", "text")})
"""``google.rpc.Status``, with which a whole request is refused."""
