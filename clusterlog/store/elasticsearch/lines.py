"""The body of a bulk request, made of the events' own bytes.

Where an event belongs is read from the beginning our encoder gives every line, which is equal for all lines of one
logger of one process. Parsing every event for it would cost more than all the rest; a line that begins otherwise is
parsed, and the answer is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clusterlog.encode.compact import dumps
from clusterlog.store import document
from clusterlog.store.base import Delivery, Outcome
from clusterlog.store.elasticsearch.streams import data_stream

LONGEST_ID = 512
"""Bytes a document's id may have (elastic/elasticsearch, "_id field")."""

_BEFORE_MESSAGE = b',"message":'
_HEAD = re.compile(rb'\{"@timestamp":"[^"\\]*","process":\{[^{}\\]*\},')
_FACTS = re.compile(
    rb'"kind":"[a-z]+","dataset":"([^"\\]+)"[^{}\[\]]*\},"log":\{[^{}\[\]]*\},"ecs":\{[^{}\[\]]*\},'
    rb'"service":\{"name":"[^"\\]*","node":\{"name":"[^"\\]*"\},"environment":"([^"\\]*)"'
)
"""Both are true readings of these members: no text has a brace in it, so each object ends where it seems to."""
_NOTHING: Mapping[str, Outcome] = {}
_MOST = 4_096
_LONGEST_KEY = 1_024


@dataclass(frozen=True, slots=True)
class Request:
    """A body, the streams it leads to, and what is settled without being sent, by place in the batch."""

    body: bytes
    streams: frozenset[str]
    settled: dict[int, Outcome]


class Lines:
    """Makes bodies, and remembers the beginnings it has met. ``environment`` is that of events that name none.

    Threads may share it: what two of them find out twice is the same.
    """

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._known: dict[bytes, str] = {}
        self._actions: dict[str, bytes] = {}

    def request(self, batch: Sequence[Delivery], blocked: Mapping[str, Outcome] = _NOTHING) -> Request:
        """A line that says where to create each event, and the event.

        One that is no JSON object is refused; ``blocked`` says what becomes of those of a stream that is not there.
        """
        parts: list[bytes] = []
        streams: set[str] = set()
        settled: dict[int, Outcome] = {}
        for at, delivery in enumerate(batch):
            body, id = delivery.body, delivery.id.encode()
            stream = self._known_stream(delivery, id)
            if stream is None or b"\n" in body:
                try:
                    event = document.parse(body)
                except ValueError as error:
                    settled[at] = Outcome("refused", str(error))
                    continue
                stream, id = self._stream(event), dumps(delivery.id)[1:-1]
                body = dumps(event) if b"\n" in body else body
            if not 0 < len(id) <= LONGEST_ID:
                settled[at] = Outcome("refused", f"its id has {len(id)} bytes, and a document's 1 to {LONGEST_ID}")
                continue
            if stream in blocked:
                settled[at] = blocked[stream]
                continue
            streams.add(stream)
            parts += (self._actions.get(stream) or self._action(stream), id, b'"}}\n', body, b"\n")
        return Request(b"".join(parts), frozenset(streams), settled)

    def _known_stream(self, delivery: Delivery, id: bytes) -> str | None:
        """The stream of a line of ours; ``None`` for any other."""
        body = delivery.body
        begins = _HEAD.match(body)
        numbers = b'"event":{"id":"%b","sequence":%d,' % (id, delivery.sequence)
        if begins is None or not body.startswith(numbers, begins.end()):
            return None
        at = begins.end() + len(numbers)
        ends = body.find(_BEFORE_MESSAGE, at, at + _LONGEST_KEY)
        key = body[at : max(at, ends)]
        return self._known.get(key) or self._read(key)

    def _read(self, key: bytes) -> str | None:
        found = _FACTS.match(key)
        if found is None:
            return None
        stream = data_stream(found[1].decode(errors="replace"), found[2].decode(errors="replace") or self._environment)
        if found.end(1) + 1 == key.find(b"}"):  # nothing in it that differs from event to event, as a duration does
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = stream
        return stream

    def _stream(self, event: document.Event) -> str:
        said = [document.values(event, path) for path in ("event.dataset", "service.environment")]
        dataset, environment = (document.text(found[0]) if found else "" for found in said)
        return data_stream(dataset, environment or self._environment)

    def _action(self, stream: str) -> bytes:
        action = b'{"create":{"_index":"%b","_id":"' % stream.encode()
        if len(self._actions) >= _MOST:
            self._actions.clear()
        self._actions[stream] = action
        return action
