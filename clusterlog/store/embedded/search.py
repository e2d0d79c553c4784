"""One partition as a reader sees it: its events by number, and its answers to a query, in order."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import tantivy
import zstandard

from clusterlog.store import document
from clusterlog.store.base import Found
from clusterlog.store.embedded.index import schema
from clusterlog.store.embedded.index.answer import LARGEST_PAGE, Answer
from clusterlog.store.embedded.index.failure import ViewBroken, mended
from clusterlog.store.embedded.index.plan import Window, plan
from clusterlog.store.embedded.raw import frames, partition
from clusterlog.store.embedded.raw.partition import Entry, FrameTable
from clusterlog.store.predicate import selects
from clusterlog.store.query import Query

FIRST_PAGE = 128


@dataclass(slots=True)
class Damage:
    """What an answer had to leave out: places in frame files that could not be read."""

    places: set[str] = field(default_factory=set)


class FrameCache:
    """Decompressed frames, the most recently used within a budget of bytes; shared by all partitions of a reader."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._used = 0
        self._frames: OrderedDict[tuple[Path, int], tuple[int, list[bytes], int]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, key: tuple[Path, int]) -> tuple[int, list[bytes]] | None:
        """Arrival and events of a frame, if it is kept."""
        with self._guard:
            kept = self._frames.get(key)
            if kept is None:
                return None
            self._frames.move_to_end(key)
            return kept[0], kept[1]

    def put(self, key: tuple[Path, int], arrival: int, bodies: list[bytes]) -> None:
        """Keep a frame, and let go of others for it."""
        size = sum(map(len, bodies)) + 100 * len(bodies)
        with self._guard:
            if key in self._frames:
                return
            self._frames[key] = (arrival, bodies, size)
            self._used += size
            while self._used > self._budget and len(self._frames) > 1:
                _, (_, _, freed) = self._frames.popitem(last=False)
                self._used -= freed


class PartitionSearch:
    """Answers queries from one partition. Raises ``FileNotFoundError`` when it is no longer there."""

    def __init__(self, directory: Path, cache: FrameCache) -> None:
        self.directory = directory
        self._cache = cache
        self._fd = os.open(directory / partition.RAW, os.O_RDONLY | os.O_CLOEXEC)
        self._table = FrameTable()
        self._decompressor: zstandard.ZstdDecompressor | None = None
        self._guard = threading.Lock()
        self._index: tantivy.Index | None = None
        self._searcher: tantivy.Searcher | None = None
        self.reload()

    def __del__(self) -> None:
        fd, self._fd = getattr(self, "_fd", -1), -1
        if fd >= 0:
            os.close(fd)

    def reload(self) -> None:
        """Take in what was committed since, while other threads may be asking."""
        searcher = None
        try:
            with mended():
                if self._index is None:
                    self._index = schema.open_index(self.directory / partition.INDEX)
                self._index.reload()
                searcher = self._index.searcher()
        except ViewBroken:
            self._index = None
        self._table.reload_or_scan(self.directory)
        self._searcher = searcher  # only now: whatever it finds stands in the table

    @property
    def span(self) -> tuple[int, int]:
        """The earliest and the latest microsecond of its events."""
        return self._table.min_us, self._table.max_us

    def find(self, query: Query, window: Window, damage: Damage) -> Iterator[Found]:
        """The events of a window that match, in the query's order, behind ``after``."""
        last: tuple[int, str] | None = None
        try:
            for found in self._find_by_index(query, window, damage):
                last = found.key
                yield found
        except ViewBroken:
            rest = query if last is None else replace(query, after=last)
            yield from self._find_by_scan(rest, window, damage)

    def _find_by_index(self, query: Query, window: Window, damage: Damage) -> Iterator[Found]:
        answer = self._ask(query, window)
        newest = query.order == "newest"
        page = min(max(query.limit or 0, FIRST_PAGE), LARGEST_PAGE)
        for numbers in answer.groups(page, newest=newest):
            found = [hit for seq in numbers if (hit := self._hit(query, seq, damage, judged=answer.judged))]
            found.sort(key=_key, reverse=newest)
            yield from (hit for hit in found if _is_behind(query, hit.key))

    def count(self, query: Query, window: Window, damage: Damage) -> int:
        """How many events of a window match."""
        try:
            sure, doubtful = self._ask(query, window).count()
            return sure + sum(1 for seq in doubtful if self._hit(query, seq, damage, judged=True))
        except ViewBroken:
            return sum(1 for _ in self._scan(query, window, damage))

    def _ask(self, query: Query, window: Window) -> Answer:
        """What the index says. Raises ``ViewBroken`` when there is none: then the frames themselves are searched."""
        index, searcher = self._index, self._searcher
        if index is None or searcher is None:
            raise ViewBroken("it could not be opened")
        with mended():
            return Answer(searcher, plan(query.where, index), window, self.span)

    def _hit(self, query: Query, seq: int, damage: Damage, *, judged: bool) -> Found | None:
        """Event number ``seq``, if it can be read and really matches."""
        entry = self._table.find(seq)
        if entry is None:
            damage.places.add(f"{self.directory / partition.RAW}: event {seq} is in no frame")
            return None
        frame = self._frame(entry, damage)
        return None if frame is None else _found(query, frame[1][seq - entry.first_seq], frame[0], judged=judged)

    def _frame(self, entry: Entry, damage: Damage) -> tuple[int, list[bytes]] | None:
        """Arrival and events of a frame, ``None`` if it is damaged."""
        key = (self.directory, entry.offset)
        kept = self._cache.get(key)
        if kept is None:
            try:
                kept = self._read(entry.offset, entry.length)
            except (frames.FrameDamaged, OSError) as error:
                damage.places.add(f"{self.directory / partition.RAW} at byte {entry.offset}: {error}")
                return None
            self._cache.put(key, *kept)
        return kept

    def _read(self, offset: int, length: int) -> tuple[int, list[bytes]]:
        with self._guard:  # a decompressor serves one thread at a time
            if self._decompressor is None:
                self._decompressor = frames.decompressor(partition.read_dictionary(self.directory))
            try:
                frame, bodies = frames.read_frame(self._fd, offset, length, self._decompressor)
            except frames.FrameDamaged:
                # The dictionary may have come after the partition was opened.
                self._decompressor = frames.decompressor(partition.read_dictionary(self.directory))
                frame, bodies = frames.read_frame(self._fd, offset, length, self._decompressor)
        return frame.arrival, bodies

    def _scan(self, query: Query, window: Window, damage: Damage) -> Iterator[tuple[int, Found]]:
        """Every event that matches with its number, from the frames alone, in order of arrival."""
        for entry in self._table:
            frame = self._frame(entry, damage) if window.meets(entry.min_us, entry.max_us) else None
            if frame is None:
                continue
            for seq, body in enumerate(frame[1], entry.first_seq):
                found = _found(query, body, frame[0], judged=True)
                if found is not None and window.meets(found.key[0] // 1_000, found.key[0] // 1_000):
                    yield seq, found

    def _find_by_scan(self, query: Query, window: Window, damage: Damage) -> Iterator[Found]:
        newest = query.order == "newest"
        places = [(hit.key, seq) for seq, hit in self._scan(query, window, damage) if _is_behind(query, hit.key)]
        for _, seq in sorted(places, reverse=newest):
            found = self._hit(query, seq, damage, judged=False)
            if found is not None:
                yield found


def _key(found: Found) -> tuple[int, str]:
    return found.key


def _found(query: Query, body: bytes, arrival: int, *, judged: bool) -> Found | None:
    event = document.parse(body)
    time, _ = document.placed(event, arrival)
    if judged:
        if not selects(query, event, time):
            return None
    elif (query.since is not None and time < query.since) or (query.until is not None and time >= query.until):
        return None
    return Found((time, document.id_of(event) or ""), body)


def _is_behind(query: Query, key: tuple[int, str]) -> bool:
    if query.after is None:
        return True
    return key < query.after if query.order == "newest" else key > query.after
