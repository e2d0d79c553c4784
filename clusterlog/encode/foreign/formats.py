"""Which logger wrote a line, by the names it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = ("clusterlog", "ecs", "json-logger", "logstash", "otlp", "structlog")
"""The formats that can be asked for; ``json`` is what a line of none of them is called."""

OTHER = "json"
OTLP = ("resourceLogs", "resourceSpans", "resourceMetrics")
_CONTAINER = {"log", "stream", "time"}

_LACKS = {
    "clusterlog": "it has no event.dataset of clusterlog's",
    "ecs": "it has no @timestamp with log.level or ecs.version",
    "json-logger": "it has no message, or none of levelname, name and asctime",
    "logstash": "it has no @timestamp and @version",
    "otlp": "it is no export request: it has neither resourceLogs nor resourceSpans",
    "structlog": "it has no event that is a text",
}


def recognised(document: Mapping[str, Any]) -> str:
    """The format of a parsed line, as good as its names tell it."""
    for name in ("otlp", "clusterlog", "logstash", "ecs", "structlog", "json-logger"):
        if is_of(name, document):
            return name
    return OTHER


def is_of(name: str, document: Mapping[str, Any]) -> bool:
    """Whether a parsed line may be of the format."""
    has = document.keys()
    if name == "otlp":
        return any(type(document.get(each)) is list for each in OTLP)
    if name == "clusterlog":
        event = document.get("event")
        dataset = event.get("dataset") if type(event) is dict else None
        return type(dataset) is str and dataset.startswith("clusterlog.")
    if name == "logstash":
        return {"@timestamp", "@version"} <= has
    if name == "ecs":
        return "@timestamp" in has and not has.isdisjoint(("log.level", "log", "ecs.version", "ecs"))
    if name == "structlog":
        return type(document.get("event")) is str and has.isdisjoint(("message", "msg"))
    return "message" in has and not has.isdisjoint(("levelname", "name", "asctime"))


def lack(name: str) -> str:
    """What a line lacks that is not of the format, as a reason."""
    return f"no {name} line: {_LACKS[name]}"


def is_wrapped(document: Mapping[str, Any]) -> bool:
    """Whether a container engine (Docker's ``json-file``) wrote the line, and the application's own is its ``log``."""
    return document.keys() >= _CONTAINER and type(document["log"]) is str and document["log"][:1] == "{"
