"""Events as export requests of OTLP's JSON: by process and scope, in the order of first appearance. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusterlog.encode.otlp.records import Told
from clusterlog.encode.otlp.values import keyed

_NAMES = {True: ("resourceSpans", "scopeSpans", "spans"), False: ("resourceLogs", "scopeLogs", "logRecords")}


def request(told: Iterable[Told], *, spans: bool) -> dict[str, Any]:
    """The spans of these (``ExportTraceServiceRequest``), or else their log records (``ExportLogsServiceRequest``)."""
    groups, scopes, records = _NAMES[spans]
    found: dict[str, dict[str, list[Told]]] = {}
    for each in told:
        if each.is_span is spans:
            found.setdefault(repr(each.resource), {}).setdefault(each.scope, []).append(each)
    return {
        groups: [
            {
                "resource": {"attributes": keyed(next(iter(inside.values()))[0].resource)},
                scopes: [
                    {"scope": {"name": scope} if scope else {}, records: [each.message for each in those]}
                    for scope, those in inside.items()
                ],
            }
            for inside in found.values()
        ]
    }
