"""Documents as events: ours are delivered byte for byte, a stranger's becomes one by the rules of ``ingest``.

A document that bears the id it is sent under as its ``event.id`` comes from a sender that numbers its events, and is
taken as it is. To any other this server is the first of clusterlog that it meets: names are mapped, secrets taken out
and users hashed (``encode.foreign``), and where it has no id it gets the next number of an instance that lives as long
as this server does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from clusterlog.context import ids
from clusterlog.encode.facts import ID_LIMIT, is_id
from clusterlog.encode.foreign.document import WITH_OWN_ID, Subject
from clusterlog.encode.foreign.formats import is_of
from clusterlog.encode.foreign.names import load
from clusterlog.encode.foreign.translation import Lines, Translator
from clusterlog.encode.identity import IdentityHash, key_file
from clusterlog.record.redact import Redactor
from clusterlog.settings import Settings
from clusterlog.ship.ingest.lines import Unreadable, parsed
from clusterlog.store import document
from clusterlog.store.base import Delivery
from clusterlog.store.document import Event
from clusterlog.store.wire import stamp
from clusterlog.web.intake.bulk import Item

DEEPEST = 100
FORMAT = "bulk"
"""In ``clusterlog.ingest.format``: the numbers of such events are the order in which they came in, and no more."""

_BUNYAN = {10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal"}
_OWN_ID = re.compile(r"[0-9a-f]{32}-[0-9a-f]{11}").fullmatch
_DATA_STREAM = re.compile(r"[^-]+-([^-]+)-.+").fullmatch


def is_deep(body: bytes) -> bool:
    """Whether objects and lists stand within each other more deeply than anybody walks who looks through events."""
    if body.count(b"{") + body.count(b"[") <= DEEPEST:
        return False
    level: list[object] = [document.parse(body)]
    for _ in range(DEEPEST):
        level = [each for node in level for each in _inside(node)]
    return bool(level)


def _inside(node: object) -> Iterable[object]:
    inner: Iterable[object] = node.values() if type(node) is dict else node if type(node) is list else ()
    return [each for each in inner if type(each) in (dict, list)]


def place(id: str) -> tuple[str, int] | None:
    """The instance and the number in an id of our own form; ``None`` for any other."""
    return (id[:32], int(id[33:], 16)) if len(id) == 44 and _OWN_ID(id) else None


def ours(item: Item) -> Delivery | None:
    """The delivery of a document that is taken as it is; ``None`` where it is a stranger's.

    What is sent under an id of our own form is never a stranger's: the store refuses it if it is not what it says.
    """
    if item.id is None:
        return None
    own = place(item.id)
    if own is not None:
        return Delivery(item.id, *own, item.document)
    try:
        found = document.id_of(document.parse(item.document))
    except ValueError:
        return None
    return None if found is None else Delivery(item.id, "", 0, item.document)


class Strangers:
    """Makes events of strangers' documents.

    ``clock`` is the time of arrival, in nanoseconds since the epoch; ``format`` says how they come.
    """

    def __init__(self, settings: Settings, clock: Callable[[], int] = time.time_ns, format: str = FORMAT) -> None:
        self._translator = Translator(
            load(None),
            redactor=Redactor(settings.redact),
            identity_hash=IdentityHash(key_file(settings)),
            metrics=frozenset(settings.metrics),
        )
        self._environment = settings.environment
        self._clock = clock
        self._format = format
        self._lock = Lock()
        self._instance = ids.new_entity_id()
        self._number = 0

    @contextmanager
    def numbering(self, peer: str) -> Iterator[Numbering]:
        """For the documents of one request from ``peer``; one at a time, and until they are stored.

        Numbers count only if the block ends without an error: what is not stored leaves no gap.
        """
        with self._lock:
            subject = peer, self._environment, stamp(self._clock()), self._format
            run = Numbering(self._translator, self._instance, self._number, subject)
            yield run
            self._number = run.number


class Numbering:
    """The documents of one request on their way to become events."""

    def __init__(self, translator: Translator, instance: str, number: int, subject: tuple[str, str, str, str]) -> None:
        self.number = self._before = number
        self._translator = translator
        self._instance = instance
        self._subject = subject
        self._lines: dict[tuple[str, bool], Lines] = {}

    def take_back(self) -> None:
        """Nothing of it was stored: its numbers are free again."""
        self.number = self._before

    def event(self, item: Item) -> Delivery:
        """The delivery of a stranger's document. Raises ValueError, with the reason, for what is no event."""
        told = _named_level(parsed(item.document))
        if item.id is not None and not is_id(item.id):
            raise ValueError(f"its _id is not 1 to {ID_LIMIT} printable characters long")
        key = item.target, is_of("clusterlog", told)  # apart, since what has the names of another is taken for one
        lines = self._lines.get(key)
        if lines is None:
            lines = self._lines[key] = Lines(self._translator, self._of(item.target))
        lines.last_time = ""  # in a file a line without a time has that of the line before it
        made = lines.events(told, self.number + 1, item.document, item.id or "")
        if len(made) != 1:
            raise Unreadable("not_an_event", f"{len(made)} events in one document: send each for itself")
        body, alarming, kind = made[0]
        if kind == WITH_OWN_ID:
            id = document.id_of(document.parse(body)) or ""
            return Delivery(id, *(place(id) or ("", 0)), body, alarming)
        self.number += 1
        return Delivery(f"{self._instance}-{self.number:011x}", self._instance, self.number, body, alarming)

    def _of(self, index: str) -> Subject:
        peer, environment, arrival, format = self._subject
        named = _DATA_STREAM(index)
        service = (named[1] if named else index) or peer
        return Subject(self._instance, "", service, peer, environment, arrival, "arrival", format)


def _named_level(told: Event) -> Event:
    """The document with a level by its name where it is one of pino's or bunyan's, which number them in their own way.

    ``ingest`` is told so by a table; who sends to a server cannot tell.
    """
    level = told.get("level")
    if type(level) is int and level in _BUNYAN and {"pid", "hostname", "msg"} <= told.keys():
        return {**told, "level": _BUNYAN[level]}
    return told


def same(sent: Delivery, stored: bytes) -> bool:
    """Whether what is stored under an id is what was sent under it.

    A document that does not tell its time has that of its arrival, which is another one when it arrives again.
    """
    if sent.body == stored:
        return True
    try:
        one, other = document.parse(sent.body), document.parse(stored)
        if all(document.values(each, "clusterlog.ingest.time") == ["arrival"] for each in (one, other)):
            one.pop("@timestamp", None), other.pop("@timestamp", None)
            return one == other
    except (ValueError, RecursionError):  # what was sent need be no event at all
        return False
    return False
