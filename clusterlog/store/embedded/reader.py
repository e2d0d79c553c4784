"""Answers queries over all partitions: walks them in the order of time and stops as soon as it can."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from clusterlog.errors import Incomplete
from clusterlog.store.base import Found, Progress, Sequences
from clusterlog.store.embedded.index.plan import Window
from clusterlog.store.embedded.raw import partition
from clusterlog.store.embedded.raw.partition import FrameTable, Summary
from clusterlog.store.embedded.search import Damage, FrameCache, PartitionSearch
from clusterlog.store.embedded.sequences import Noted, audited
from clusterlog.store.query import Query

OPEN_PARTITIONS = 32
CACHE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class _Span:
    """A partition and the microseconds its events spanned when it was last looked at.

    What is committed later is left out until the next look, or the walk over partitions would not be in order.
    """

    directory: Path
    low: int
    high: int


class Reader:
    """Reads a store, in any process and beside any writer. What was committed later is seen after ``reload``."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._guard = RLock()
        self._open: OrderedDict[Path, PartitionSearch] = OrderedDict()
        self._cache = FrameCache(CACHE_BYTES)
        self._finished: dict[Path, _Span] = {}
        self._spans: list[_Span] = []
        self._noted = Noted(store)
        self.reload()

    def reload(self) -> None:
        """See what was committed since."""
        with self._guard:
            self._noted.forget()
            there = partition.directories(self._store)
            for gone in self._open.keys() - set(there):
                del self._open[gone]
            spans = []
            for directory in there:
                try:
                    spans.append(self._span(directory))
                except FileNotFoundError:  # taken away meanwhile
                    continue
            self._spans = [span for span in spans if span.low <= span.high]

    def _span(self, directory: Path) -> _Span:
        known = self._finished.get(directory)
        if known is not None:
            return known
        summary = Summary.read(directory)
        opened = self._open.get(directory)
        if opened is not None:
            opened.reload()
        if summary is not None:
            self._finished[directory] = _Span(directory, summary.min_us, summary.max_us)
            return self._finished[directory]
        if opened is not None:
            return _Span(directory, *opened.span)
        table = FrameTable()
        table.reload_or_scan(directory)
        return _Span(directory, table.min_us, table.max_us)

    def _search(self, directory: Path, damage: Damage) -> PartitionSearch | None:
        """The opened partition, ``None`` if it was taken away meanwhile; one without its events is damage."""
        with self._guard:
            search = self._open.get(directory)
            if search is None:
                try:
                    search = self._open[directory] = PartitionSearch(directory, self._cache)
                except FileNotFoundError as error:
                    if directory.exists():
                        damage.places.add(f"{error.filename} is gone")
                    return None
                if len(self._open) > OPEN_PARTITIONS:
                    self._open.popitem(last=False)
            self._open.move_to_end(directory)
            return search

    def _meeting(self, window: Window) -> list[_Span]:
        return [span for span in self._spans if window.meets(span.low, span.high)]

    def find(self, query: Query) -> Iterator[Found]:
        """The events that match, in the query's order, lazily; equal ids once.

        Raises ``Incomplete`` at the end, when everything that can be read was given and something could not be.
        """
        damage = Damage()
        left = query.limit
        last: tuple[int, str] | None = None
        if left != 0:
            for found in self._merged(query, damage):
                if found.key == last:
                    continue
                last = found.key
                yield found
                if left is not None:
                    left -= 1
                    if not left:
                        break
        _confess(damage)

    def _merged(self, query: Query, damage: Damage) -> Iterator[Found]:
        """All partitions as one stream. A partition is opened only when its newest event could be the next."""
        newest = query.order == "newest"
        window = Window.of(query.since, query.until).behind(query)
        waiting = sorted(self._meeting(window), key=lambda span: span.high if newest else -span.low)
        heads: list[tuple[Found, Iterator[Found]]] = []
        choose = max if newest else min
        while waiting or heads:
            best = choose(heads, key=lambda head: head[0].key) if heads else None
            if waiting and (best is None or _may_precede(waiting[-1], best[0].key[0], newest=newest)):
                span = waiting.pop()
                search = self._search(span.directory, damage)
                if search is not None:
                    _advance(search.find(query, window.within(span.low, span.high), damage), heads)
                continue
            if best is None:
                return
            if not waiting and len(heads) == 1:
                yield best[0]
                yield from best[1]
                return
            yield best[0]
            heads.remove(best)
            _advance(best[1], heads)

    def count(self, query: Query) -> int:
        """How many events match. Raises ``Incomplete`` when that cannot be known for damage."""
        damage = Damage()
        window = Window.of(query.since, query.until)
        total = 0
        for span in self._meeting(window):
            search = self._search(span.directory, damage)
            if search is not None:
                total += search.count(query, window.within(span.low, span.high), damage)
        _confess(damage)
        return total

    def sequences(self, instance: str) -> Sequences:
        """Which numbers of an instance are stored, by the side files."""
        with self._guard:
            return self._noted.sequences(instance)

    def audit(self, progress: Progress) -> Iterator[Sequences]:
        """Which numbers of every instance are stored and can be read."""
        return audited(self._store, progress)

    def close(self) -> None:
        """Let go of all files."""
        with self._guard:
            self._open.clear()
            self._spans = []


def _may_precede(span: _Span, time: int, *, newest: bool) -> bool:
    """Whether a partition may hold an event that comes before, or with, one at ``time`` (ns)."""
    return span.high >= time // 1_000 if newest else span.low <= time // 1_000


def _advance(stream: Iterator[Found], heads: list[tuple[Found, Iterator[Found]]]) -> None:
    found = next(stream, None)
    if found is not None:
        heads.append((found, stream))


def _confess(damage: Damage) -> None:
    if damage.places:
        places = sorted(damage.places)
        more = f" and {len(places) - 1} more places" if len(places) > 1 else ""
        raise Incomplete(f"some events cannot be read: {places[0]}{more}")
