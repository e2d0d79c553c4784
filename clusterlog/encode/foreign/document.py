"""The careful way: one line's fields and labels as a tree, whatever is in them."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusterlog.encode.compact import dumps
from clusterlog.encode.ecs import APP
from clusterlog.encode.facts import ECS_VERSION, is_id
from clusterlog.encode.foreign import tracebacks
from clusterlog.encode.foreign.kinds import ALARMING, KEYWORD_LIMIT, Reader, holds_nothing
from clusterlog.encode.foreign.plans import OWN_ID, Flat, Plan
from clusterlog.encode.rendered import Tree, measured
from clusterlog.encode.sanitize import Sanitizer
from clusterlog.record.failure import STACK_TRACE_LIMIT
from clusterlog.record.shapes import MARK

_ORDER = ("log", "ecs", "service", "host", "message", "clusterlog", "http", "trace", "span", "user", "error")
STATE = "clusterlog.state"
_LONG = 32_000

Event = tuple[bytes, bool, int]
"""The bytes of an event, whether it goes the quick way (WARNING and above), and what it is: one of these three."""
ORDINARY, WITH_OWN_ID, OF_STATE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Given:
    """What is said of all lines of a run, and wins over what they say themselves; empty texts say nothing."""

    service: str = ""
    node: str = ""
    environment: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """A file whose lines are translated.

    ``instance`` is its ``process.entity_id``; ``service``, ``node`` and ``environment`` stand in where neither the user
    nor a line says them; ``time`` (as ``@timestamp`` is written) where no line had one yet, and ``time_from`` says what
    that time is. What does not come from a file has no ``path``, and ``format`` says how it came.
    """

    instance: str
    path: str
    service: str
    node: str
    environment: str
    time: str
    time_from: str = "file"
    format: str = ""


@dataclass(slots=True)
class Read:
    """A line taken apart: what fills fields, and the rest. Values of fields are as their kinds read them."""

    fields: Flat = field(default_factory=dict)
    labels: Flat = field(default_factory=dict)
    withheld: list[str] = field(default_factory=list)
    dataset: str = APP


def taken_apart(document: Flat, plan: Plan, readers: Mapping[str, Reader], asked: Container[str] | None = None) -> Read:
    """A line without nested objects, by its plan. What a rule is about and holds nothing is left out.

    ``asked`` are the fields to be filled; without them, all.
    """
    read = Read()
    claimed: set[str] = set()
    for rule, name in plan.steps:
        if rule.field in read.fields or name in claimed or (asked is not None and rule.field not in asked):
            continue
        value = readers[rule.kind](document[name])
        if value is not None:
            read.fields[rule.field] = (value,) if rule.kind == "identity" else value
            claimed.add(name)
    for name in dict.fromkeys(name for _, name in plan.steps):
        value = document[name]
        if name in claimed or holds_nothing(value):
            continue
        if name in plan.withheld:
            read.withheld.append(name)
        else:
            read.labels[name] = value
    for name in plan.labels:
        read.labels[name] = document[name]
    return read


class Documents:
    """Puts documents together for one file."""

    def __init__(
        self,
        subject: Subject,
        given: Given,
        sanitizer: Sanitizer,
        identity_hash: Callable[[str], tuple[str, str]],
        metrics: frozenset[str],
    ) -> None:
        self._subject = subject
        self._given = given
        self._sanitizer = sanitizer
        self._identity_hash = identity_hash
        self._metrics = metrics

    def event(self, read: Read, number: int, time: str, time_from: str = "") -> Event:
        """The document of one line. ``time_from`` marks a time that the line did not tell itself."""
        fields = self._completed(read)
        own = _own_id(read)
        head, rest = self._skeleton(fields)
        for path, value in fields.items():
            put(head if path.startswith(("process.", "event.")) else rest, path, value)
        if self._subject.format:
            put(rest, "clusterlog.ingest.format", self._subject.format)
        if time_from:
            put(rest, "clusterlog.ingest.time", time_from)
        self._add_labels(rest, read)
        process, event = head["process"], head["event"]
        instance = self._subject.instance
        numbered = {"id": f"{instance}-{number:011x}", "sequence": number} if own is None else own["event"]
        process |= {"entity_id": instance} if own is None else own["process"]
        event = {**numbered, **event, "kind": "event", "dataset": read.dataset}
        top = {"@timestamp": time, "process": process, "event": event}
        told = {name: rest[name] for name in _ORDER if rest.get(name) not in (None, {})}
        told |= {name: value for name, value in rest.items() if name not in told and value not in (None, {})}
        payload = (
            dumps({name: value for name, value in top.items() if value})[:-1] + b"," + self._sanitizer.fit(told)[1:]
        )
        return payload, rest["log"].get("level") in ALARMING, ORDINARY if own is None else WITH_OWN_ID

    def state(self, action: str, number: int, time: str, facts: Mapping[str, Any]) -> Event:
        """A state event in the place of line ``number``, which is no event itself."""
        head, rest = self._skeleton(
            {"log.level": "warning" if action == "drop" else "info", "log.logger": "clusterlog"}
        )
        instance = self._subject.instance
        about = {"id": f"{instance}-{number:011x}", "sequence": number, "kind": "state", "dataset": STATE}
        top = {"@timestamp": time, "process": {**head["process"], "entity_id": instance}}
        said = {
            "message": f"{action} {instance}",
            "clusterlog": {"state": {"instance": instance, "first_seq": number, "last_seq": number, **facts}},
        }
        told = {name: value for name, value in {**rest, **said}.items() if value != {}}
        return dumps({**top, "event": {**about, "action": action}, **told}), action == "drop", OF_STATE

    def _skeleton(self, fields: Flat) -> tuple[Tree, Tree]:
        """The members every document has, in the order of ``encode.ecs``; taken out of ``fields``."""
        given, subject = self._given, self._subject
        node = given.node or fields.pop("service.node.name", "") or fields.get("host.name", "") or subject.node
        service = given.service or fields.pop("service.name", "") or subject.service
        environment = given.environment or fields.pop("service.environment", "") or subject.environment
        for path in ("service.node.name", "service.name", "service.environment"):
            fields.pop(path, None)
        log = {path.partition(".")[2]: fields.pop(path) for path in ("log.level", "log.logger") if path in fields}
        rest: Tree = {
            "log": {**log, "file": {"path": subject.path}} if subject.path else log,
            "ecs": {"version": ECS_VERSION},
            "service": {"name": service, "node": {"name": node}, "environment": environment},
            "host": {},
            "message": fields.pop("message", ""),
            "clusterlog": {},
        }
        pid = {"pid": fields.pop("process.pid")} if "process.pid" in fields else {}
        return {"process": pid, "event": {}}, rest

    def _completed(self, read: Read) -> Flat:
        """The fields with hashes for names, texts within their limits, and what a traceback tells."""
        fields = dict(read.fields)
        trace = fields.get("error.stack_trace")
        if trace is not None:
            fields["error.stack_trace"] = self._sanitizer.text(trace.text, STACK_TRACE_LIMIT)
            for path, said, most in (
                ("error.type", trace.type, KEYWORD_LIMIT),
                ("error.message", trace.message, _LONG),
            ):
                if said:
                    fields.setdefault(path, self._sanitizer.text(said, most))
        kind = fields.get("error.type")
        if kind is not None:
            print_ = tracebacks.fingerprint(kind, fields.get("error.stack_trace", ""))
            fields.setdefault("clusterlog.error.fingerprint", print_)
        for path, value in list(fields.items()):
            if type(value) is tuple:
                hashed, key_id = self._identity_hash(value[0])
                fields[path] = hashed
                if path == "user.hash":
                    fields["clusterlog.user.key_id"] = key_id
        fields.pop("@timestamp", None)
        return fields

    def _add_labels(self, rest: Tree, read: Read) -> None:
        labels = self._sanitizer.clean(read.labels) if read.labels else {}
        labels |= {self._sanitizer.name(name): MARK for name in read.withheld}
        labels = {**rest.pop("labels", {}), **labels}
        numbers = measured(labels, self._metrics)
        if numbers:
            rest["clusterlog"]["metrics"] = numbers
        if labels:
            rest["labels"] = labels


def _own_id(read: Read) -> dict[str, Tree] | None:
    """The id an event came with, and its place in a sequence as far as it says one; taken out of its labels."""
    labels = read.labels
    if not is_id(labels.get(OWN_ID)):
        return None
    own: dict[str, Tree] = {"event": {"id": labels.pop(OWN_ID)}, "process": {}}
    sequence = labels.get("event.sequence")
    if type(sequence) is int and 0 <= sequence < 1 << 63:
        own["event"]["sequence"] = labels.pop("event.sequence")
    if is_id(labels.get("process.entity_id")):
        own["process"]["entity_id"] = labels.pop("process.entity_id")
    return own


def put(tree: Tree, path: str, value: Any) -> None:
    """Put a value at a dotted path. What stands in its way there wins: two rules meant one place."""
    *above, last = path.split(".")
    if above[:1] == ["labels"]:
        above, last = ["labels"], path.partition(".")[2]
    for name in above:
        tree = tree.setdefault(name, {})
        if type(tree) is not dict:
            return
    tree.setdefault(last, value)
