"""Every document that matches a clause, in order, page by page: one search for few, a point in time for many.

Documents do not change and their keys put them into one order, so that a page goes on behind the last key whatever has
come meanwhile. What the point in time adds is that nothing is taken away in between, by a retention for instance.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Literal

from clusterlog.encode.compact import dumps
from clusterlog.errors import StoreUnavailable
from clusterlog.store import document
from clusterlog.store.elasticsearch.reading.asker import Asker, Damage
from clusterlog.store.elasticsearch.reading.clauses import Clause
from clusterlog.store.elasticsearch.transport import Answer

FIRST_PAGE, LARGEST_PAGE = 256, 5_000
PAGE_BYTES = 4 << 20
"""About how large an answer is made: of small documents it holds many, of large ones few."""
KEEP_ALIVE = "5m"
WAYS = (("_pit", "id"), ("_search/point_in_time", "pit_id"))
"""How a point in time is asked for, and where its id stands: Elasticsearch's way and OpenSearch's."""
_GROWTH = 4
_MILLISECOND = 1_000_000
_ABSENT = (400, 401, 403, 404, 405, 429, 501)
"""What servers answer that have no points in time, or none for us."""
_EXPIRED = "search_context_missing_exception"
_SHORTENED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,8}))?Z", re.ASCII)

Order = Literal["newest", "oldest"]


@dataclass(frozen=True, slots=True)
class Hit:
    """A document at its place in the order; empty where only its key was asked for."""

    key: tuple[int, str]
    event: document.Event
    body: bytes


class Pages:
    """The documents of one clause. ``first`` is how many are asked for at once in the beginning."""

    def __init__(
        self, asker: Asker, clause: Clause, order: Order, damage: Damage, *, first: int = FIRST_PAGE, keys: bool = False
    ) -> None:
        self._asker = asker
        self._damage = damage
        self._page = min(max(first, 1), LARGEST_PAGE)
        mapping = asker.mapping()
        self._is_exact = mapping.keeps_nanoseconds
        self._newest = order == "newest"
        way = "desc" if self._newest else "asc"
        time = {"order": way, "numeric_type": "date_nanos", "unmapped_type": "date_nanos"}
        self._body: dict[str, Any] = {
            "query": clause,
            "sort": [{"@timestamp": time}, {mapping.sortable("event.id"): {"order": way, "unmapped_type": "keyword"}}],
            "track_total_hits": False,
        }
        if keys:
            self._body["_source"] = False if self._is_exact else ["@timestamp", "event.id"]

    def hits(self, after: tuple[int, str] | None = None) -> Generator[Hit]:
        """All of them, lazily; those behind ``after``."""
        place = None if after is None else self._behind(*after)
        held: list[Hit] = []
        with closing(_PointInTime(self._asker, self._damage)) as point:
            while True:
                asked = self._page
                found = self._found(place, point)
                new = [_hit(each) for each in found]
                held += new
                self._grow(new)
                is_last = len(found) < asked
                ready, held = self._ready(held, is_last=is_last)
                for hit in ready:
                    if after is None or (hit.key < after if self._newest else hit.key > after):
                        yield hit
                if is_last:
                    return
                place = found[-1]["sort"]

    def _behind(self, time: int, id: str) -> list[Any]:
        """Where to go on. By milliseconds alone, all events of the same one are looked at again."""
        if self._is_exact:
            return [max(0, time), id] if time >= 0 or self._newest else [0, ""]
        edge = time // _MILLISECOND * _MILLISECOND
        return [edge + _MILLISECOND, ""] if self._newest else [max(0, edge - 1), "\uffff"]

    def _found(self, place: Sequence[Any] | None, point: _PointInTime) -> list[Mapping[str, Any]]:
        body = {**self._body, "size": self._page}
        told = self._asker.search(body, self._damage) if place is None else point.search(body, place)
        found = told["hits"].get("hits") if isinstance(told["hits"], dict) else None
        if not isinstance(found, list):
            raise StoreUnavailable(f"{self._asker.client.url}: answers without saying what it found")
        return found

    def _grow(self, found: Sequence[Hit]) -> None:
        """Ask for more the next time, unless documents are large."""
        size = sum(len(hit.body) for hit in found) // max(1, len(found))
        self._page = max(1, min(LARGEST_PAGE, self._page * _GROWTH, PAGE_BYTES // max(1, size)))

    def _ready(self, held: list[Hit], *, is_last: bool) -> tuple[list[Hit], list[Hit]]:
        """What can be given now, and what is held back: by milliseconds alone, those of the last one may go on."""
        if self._is_exact:
            return held, []
        last = None if is_last or not held else held[-1].key[0] // _MILLISECOND
        ready = [hit for hit in held if hit.key[0] // _MILLISECOND != last]
        return sorted(ready, key=lambda hit: hit.key, reverse=self._newest), held[len(ready) :]


class _PointInTime:
    """What was there when it was first searched, as far as the server has such a thing."""

    def __init__(self, asker: Asker, damage: Damage) -> None:
        self._asker = asker
        self._damage = damage
        self._id = ""
        self._member = "id"
        self._is_absent = False

    def search(self, body: Mapping[str, Any], place: Sequence[Any]) -> Mapping[str, Any]:
        """A page behind ``place``."""
        if not self._id and not self._is_absent:
            self._open()
        if not self._id:
            return self._asker.search({**body, "search_after": list(place[:2])}, self._damage)
        asked = {**body, "search_after": list(place[:2]), "pit": {"id": self._id, "keep_alive": KEEP_ALIVE}}
        answer = self._asker.tried("POST", "/_search", asked)
        if _is_expired(answer):  # whoever reads took a long break
            self._id = ""
            return self.search(body, place)
        told = self._asker.read(answer, "hits", self._damage)
        self._id = str(told.get("pit_id") or self._id)
        return told

    def _open(self) -> None:
        for way, member in WAYS:
            answer = self._asker.tried("POST", f"/{self._asker.path}/{way}", params={"keep_alive": KEEP_ALIVE})
            if answer.status == 200:
                self._id, self._member = str(self._asker.read(answer, member, self._damage)[member]), member
                return
            if answer.status not in _ABSENT:
                self._asker.read(answer, member, self._damage)
        self._is_absent = True

    def close(self) -> None:
        """Let it go; if that fails it ends by itself."""
        if not self._id:
            return
        (way,) = (way for way, member in WAYS if member == self._member)
        with suppress(StoreUnavailable):
            self._asker.client.call("DELETE", f"/{way}", {self._member: self._id if way == "_pit" else [self._id]})
        self._id = ""


def _is_expired(answer: Answer) -> bool:
    """Whether the point in time is gone, or some shard's part of it."""
    if answer.status == 200:
        shards = answer.body.get("_shards") if isinstance(answer.body, dict) else None
        return isinstance(shards, dict) and bool(shards.get("failed")) and _EXPIRED in str(shards.get("failures"))
    return _EXPIRED.encode() in answer.content


def _hit(told: Mapping[str, Any]) -> Hit:
    event = told.get("_source") or {}
    time, id = told["sort"][:2]
    stamp = event.get("@timestamp")
    if isinstance(stamp, str):
        shortened = _SHORTENED.fullmatch(stamp)
        if shortened:  # a server that makes documents from its columns leaves zeros out at the end
            event["@timestamp"] = f"{shortened[1]}.{(shortened[2] or '').ljust(9, '0')}Z"
        exact = document.time_ns(stamp)
        time = time if exact is None else exact
    key = int(time or 0), id if isinstance(id, str) else ""
    return Hit(key, event, dumps(event))
