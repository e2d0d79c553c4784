"""The body of a bulk request, made of the events' own bytes.

Where an event belongs is read from the beginning our encoder gives every line, which is equal for all lines of one
logger of one process. Parsing every event for it would cost more than all the rest; a line that begins otherwise is
parsed, and the answer is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusterlog.encode.compact import dumps
from clusterlog.store import document
from clusterlog.store.base import Delivery, Outcome
from clusterlog.store.elasticsearch.streams import data_stream

LONGEST_ID = 512
"""Bytes a document's id may have (elastic/elasticsearch, "_id field")."""

_OPENING, _MESSAGE = b'{"@timestamp":"', b',"message":'
_STAMP_FROM = len(_OPENING)
_STAMP_TO = _STAMP_FROM + len("2026-11-20T12:00:00.123456789Z")
_HEAD = re.compile(rb'\{"@timestamp":"([^"\\]*)","process":\{[^{}\\]*\},')
_FACTS = re.compile(
    rb'"kind":"[a-z]+","dataset":"([^"\\]+)"[^{}\[\]]*\},"log":\{[^{}\[\]]*\},"ecs":\{[^{}\[\]]*\},'
    rb'"service":\{"name":"[^"\\]*","node":\{"name":"[^"\\]*"\},"environment":"([^"\\]*)"'
)
"""Both are true readings of these members: no text has a brace in it, so each object ends where it seems to."""
_NOTHING: Mapping[str, Outcome] = {}
_MOST = 4_096
_LONGEST_FACTS = 1_024


@dataclass(frozen=True, slots=True)
class Request:
    """A body, the streams it leads to, and what is settled without being sent, by place in the batch."""

    body: bytes
    streams: frozenset[str]
    settled: dict[int, Outcome]


_Target = tuple[str, bytes]
"""A stream, and the beginning of the line that says that an event is created there; its id comes next."""


class Lines:
    """Makes bodies, and remembers the beginnings it has met. ``environment`` is that of events that name none.

    Threads may share it: what two of them find out twice is the same.
    """

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._heads: dict[str, bytes] = {}
        self._targets: dict[bytes, _Target] = {}

    def request(self, batch: Sequence[Delivery], blocked: Mapping[str, Outcome] = _NOTHING) -> Request:
        """A line that says where to create each event, and the event.

        One that is no JSON object is refused; ``blocked`` says what becomes of those of a stream that is not there.
        """
        request = self._built(batch, blocked, by_lines=False)
        if request.body.count(b"\n") == 2 * (len(batch) - len(request.settled)):
            return request
        return self._built(batch, blocked, by_lines=True)  # some event is written on several lines

    def _built(self, batch: Sequence[Delivery], blocked: Mapping[str, Outcome], *, by_lines: bool) -> Request:
        parts: list[bytes] = []
        streams: set[str] = set()
        settled: dict[int, Outcome] = {}
        for at, delivery in enumerate(batch):
            body, id = delivery.body, delivery.id.encode()
            target = self._known(delivery, id) or self._read(delivery, id)
            if target is None or (by_lines and b"\n" in body):
                try:
                    event = document.parse(body)
                except ValueError as error:
                    settled[at] = Outcome("refused", str(error))
                    continue
                target, id = self._said(event), dumps(delivery.id)[1:-1]
                body = dumps(event) if by_lines else body
            stream, action = target
            if not 0 < len(id) <= LONGEST_ID:
                settled[at] = Outcome("refused", f"its id has {len(id)} bytes, and a document's 1 to {LONGEST_ID}")
            elif stream in blocked:
                settled[at] = blocked[stream]
            else:
                streams.add(stream)
                parts += (action, id, b'"}}\n', body, b"\n")
        return Request(b"".join(parts), frozenset(streams), settled)

    def _known(self, delivery: Delivery, id: bytes) -> _Target | None:
        """Where a line leads that begins as others of its process, with facts that were met before.

        Nearly every event ends here, so it is worth that much: no pattern and no parsing.
        """
        head, body = self._heads.get(delivery.instance), delivery.body
        if head is None:
            return None
        head %= id, delivery.sequence
        at = _STAMP_TO + len(head)
        if not body.startswith(head, _STAMP_TO) or not body.startswith(_OPENING):
            return None
        if body.find(b'"', _STAMP_FROM, at) != _STAMP_TO:  # else it is not the time stamp that ends there
            return None
        end = body.find(_MESSAGE, at, at + _LONGEST_FACTS)
        return self._targets.get(body[at:end]) if end > 0 else None

    def _read(self, delivery: Delivery, id: bytes) -> _Target | None:
        """Where a line of ours leads that was not met before; ``None`` for one that is not of our form."""
        body = delivery.body
        begins = _HEAD.match(body)
        numbers = b'"event":{"id":"%b","sequence":%d,' % (id, delivery.sequence)
        if begins is None or not body.startswith(numbers, begins.end()):
            return None
        at = begins.end() + len(numbers)
        facts = body[at : max(at, body.find(_MESSAGE, at, at + _LONGEST_FACTS))]
        found = _FACTS.match(facts)
        if found is None:
            return None
        target = _target(found[1].decode(errors="replace"), found[2].decode(errors="replace") or self._environment)
        if begins.end(1) == _STAMP_TO:
            process = body[_STAMP_TO : begins.end()].replace(b"%", b"%%")
            _remember(self._heads, delivery.instance, process + b'"event":{"id":"%b","sequence":%d,')
        if found.end(1) + 1 == facts.find(b"}"):  # nothing in them that differs from event to event, as a duration does
            _remember(self._targets, facts, target)
        return target

    def _said(self, event: document.Event) -> _Target:
        said = [document.values(event, path) for path in ("event.dataset", "service.environment")]
        dataset, environment = (document.text(found[0]) if found else "" for found in said)
        return _target(dataset, environment or self._environment)


def _target(dataset: str, environment: str) -> _Target:
    stream = data_stream(dataset, environment)
    return stream, b'{"create":{"_index":"%b","_id":"' % stream.encode()


def _remember(known: dict[Any, Any], key: Any, value: Any) -> None:
    if len(known) >= _MOST:
        known.clear()
    known[key] = value
