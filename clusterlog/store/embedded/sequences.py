"""Which sequence numbers a store holds: as its side files note it, or exactly, by every byte of its frames.

An audit believes the side files where the frames prove them: each frame where the table has it, whole by its checksums,
and as many events in all as there are ids. Only a partition where that is not so is taken apart event by event.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clusterlog.errors import StoreUnavailable
from clusterlog.store import document
from clusterlog.store.base import Progress, Sequences
from clusterlog.store.embedded.raw import frames, partition
from clusterlog.store.embedded.raw.frames import Frame, FrameDamaged, Hole
from clusterlog.store.embedded.raw.ledger import RECORD_BYTES, IdRange, place_of, read_records
from clusterlog.store.embedded.raw.partition import Entry, FrameTable, Summary
from clusterlog.store.ranges import amount, merged, minus, repeated


class Noted:
    """The numbers of every instance by the side files, each file read once until ``forget``."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._finished: dict[Path, list[IdRange]] = {}
        self._instances: dict[bytes, list[tuple[int, int]]] | None = None

    def forget(self) -> None:
        """Look again at the next question; what is finished does not change."""
        self._instances = None

    def sequences(self, instance: str) -> Sequences:
        """The numbers of one instance; none for what is no instance of ours."""
        if self._instances is None:
            self._instances = _by_instance(self._of_partition(each) for each in partition.directories(self._store))
        place = place_of(f"{instance}-{0:011x}")
        found = self._instances.get(place[0], []) if place is not None else []
        return Sequences(instance, merged(found), repeated(found))

    def _of_partition(self, directory: Path) -> list[IdRange]:
        known = self._finished.get(directory)
        if known is not None:
            return known
        side = _Side.of(directory)
        found = list(_of_events(directory)) if side is None else side.ids
        if side is not None and side.finished:
            self._finished[directory] = found
        return found


def audited(store: Path, progress: Progress) -> Iterator[Sequences]:
    """The numbers of every instance that can be read, instance by instance. Raises ``StoreUnavailable``."""
    directories = partition.directories(store)
    total = sum(_raw_bytes(directory) for directory in directories)
    before = 0

    def advance(done: int) -> None:
        progress(before + done, total)

    proven, noted = [], []
    for directory in directories:
        try:
            side = _Side.of(directory)
            proven.append(_proven(directory, side, advance))
        except OSError as error:
            raise StoreUnavailable(f"cannot read {directory}: {error.strerror}") from error
        noted.append(side.ids if side is not None else [])
        before += _raw_bytes(directory)
        progress(before, total)
    readable, known = _by_instance(proven), _by_instance(noted)
    for instance in sorted({*readable, *known}):
        found = readable.get(instance, [])
        stored = merged(found)
        yield Sequences(instance.hex(), stored, repeated(found), minus(merged(known.get(instance, [])), stored))


@dataclass(frozen=True, slots=True)
class _Side:
    """What the side files of a partition note: the ids, and the frames they are in."""

    ids: list[IdRange]
    table: FrameTable
    finished: bool

    @property
    def end(self) -> int:
        """The byte behind the last of these frames."""
        return self.table[len(self.table) - 1].offset + self.table[len(self.table) - 1].length if self.table else 0

    @property
    def adds_up(self) -> bool:
        """Whether there are as many ids as events; not so where strangers' ids are among them."""
        return sum(entry.count for entry in self.table) == amount((first, last) for _, first, last in self.ids)

    @classmethod
    def of(cls, directory: Path) -> _Side | None:
        """``None`` where they are not whole. A partition may be finished, its ids joined, while it is looked at."""
        for _ in range(2):
            finished = Summary.read(directory)
            table = FrameTable()
            try:
                table.reload(directory / partition.TABLE)
                data = (directory / partition.IDS).read_bytes()
            except FileNotFoundError:
                return None
            count = finished.ids if finished is not None else table[len(table) - 1].ids if len(table) else 0
            ids = read_records(data[: count * RECORD_BYTES])
            if ids is not None and len(ids) == count:
                return cls(ids, table, finished is not None)
        return None


def _proven(directory: Path, side: _Side | None, advance: Callable[[int], None]) -> list[IdRange]:
    if side is None or not side.adds_up or not _is_there(directory, side, advance):
        return list(_of_events(directory))
    return side.ids


def _is_there(directory: Path, side: _Side, advance: Callable[[int], None]) -> bool:
    """Whether the frames are those of the table, and whole."""
    try:
        fd = os.open(directory / partition.RAW, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        entries = iter(side.table)
        for found in frames.scan(fd, 0, side.end):
            entry = next(entries, None)
            if isinstance(found, Hole) or entry is None or _place(found) != _place(entry):
                return False
            advance(found.offset + found.length)
        return next(entries, None) is None
    finally:
        os.close(fd)


def _place(frame: Frame | Entry) -> tuple[int, int, int, int]:
    return frame.offset, frame.length, frame.first_seq, frame.count


def _of_events(directory: Path) -> Iterator[IdRange]:
    """The ids of every event that can be read; an id that is there twice comes twice."""
    numbers: dict[bytes, list[int]] = {}
    for body in _readable(directory):
        place = place_of(document.id_of(document.parse(body)) or "")
        if place is not None:
            numbers.setdefault(place[0], []).append(place[1])
    for instance, found in numbers.items():
        found.sort()
        first = last = found[0]
        for number in found[1:]:
            if number != last + 1:
                yield instance, first, last
                first = number
            last = number
        yield instance, first, last


def _readable(directory: Path) -> Iterator[bytes]:
    try:
        fd = os.open(directory / partition.RAW, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        decompressor = frames.decompressor(partition.read_dictionary(directory))
        for found in frames.scan(fd, 0, os.fstat(fd).st_size):
            if isinstance(found, Frame):
                try:
                    _, bodies = frames.read_frame(fd, found.offset, found.length, decompressor)
                except FrameDamaged:
                    continue
                yield from bodies
    finally:
        os.close(fd)


def _by_instance(partitions: Iterable[Iterable[IdRange]]) -> dict[bytes, list[tuple[int, int]]]:
    found: dict[bytes, list[tuple[int, int]]] = {}
    for ids in partitions:
        for instance, first, last in ids:
            found.setdefault(instance, []).append((first, last))
    return found


def _raw_bytes(directory: Path) -> int:
    try:
        return (directory / partition.RAW).stat().st_size
    except FileNotFoundError:
        return 0
