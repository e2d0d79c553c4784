"""A syslog message as a document: a body that is a JSON object is the document, any other its text. Pure.

The head fills what the body does not say. Access lines of HAProxy, nginx and others are text; the request id is found
in them under the names that it has there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from clusterlog.encode.compact import dumps
from clusterlog.encode.foreign.formats import is_of
from clusterlog.encode.foreign.names import squeezed
from clusterlog.encode.foreign.ours import is_whole
from clusterlog.search.instant import instant, rfc3339
from clusterlog.ship.ingest.lines import Unreadable, parsed
from clusterlog.store import document
from clusterlog.web.intake.bulk import Item
from clusterlog.web.syslog.message import Message

_LEVELS = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
_COOKIE = b"@cee:"
_EDGE = "clusterlog.edge"
_NOTHING: tuple[Any, ...] = (None, "", {})
_DEEPEST = 8
"""Objects within each other that are looked through: more than there are names for."""
_REQUEST_ID = re.compile(
    r"(?:x-request-id|request[_.]?id|unique[_-]id)[\"']?[=: ]+[\"']?([A-Za-z0-9._-]{1,64})(?![A-Za-z0-9._-])",
    re.IGNORECASE,
)
_SEARCHED = 64 << 10
"""Characters of a text in which a request id is looked for."""

# What a body may call the facts of the head, squeezed: where one of these is there, the head is not asked.
_SAID: Mapping[str, frozenset[str]] = {
    "@timestamp": frozenset({"@timestamp", "timestamp", "time", "ts", "asctime", "datetime", "date"}),
    "log.level": frozenset({"log.level", "level", "levelname", "loglevel", "lvl", "severity", "severitytext"}),
    "service.name": frozenset({"service.name", "service", "servicename"}),
    "host.name": frozenset({"host.name", "host", "hostname", "service.node.name", "node"}),
    "process.pid": frozenset({"process.pid", "pid", "processid", "process"}),
    "http.request.id": frozenset({"http.request.id", "requestid", "reqid", "xrequestid", "request.id"}),
}


def item(message: Message, *, whole: bool) -> Item:
    """What is to be stored for a message; one that is not ``whole`` is text, whatever it begins with."""
    return taken(message, whole=whole)[0]


def taken(message: Message, *, whole: bool) -> tuple[Item, bool]:
    """As ``item``, and whether the message was what it looks like: it has a head, and a body in braces is JSON."""
    body = message.text.lstrip().removeprefix(_COOKIE).lstrip()
    braces = body.startswith(b"{")
    if whole and braces:
        try:
            return _of_json(parsed(body), body, message), message.severity is not None
        except (Unreadable, TypeError):  # the latter: nested so deeply that it could not be written again
            pass
    text = message.text.decode("utf-8", "replace").strip()
    told: dict[str, Any] = {**_head(message), "message": text, **_more(message)}
    if "http.request.id" not in told and (found := _REQUEST_ID.search(text[:_SEARCHED])):
        told["http.request.id"] = found[1]
    if not whole:
        told["syslog_cut"] = True
    return Item("create", "", None, dumps(told)), message.severity is not None and not braces


def _of_json(told: dict[str, Any], body: bytes, message: Message) -> Item:
    if is_of("clusterlog", told):
        if message.time and not document.values(told, "@timestamp"):
            told = {"@timestamp": message.time, **told}
            body = dumps(told)
        if told["event"]["dataset"] == _EDGE:
            told = _of_edge(told)
            body = dumps(told)
        return Item("create", "", document.id_of(told) if is_whole(told) else None, body)
    names = {squeezed(name) for name in told}
    lacking = {
        name: value
        for name, value in _head(message).items()
        if names.isdisjoint(_SAID[name]) and not document.values(told, name)
    }
    return Item("create", "", None, dumps({**told, **lacking}) if lacking else body)


def _of_edge(told: dict[str, Any]) -> dict[str, Any]:
    """What a balancer tells, without what it has no value for: its log format cannot leave a field out. Time is UTC."""
    said: dict[str, Any] = _filled(told, _DEEPEST)
    time = instant(said.get("@timestamp"))
    with suppress(OverflowError):
        return said if time is None else {**said, "@timestamp": rfc3339(time)}
    return said


def _filled(value: Any, deep: int) -> Any:
    if not isinstance(value, dict) or not deep:
        return value
    filled = {name: _filled(each, deep - 1) for name, each in value.items()}
    return {name: each for name, each in filled.items() if each not in _NOTHING}


def _head(message: Message) -> dict[str, Any]:
    """The facts of the head by the names of their fields."""
    told: dict[str, Any] = {
        "@timestamp": message.time,
        "log.level": "info" if message.severity is None else _LEVELS[message.severity],
        "service.name": message.app,
        "host.name": message.host,
        "process.pid": int(message.process) if re.fullmatch(r"[0-9]{1,9}", message.process, re.ASCII) else "",
        "http.request.id": message.parameters.get("request_id", ""),
    }
    return {name: value for name, value in told.items() if value != ""}


def _more(message: Message) -> dict[str, Any]:
    """What else a head says; it may name a trace, and what is no field's becomes a label."""
    facts = {name: value for name, value in message.parameters.items() if squeezed(name) not in _FACTS}
    return {**facts, **({"msgid": message.kind} if message.kind else {})}


_FACTS = frozenset().union(*_SAID.values(), {"message", "msg", "event", "event.id", "eventid"})
