"""Lines of other loggers, one by one, as events of ours.

Lines of a shape that was met before take a short way (``swift``), where all that many lines have in common is copied
as bytes; every other line, and every value that is not what its place expects, goes through ``foreign.document``. Both
ways give the same document, which a test holds them to.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from clusterlog.encode.compact import dumps
from clusterlog.encode.ecs import CACHE_SIZE, CACHED_TEXT, EVENT_LIMIT
from clusterlog.encode.foreign import formats, ours
from clusterlog.encode.foreign.document import ORDINARY, Documents, Event, Given, Read, Subject, taken_apart
from clusterlog.encode.foreign.kinds import Kinds, holds_nothing
from clusterlog.encode.foreign.names import Table
from clusterlog.encode.foreign.otlp import Own, Requests
from clusterlog.encode.foreign.plans import OWN_ID, Flat, Nest, Plan, flat
from clusterlog.encode.foreign.times import Times
from clusterlog.encode.limits import Limits
from clusterlog.encode.sanitize import Sanitizer, free
from clusterlog.record.redact import Redactor

MOST_SHAPES = 10_000
_APART = frozenset({"clusterlog", formats.DOCKER, "otlp"})
"""Formats whose lines are not read name by name."""
_LARGE = float(1 << 63)
_EDGE = 1 << 63
_LINE_BEFORE = "line before"


class _Shape:
    """The names at the top of a line. ``plan`` is there for swift lines; ``nest`` too, if they have nested objects."""

    __slots__ = ("format", "nest", "plan", "refusal", "seen")

    def __init__(self, format: str, refusal: str, plan: Plan | None, nest: Nest | None) -> None:
        self.format = format
        self.refusal = refusal
        self.plan = plan
        self.nest = nest
        self.seen = 0


class Translator:
    """Translates for one run: what is learned from one file holds for the next.

    ``identity_hash(text)`` gives (hash, key id) of a user or session; ``metrics`` names the numbers that are copied to
    ``clusterlog.metrics``; ``format`` is the one every line must have, empty for any.
    """

    def __init__(
        self,
        table: Table,
        *,
        redactor: Redactor,
        identity_hash: Callable[[str], tuple[str, str]],
        given: Given | None = None,
        metrics: frozenset[str] = frozenset(),
        times: Times | None = None,
        format: str = "",
    ) -> None:
        self.table = table
        self.given = given or Given()
        self.metrics = metrics
        self.identity_hash = identity_hash
        self.format = format
        self.sanitizer = Sanitizer(redactor, Limits(event=EVENT_LIMIT))
        self.readers = Kinds(self.sanitizer, times or Times()).readers
        self._plans: dict[tuple[str, ...], Plan] = {}

    def plan(self, names: tuple[str, ...], format: str) -> Plan:
        """What is to be done with lines of these names, none of which holds an object."""
        key = (format, *names)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= CACHE_SIZE:
                self._plans.clear()
            template = format == "structlog"
            plan = self._plans[key] = Plan(names, self.table, self.sanitizer, self.readers, template=template)
            plan.swift = plan.swift and self.metrics.isdisjoint(names)
        return plan


class _Head:
    """What lines share that agree in all fields before the message: a template for ``%``, and whether it alarms.

    The template takes the time, the number twice, the message and all that stands behind it.
    """

    __slots__ = ("alarming", "template")

    def __init__(self, payload: bytes, alarming: bool) -> None:
        self.template = payload
        self.alarming = alarming


class Lines:
    """The lines of one file. ``last_time`` is that of the latest line that told one, as ``@timestamp`` is written."""

    def __init__(self, translator: Translator, subject: Subject, last_time: str = "") -> None:
        self.last_time = last_time
        self._subject = subject
        self._translator = translator
        self._sanitizer = translator.sanitizer
        self._inside = translator.table.inside
        self._documents = Documents(
            subject, translator.given, translator.sanitizer, translator.identity_hash, translator.metrics
        )
        self._requests = Requests(translator.plan, translator.readers, self._inside)
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._heads: dict[tuple[Plan, tuple[Any, ...]], _Head | None] = {}
        self._innocent: set[str] = set()

    @property
    def formats(self) -> dict[str, int]:
        """How many lines of which format there were."""
        counted: Counter[str] = Counter()
        for shape in self._shapes.values():
            counted[shape.format] += shape.seen
        return dict(counted)

    def events(self, document: dict[str, Any], number: int, line: bytes, id: str = "") -> Sequence[Event]:
        """The events of a parsed line, of which ``line`` is the text; the first gets ``number`` as its sequence.

        ``id`` is the id it came under, where it does not bear that itself: its event has it as its own.

        Raises ValueError, with the reason, for a line that is not of the format that was asked for, or holds no event.
        """
        shape = self._shapes.get(tuple(document)) or self._met(document)
        shape.seen += 1
        plan = shape.plan
        if plan is not None and not id:
            values = tuple(document.values()) if shape.nest is None else shape.nest.values(document)
            if values is not None:
                made = self._swift(plan, values, number)
                if made is not None:
                    return (made,)
        return self._careful(shape, document, number, line, id)

    def _careful(self, shape: _Shape, document: dict[str, Any], number: int, line: bytes, id: str) -> Sequence[Event]:
        if shape.refusal:
            shape.seen -= 1
            raise ValueError(shape.refusal)
        if shape.format == "clusterlog":
            own = ours.event(document, number, line, self._subject, self._sanitizer, id)
            if own is not None:
                return (own,)
        if shape.format == "otlp":
            return self._exported(document, number, id)
        if shape.format == formats.DOCKER and type(document["log"]) is str:
            shape.seen -= 1
            inner = formats.unwrapped(document)
            return self.events(inner, number, _text(inner), id)
        level = flat(document, self._inside)
        if any(type(value) is float and abs(value) >= _LARGE for value in level.values()):
            level = flat(_exact(document, line), self._inside)
        if id:
            level = _with_id(level, id)
        plan = self._translator.plan(tuple(level), shape.format)
        read = taken_apart(level, plan, self._translator.readers)
        if plan.template and "message" in read.fields:
            read.fields.setdefault("clusterlog.template", read.fields["message"])
        return (self._documents.event(read, number, *self._timed(read.fields)),)

    def lost(self, number: int, reason: str) -> Event:
        """The drop event for a line that cannot be read."""
        return self._documents.state("drop", number, self._latest(), {"count": 1, "reason": reason})

    def blank(self, number: int) -> Event:
        """What stands for a line with nothing in it, so that its number is not missing."""
        return self._documents.state("blank", number, self._latest(), {"count": 0})

    def _latest(self) -> str:
        return self.last_time or self._subject.time

    def _met(self, document: dict[str, Any]) -> _Shape:
        """A new shape. Whether its lines are flat is guessed from the first: where one is not, no value fits."""
        asked = self._translator.format
        format, refusal = formats.recognised(document), ""
        if asked and format != formats.DOCKER:
            refusal = "" if formats.is_of(asked, document) else formats.lack(asked)
            format = asked
        names = tuple(document)
        plan = nest = None
        if not refusal and format not in _APART:
            nested = any(type(value) is dict for value in document.values())
            nest = Nest.of(document, self._inside) if nested else None
            if not nested or nest is not None:
                plan = self._translator.plan(nest.names if nest else names, format)
        shape = _Shape(format, refusal, plan if plan is not None and plan.swift else None, nest)
        if len(self._shapes) < MOST_SHAPES:  # beyond them every line has other names, and its format is not counted
            self._shapes[names] = shape
        return shape

    def _exported(self, document: dict[str, Any], number: int, id: str) -> list[Event]:
        reads = self._requests.reads(document)
        given = id if len(reads) == 1 else ""
        return [self._record(read, number + n, given) for n, read in enumerate(reads)]

    def _record(self, read: Read | Own, number: int, id: str) -> Event:
        if isinstance(read, Own):
            own = ours.event(read.document, number, read.line, self._subject, self._sanitizer, id)
            if own is None:
                raise ValueError("no event of clusterlog's any more")
            return own
        if id:
            read.labels[OWN_ID] = id
        read.fields["clusterlog.ingest.format"] = "otlp"  # what it is numbered by is the order of its export
        return self._documents.event(read, number, *self._timed(read.fields))

    def _timed(self, fields: Flat) -> tuple[str, str]:
        """The time of a line, and where it is from if the line has none."""
        told = fields.get("@timestamp")
        if told is not None:
            self.last_time = told
            return told, ""
        return (self.last_time, _LINE_BEFORE) if self.last_time else (self._subject.time, self._subject.time_from)

    def _swift(self, plan: Plan, values: tuple[Any, ...], number: int) -> Event | None:
        """The same event from the values of a line, for a fifth of the price; ``None`` if something is not as usual."""
        heads, shared = self._heads, plan.get_head(values)
        try:
            head = heads[plan, shared]
        except KeyError:
            head = self._learned(plan, shared)
        except TypeError:  # a list, which no field before the message takes
            return None
        time, message = plan.read_time(values[plan.time]), values[plan.message]
        if head is None or time is None or type(message) is not str or len(message) > _LONG_MESSAGE:
            return None
        innocent = self._innocent
        if message not in innocent and not self._judge(message):
            return None
        said = dumps(message)
        own = b'"template":' + said if plan.template else b""
        rest = b""
        for how, place, read, form in plan.ids:
            value = read(values[place])
            if value is None:
                if plan.spare or not holds_nothing(values[place]):
                    return None
                continue
            if how == "identity":
                value, key_id = self._translator.identity_hash(value)
                told = {"user": {"key_id": key_id}} if form else {"session": {"hash": value}}
                own += (b"," if own else b"") + dumps(told)[1:-1]
                if not form:
                    continue
            rest += form % dumps(value)
        labels = plan.get_labels(values)
        if labels:
            for value in labels:
                kind = type(value)
                if kind is str:
                    if value not in innocent and (len(value) > _LONG or not self._judge(value)):
                        return None
                elif kind is int:
                    if not -_EDGE <= value < _EDGE:
                        return None
                elif kind is float:
                    if not -_LARGE < value < _LARGE:
                        return None
                elif kind is not bool and value is not None:
                    return None
            if plan.spare and any(map(holds_nothing, labels)):
                return None
            rest += b',"labels":' + dumps(dict(zip(plan.labels, labels, strict=True)))
        if own:
            rest = b',"clusterlog":{' + own + b"}" + rest
        self.last_time = time
        return head.template % (time.encode(), number, number, said, rest), head.alarming, ORDINARY

    def _judge(self, text: str) -> bool:
        """Whether a text may be told as it is."""
        if self._sanitizer.redactor.suspicious(text):
            return False
        if len(text) <= CACHED_TEXT:
            if len(self._innocent) >= CACHE_SIZE:
                self._innocent.clear()
            self._innocent.add(text)
        return True

    def _learned(self, plan: Plan, values: tuple[Any, ...]) -> _Head | None:
        """The head of lines with these values; ``None`` if one of them is no value of its field."""
        head: _Head | None = None
        read = Read()
        for rule, value in zip(plan.head, values, strict=True):
            found = self._translator.readers[rule.kind](value)
            if found is None and not holds_nothing(value):
                break
            if found is not None:
                read.fields[rule.field] = found
        else:
            head = self._head(read)
        if len(self._heads) >= CACHE_SIZE:
            self._heads.clear()
        self._heads[plan, values] = head
        return head

    def _head(self, read: Read) -> _Head:
        """A template made of a document whose changing parts are marked."""
        read.fields["message"] = _MARK
        payload, alarming, _ = self._documents.event(read, 1, _MARK)
        escaped = payload.replace(b"%", b"%%")
        number = f"-{1:011x}".encode()
        begin, _, rest = escaped.partition(b'"%b"' % _MARK.encode())
        middle, _, end = rest.partition(b',"message":"%b"' % _MARK.encode())
        middle = middle.replace(number + b'","sequence":1,', b'-%011x","sequence":%d,', 1)
        return _Head(begin + b'"%b"' + middle + b',"message":%b%b' + end, alarming)


_LONG_MESSAGE, _LONG = 8_000, 1_000
"""Characters of a message and of a label that go the short way: all together they are no event that needs cutting."""
_MARK = "<here the line says it>"


def _with_id(level: Flat, id: str) -> Flat:
    """A flat line with the id it came under; what it calls so itself, and is none, is kept beside it."""
    told: Flat = {OWN_ID: id}
    for name, value in level.items():
        told[free(told, name)] = value
    return told


def _text(document: dict[str, Any]) -> bytes:
    """A line that was put together, as text; empty where it holds what JSON has no words for."""
    try:
        return dumps(document)
    except TypeError:
        return b""


def _exact(document: dict[str, Any], line: bytes) -> dict[str, Any]:
    """The line read again by a parser that keeps integers of any size, which orjson makes floats of."""
    try:
        found = json.loads(line)
    except ValueError:  # it had to be mended, and is as exact as it can be
        return document
    return found if type(found) is dict else document
