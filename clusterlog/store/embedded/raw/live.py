"""The partition that is written to: its frames, their table and their ids, kept whole through any crash.

Order of one append: frames, fdatasync (from here on the events are stored), ids, table. What stands in the table is
therefore in the frames, and whatever a crash left out of the two side files is read again from the frames. Events are
numbered from 0 in every partition.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from clusterlog.errors import StoreUnavailable
from clusterlog.store import document
from clusterlog.store.embedded.raw import frames, partition
from clusterlog.store.embedded.raw.files import replace_file, sync_directory, write_at
from clusterlog.store.embedded.raw.frames import Frame, Hole
from clusterlog.store.embedded.raw.ledger import (
    RECORD_BYTES,
    IdRange,
    Ledger,
    place_of,
    ranges_of,
    read_records,
    write_records,
)
from clusterlog.store.embedded.raw.partition import ENTRY_BYTES, Entry, FrameTable, Summary


class LivePartition:
    """The newest partition of a store, opened for appending."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.next_seq = 0
        self.events = 0
        self.bytes = 0
        self.min_us, self.max_us = 2**63 - 1, -(2**63)
        self._raw = self._table = self._ids = -1
        self._entries = self._id_records = 0
        self._is_torn = False
        self.dictionary: bytes | None = None
        self._compressor = frames.compressor(None)

    @classmethod
    def create(cls, store: Path, name: str, dictionary: bytes | None) -> LivePartition:
        """A new partition, visible only when it is whole. Raises OSError."""
        hidden = store / partition.PARTS / f".{name}.new"
        if hidden.exists():
            shutil.rmtree(hidden)
        hidden.mkdir(0o700)
        for file in (partition.RAW, partition.TABLE, partition.IDS):
            os.close(os.open(hidden / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        if dictionary is not None:
            replace_file(hidden / partition.DICTIONARY, dictionary)
        sync_directory(hidden)
        directory = store / partition.PARTS / name
        os.rename(hidden, directory)
        sync_directory(directory.parent)
        return cls.recover(directory)

    @classmethod
    def recover(cls, directory: Path) -> LivePartition:
        """An existing partition, made whole: a torn end is cut, side files follow the frames. Raises OSError."""
        live = cls(directory)
        live._open()
        try:
            live._recover()
        except BaseException:
            live.close()
            raise
        return live

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._raw = os.open(self.directory / partition.RAW, flags, 0o600)
        self._open_sides(flags)
        self.use(partition.read_dictionary(self.directory))

    def _open_sides(self, flags: int) -> None:
        self._table = os.open(self.directory / partition.TABLE, flags, 0o600)
        self._ids = os.open(self.directory / partition.IDS, flags, 0o600)

    def use(self, dictionary: bytes | None) -> None:
        """Compress with ``dictionary`` from here on; it stands in the directory already."""
        self.dictionary = dictionary
        self._compressor = frames.compressor(dictionary)

    def _recover(self) -> None:
        raw_bytes = os.fstat(self._raw).st_size
        table = self._read_table()
        ids = os.pread(self._ids, os.fstat(self._ids).st_size, 0)
        if not table.is_sound(raw_bytes, len(ids) // RECORD_BYTES) or read_records(ids) is None:
            self._rebuild_sides(raw_bytes)
            return
        for entry in table:
            self._count(entry)
        os.ftruncate(self._table, self._entries * ENTRY_BYTES)
        os.ftruncate(self._ids, self._id_records * RECORD_BYTES)
        self._take_up(raw_bytes)

    def _rebuild_sides(self, raw_bytes: int) -> None:
        """Both side files again from all frames, in new files: readers may have the old ones open."""
        os.close(self._table)
        os.close(self._ids)
        for file in (partition.TABLE, partition.IDS):
            replace_file(self.directory / file, b"")
        self._open_sides(os.O_RDWR | os.O_CLOEXEC)
        self._take_up(raw_bytes)

    def _take_up(self, raw_bytes: int) -> None:
        """Note the frames that no side file knows, and cut what stands behind the last whole one."""
        decompressor = frames.decompressor(self.dictionary)
        for found in frames.scan(self._raw, self.bytes, raw_bytes):
            if isinstance(found, Hole) or found.first_seq < self.next_seq:
                continue  # seen again by ``check``, and by whoever misses a sequence
            try:
                _, bodies = frames.read_frame(self._raw, found.offset, found.length, decompressor)
            except frames.FrameDamaged:
                continue
            self._note([found], ranges_of(_places(bodies)))
        if self.bytes < raw_bytes:
            os.ftruncate(self._raw, self.bytes)
        os.fdatasync(self._raw)

    def _note(self, written: Sequence[Frame], ids: Sequence[IdRange]) -> None:
        """Write frames into the two side files: ids first, since the table says how many of them count."""
        known = self._id_records + len(ids)
        entries = [Entry.of(frame, known) for frame in written]
        write_at(self._ids, write_records(ids), self._id_records * RECORD_BYTES)
        write_at(self._table, b"".join(entry.pack() for entry in entries), self._entries * ENTRY_BYTES)
        for entry in entries:
            self._count(entry)

    def _count(self, entry: Entry) -> None:
        self._entries += 1
        self._id_records = entry.ids
        self.events += entry.count
        self.next_seq = entry.first_seq + entry.count
        self.bytes = entry.offset + entry.length
        self.min_us = min(self.min_us, entry.min_us)
        self.max_us = max(self.max_us, entry.max_us)

    def append(
        self, bodies: Sequence[bytes], times_us: Sequence[int], places: dict[bytes, set[int]], arrival: int
    ) -> list[IdRange]:
        """Store events, numbered from ``next_seq``; they are on disk when it returns their ids of our own form.

        Raises ``StoreUnavailable`` when the events could not be written; then none of them is stored.
        """
        written, data = self._frames(bodies, times_us, arrival)
        ids = ranges_of(places)
        try:
            self._take_back()
            self._is_torn = True
            write_at(self._raw, data, self.bytes)
            os.fdatasync(self._raw)
            self._note(written, ids)
            self._is_torn = False
        except OSError as error:
            with suppress(OSError):
                self._take_back()
            raise StoreUnavailable(f"cannot write {self.directory / partition.RAW}: {error.strerror}") from error
        return ids

    def _take_back(self) -> None:
        """Remove what an append that failed left behind; nothing is appended before that has been done."""
        if self._is_torn:
            os.ftruncate(self._raw, self.bytes)
            os.ftruncate(self._ids, self._id_records * RECORD_BYTES)
            os.ftruncate(self._table, self._entries * ENTRY_BYTES)
            self._is_torn = False

    def _frames(self, bodies: Sequence[bytes], times_us: Sequence[int], arrival: int) -> tuple[list[Frame], bytes]:
        written: list[Frame] = []
        pieces: list[bytes] = []
        offset, seq = self.bytes, self.next_seq
        for begin, end in _chunks(bodies):
            frame, data = frames.write_frame(
                bodies[begin:end],
                times_us[begin:end],
                offset=offset,
                first_seq=seq,
                arrival=arrival,
                compressor=self._compressor,
            )
            written.append(frame)
            pieces.append(data)
            offset += frame.length
            seq += frame.count
        return written, b"".join(pieces)

    def ids(self) -> list[IdRange]:
        """Every id of our own form in this partition, as ranges."""
        return read_records(os.pread(self._ids, self._id_records * RECORD_BYTES, 0)) or []

    def sync(self) -> None:
        """Make the side files durable; the frames are. Before an index is committed, so that readers find its hits."""
        os.fdatasync(self._ids)
        os.fdatasync(self._table)

    def events_through(self, seq: int) -> int:
        """How many events are numbered up to and with ``seq``; -1 if there is no such number."""
        return self._read_table().count_through(seq) if seq >= 0 else 0

    def _read_table(self) -> FrameTable:
        table = FrameTable()
        table.reload(self.directory / partition.TABLE)
        return table

    def read_after(self, seq: int) -> Iterator[tuple[Entry, int, list[bytes] | None]]:
        """The frames with events numbered above ``seq``: entry, arrival and events; ``None`` where it is damaged."""
        table = self._read_table()
        decompressor = frames.decompressor(self.dictionary)
        for at in range(table.after(seq), len(table)):
            entry = table[at]
            try:
                frame, bodies = frames.read_frame(self._raw, entry.offset, entry.length, decompressor)
            except frames.FrameDamaged:
                yield entry, 0, None
            else:
                yield entry, frame.arrival, bodies

    def finish(self, index: int) -> None:
        """Write down what the partition holds, its ids joined: nothing more will come. ``index``: its layout."""
        ledger = Ledger()
        ledger.add(self.ids())
        joined = list(ledger.ids())
        self.sync()
        replace_file(self.directory / partition.IDS, write_records(joined))
        Summary(
            partition.FORMAT,
            index,
            self.events,
            self._entries,
            self.bytes,
            self.min_us,
            self.max_us,
            len(joined),
        ).write(self.directory)

    def close(self) -> None:
        """Let the files go."""
        for fd in (self._raw, self._table, self._ids):
            if fd >= 0:
                os.close(fd)
        self._raw = self._table = self._ids = -1


def _places(bodies: Sequence[bytes]) -> dict[bytes, set[int]]:
    found: dict[bytes, set[int]] = {}
    for body in bodies:
        place = place_of(document.id_of(document.parse(body)) or "")
        if place is not None:
            found.setdefault(place[0], set()).add(place[1])
    return found


def _chunks(bodies: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Where the runs of events that fill one frame begin and end."""
    begin = size = 0
    for at, body in enumerate(bodies):
        size += len(body) + 1
        if size >= frames.FRAME_BYTES:
            yield begin, at + 1
            begin, size = at + 1, 0
    if begin < len(bodies):
        yield begin, len(bodies)
