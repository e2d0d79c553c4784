"""One request as OpenTelemetry tells it: spans, and the log records in them, in OTLP's JSON.

Times are those that were recorded: back ends put them beside others of the same processes.
"""

from __future__ import annotations

from typing import Any

from clusterlog.encode.otlp.records import Told
from clusterlog.encode.otlp.requests import request
from clusterlog.search.story.journey import Journey


def traces(journey: Journey) -> dict[str, Any]:
    """``TracesData``: every answered request, call and step with ids of its own."""
    return request(_told(journey), spans=True)


def logs(journey: Journey) -> dict[str, Any]:
    """``LogsData``: every line, and whatever else is no span for want of ids or a time."""
    return request(_told(journey), spans=False)


def everything(journey: Journey) -> dict[str, Any]:
    """Both in one object. What reads one of them ignores the other, as it must any name it does not know."""
    told = _told(journey)
    return {**request(told, spans=True), **request(told, spans=False)}


def _told(journey: Journey) -> list[Told]:
    return [Told(entry.event.document) for entry in journey.entries]
