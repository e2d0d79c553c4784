"""What is equal in every line of one logger of one process, read and indexed once.

Our encoder begins every line with the same bytes but for time and number, and these bytes hold half of an event's
values. Knowing them again saves a fifth of all work between delivery and commit. A line that begins otherwise, by
whomever it was written, goes the usual way; the answer is the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from clusterlog.store import document
from clusterlog.store.base import Delivery
from clusterlog.store.document import Event
from clusterlog.store.embedded.index.documents import Indexer

OPENING = b'{"@timestamp":"'
"""How a line begins that may have a known head."""

_STAMP_END = len(OPENING) + 30
_REST = b',"message":'
_HEAD = re.compile(
    rb'\{"@timestamp":"[^"\\]{30}(","process":\{"pid":[0-9]+,"entity_id":"([0-9a-f]{32})"\},"event":\{"id":"\2-)'
    rb'[0-9a-f]{11}","sequence":[0-9]+,'
)
_MOST = 4_096
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """The members of a known beginning, as index fields and tokens, and their names at the top of the event."""

    fields: dict[str, Any]
    tokens: list[str]
    names: frozenset[str]


class Heads:
    """The beginnings met so far in one partition."""

    __slots__ = ("_heads", "_indexer", "_stems")

    def __init__(self, indexer: Indexer) -> None:
        self._indexer = indexer
        self._stems: dict[str, bytes] = {}
        self._heads: dict[tuple[bytes, bytes], Head] = {}

    def document(self, delivery: Delivery, seq: int, latest: int) -> tuple[int, str] | None:
        """When the event is found (µs) and its index document, if its line begins in a known way.

        The beginning bears the id and the sequence of the delivery and a time not behind ``latest`` (ns); event
        number ``seq`` is what it becomes.
        """
        id, body, sequence = delivery.id, delivery.body, delivery.sequence
        stem = self._stems.get(id[:33])
        if stem is None or len(body) > _LONGEST:
            return None
        number = f"{sequence:011x}"
        known = b'%b%b","sequence":%d,' % (stem, number.encode(), sequence)
        begin = _STAMP_END + len(known)
        if body[_STAMP_END:begin] != known or id[33:] != number or not body.startswith(OPENING):
            return None
        cut = body.find(_REST, begin)
        head = self._heads.get((stem, body[begin:cut]))  # processes of one node differ in the stem alone
        time = document.time_ns(body[len(OPENING) : _STAMP_END].decode(errors="replace"))
        if head is None or time is None or time > latest:
            return None
        try:
            rest = document.parse(b"{" + body[cut + 1 :])
        except ValueError:
            return None
        if not head.names.isdisjoint(rest):
            return None
        fields = head.fields | {"event.sequence": sequence, "ts": time // 1_000, "seq": seq}
        return time // 1_000, self._indexer.behind(fields, head.tokens, rest, id)

    def learn(self, delivery: Delivery, event: Event) -> None:
        """Know the beginning of this line again. ``event`` is what the whole line says."""
        body = delivery.body
        begins = _HEAD.match(body)
        cut = -1 if begins is None else body.find(_REST, begins.end())
        if begins is None or cut < 0:
            return
        key = body[begins.end() : cut]
        try:
            head = document.parse(b'{"event":{' + key + b"}")
        except ValueError:
            return  # the cut is not between two members of the event itself
        if type(head["event"]) is not dict or not {"id", "sequence"}.isdisjoint(head["event"]):
            return
        if not {"@timestamp", "process", "event.id"}.isdisjoint(head):
            return
        head["event"] |= {"id": delivery.id, "sequence": delivery.sequence}
        head |= {name: event[name] for name in ("@timestamp", "process")}
        made = self._indexer.head(head)
        if made is None:
            return
        if len(self._stems) >= _MOST or len(self._heads) >= _MOST:
            self._stems.clear()
            self._heads.clear()
        self._stems[delivery.id[:33]] = begins[1]
        self._heads[begins[1], key] = Head(*made, frozenset(head) | {"event.id"})
