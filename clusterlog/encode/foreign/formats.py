"""Which logger wrote a line, by the names it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterlog.encode.compact import loads

NAMES = ("clusterlog", "ecs", "json-logger", "logstash", "otlp", "structlog")
"""The formats that can be asked for. ``json`` is what a line of none of them is called, ``docker`` one that a container
engine (``json-file``) has wrapped around an application's own."""

OTHER = "json"
OTLP = ("resourceLogs", "resourceSpans", "resourceMetrics")
DOCKER = "docker"
_CONTAINER = {"log", "stream", "time"}
_TIMES = ("@timestamp", "timestamp", "time", "ts", "asctime")

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
    if document.keys() == _CONTAINER and type(document["log"]) is str:
        return DOCKER
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


def unwrapped(document: Mapping[str, Any]) -> dict[str, Any]:
    """The application's own line out of one of a container engine; the engine's time is taken where it has none."""
    try:
        inner = loads(document["log"].encode())
    except ValueError:
        inner = None
    if type(inner) is not dict:
        return {"message": document["log"].rstrip("\n"), "stream": document["stream"], "time": document["time"]}
    if inner.keys().isdisjoint(_TIMES):
        inner["@timestamp"] = document["time"]
    return {**inner, "stream": document["stream"]}
