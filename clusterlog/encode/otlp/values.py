"""Values, attributes and ids of OTLP's JSON, and what they are in events. Pure.

64-bit integers are text, enumerations numbers and ids hexadecimal (OpenTelemetry Protocol 1.x, "JSON Protobuf
Encoding"). Ids in base64 and enumerations by name, which generic writers of Protocol Buffers produce, are read as well.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

DEPTH = 20
KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
"""Kinds of spans by their number; that of 0 is not said."""

_SEVERITIES = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}


def keyed(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Names and values as ``KeyValue`` messages."""
    return [{"key": name, "value": any_value(value)} for name, value in values.items() if name]


def any_value(value: Any, depth: int = 0) -> dict[str, Any]:
    """A JSON value as an ``AnyValue``: 64-bit integers as text, larger ones and what lies too deep as a string."""
    match value:
        case bool():
            return {"boolValue": value}
        case str():
            return {"stringValue": value.encode("utf-8", "replace").decode()}
        case int():
            return {"intValue": str(value)} if -(1 << 63) <= value < 1 << 63 else {"stringValue": str(value)}
        case float():
            return {"doubleValue": value}
        case None:
            return {}
        case list() if depth < DEPTH:
            return {"arrayValue": {"values": [any_value(each, depth + 1) for each in value]}}
        case dict() if depth < DEPTH:
            members = [{"key": str(name), "value": any_value(each, depth + 1)} for name, each in value.items()]
            return {"kvlistValue": {"values": members}}
    return {"stringValue": json.dumps(value, ensure_ascii=False, default=str)}


def plain(told: Any, depth: int = 0) -> Any:
    """An ``AnyValue`` as a plain value; ``None`` for what is none."""
    if type(told) is not dict or depth > DEPTH:
        return None
    for name, found in told.items():
        if name == "stringValue":
            return found if type(found) is str else None
        if name == "intValue":
            return number(found, None)
        if name == "arrayValue":
            values = found.get("values") if type(found) is dict else None
            return [plain(each, depth + 1) for each in values] if type(values) is list else []
        if name == "kvlistValue":
            return _members(found.get("values") if type(found) is dict else None, depth + 1)
        if name in ("boolValue", "doubleValue", "bytesValue"):
            return found if type(found) in (bool, int, float, str) else None
    return None


def attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a resource, record, span or event as plain values; the last of equal names holds."""
    return _members(holder.get("attributes"), 0)


def _members(told: Any, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in objects(told):
        name = each.get("key")
        if type(name) is str and name:
            found[name] = plain(each.get("value"), depth)
    return found


def number(told: Any, otherwise: Any = 0) -> Any:
    """An integer, which JSON of Protocol Buffers writes as a text where it has 64 bits."""
    if type(told) is str and told.isascii() and told.removeprefix("-").isdigit() and len(told) <= 20:
        return int(told)
    if type(told) is str and told.startswith("SEVERITY_NUMBER_"):
        return _SEVERITIES.get(told.removeprefix("SEVERITY_NUMBER_").rstrip("234"), 0) or otherwise
    return told if type(told) is int else otherwise


def id_of(told: Mapping[str, Any], name: str) -> str | None:
    """A trace or span id in lower-case hex, or in base64; ``None`` if it is neither, or empty."""
    found = text(told, name)
    if len(found) in (24, 12):
        try:
            found = base64.b64decode(found, validate=True).hex()
        except (binascii.Error, ValueError):
            return None
    return found or None


def span_kind(told: Any) -> str:
    """The kind of a span by its number or name."""
    if type(told) is str:
        name = told.removeprefix("SPAN_KIND_").lower()
        return name if name in KINDS else KINDS[0]
    return KINDS[told] if type(told) is int and 0 <= told < len(KINDS) else KINDS[0]


def is_error(status: Mapping[str, Any]) -> bool:
    """Whether the status of a span says that it failed."""
    return status.get("code") in (2, "STATUS_CODE_ERROR")


def only_object(told: Any) -> dict[str, Any]:
    """An object, empty for what is none."""
    return told if type(told) is dict else {}


def objects(told: Any) -> list[dict[str, Any]]:
    """The objects in a list; none in what is no list."""
    return [each for each in told if type(each) is dict] if type(told) is list else []


def text(told: Mapping[str, Any], name: str) -> str:
    """The text of that name, empty if there is none."""
    found = told.get(name)
    return found if type(found) is str else ""
