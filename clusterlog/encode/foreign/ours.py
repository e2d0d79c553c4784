"""Documents that clusterlog itself has written: what ``clusterlog export`` and ``JsonFormatter`` give."""

from __future__ import annotations

from typing import Any

from clusterlog.encode.compact import dumps
from clusterlog.encode.facts import is_id, legal
from clusterlog.encode.foreign.document import ORDINARY, WITH_OWN_ID, Event, Subject
from clusterlog.encode.foreign.kinds import ALARMING
from clusterlog.encode.sanitize import Sanitizer

DATASETS = frozenset({"app", "access", "call", "span", "state", "edge", "unparsed"})
_TOPS = frozenset(
    "@timestamp clusterlog client ecs error event host http labels log message process server service span tags trace"
    " url user user_agent".split()
)


def event(
    document: dict[str, Any], number: int, line: bytes, subject: Subject, sanitizer: Sanitizer, given: str = ""
) -> Event | None:
    """The event as it is, with its own ``event.id``, or the one it was ``given``, or else that of line ``number``.

    ``None`` if it only looks like one of ours, or holds what we would not have written.
    """
    try:
        return _event(document, number, line, subject, sanitizer, given)
    except TypeError:
        return None


def _event(
    document: dict[str, Any], number: int, line: bytes, subject: Subject, sanitizer: Sanitizer, given: str
) -> Event | None:
    about = document.get("event")
    if not is_whole(document) or type(about) is not dict:
        return None
    if given:
        document = {**document, "event": {**about, "id": given}}
        line = dumps(document)
    id = given or about.get("id")
    log = document.get("log")
    alarming = type(log) is dict and log.get("level") in ALARMING
    suspicious = sanitizer.redactor.suspicious(line.decode("utf-8", "replace"))
    if suspicious:
        document = _without_secrets(document, sanitizer)
    if id is None:
        return _numbered(document, number, subject, sanitizer), alarming, ORDINARY
    if not is_id(id) or not line:
        return None
    return dumps(document) if suspicious else line, alarming, WITH_OWN_ID


def is_whole(document: dict[str, Any]) -> bool:
    """Whether a document has nothing at its top, and nobody in it, that clusterlog would not have written."""
    about, user = document.get("event"), document.get("user", {})
    if type(about) is not dict or type(user) is not dict or not user.keys() <= {"hash"}:
        return False
    dataset = about.get("dataset")
    known = type(dataset) is str and dataset.partition(".")[2] in DATASETS
    return known and document.keys() <= _TOPS and type(document.get("@timestamp")) is str


def _numbered(document: dict[str, Any], number: int, subject: Subject, sanitizer: Sanitizer) -> bytes:
    process = document.get("process")
    about = {"id": f"{subject.instance}-{number:011x}", "sequence": number, **document["event"]}
    head = {
        "@timestamp": document["@timestamp"],
        "process": {**(process if type(process) is dict else {}), "entity_id": subject.instance},
        "event": about,
    }
    if subject.path:
        log = document.get("log")
        document = {**document, "log": {**(log if type(log) is dict else {}), "file": {"path": subject.path}}}
    rest = {name: value for name, value in document.items() if name not in head}
    return dumps(head)[:-1] + b"," + sanitizer.fit(rest)[1:]


def _without_secrets(document: dict[str, Any], sanitizer: Sanitizer) -> dict[str, Any]:
    labels = document.get("labels")
    told = legal({name: value for name, value in document.items() if name != "labels"}, sanitizer)
    if type(labels) is dict:
        told["labels"] = sanitizer.clean(labels)
    return told
