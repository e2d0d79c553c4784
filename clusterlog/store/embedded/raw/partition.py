"""One stretch of arrival: its directory, its files, and the table that leads from an event's number to its frame.

    parts/<day>-<number>/  raw.zst    the frames, appended and never rewritten
                           raw.dict   the dictionary they are compressed with, if there is one
                           raw.idx    one record per frame: where it is and what it spans
                           raw.ids    the ids in it, as ranges
                           index/     the search index
                           part.json  written when nothing more will come: what it holds

Only ``raw.zst`` and ``raw.dict`` are truth; everything else is made again from them.
"""

from __future__ import annotations

import json
import os
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self
from zlib import crc32

from clusterlog.store.embedded.raw import frames
from clusterlog.store.embedded.raw.files import replace_file

PARTS = "parts"
RAW, DICTIONARY, TABLE, IDS, INDEX, SUMMARY = "raw.zst", "raw.dict", "raw.idx", "raw.ids", "index", "part.json"
FORMAT = "clusterlog.store.part/1"

_ENTRY = struct.Struct("<QQIIqqII")
ENTRY_BYTES = _ENTRY.size


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one frame is and what it spans; ``ids`` counts the records of ``raw.ids`` up to and with this frame."""

    first_seq: int
    offset: int
    length: int
    count: int
    min_us: int
    max_us: int
    ids: int

    @classmethod
    def of(cls, frame: frames.Frame, ids: int) -> Entry:
        """The entry of a frame."""
        return cls(frame.first_seq, frame.offset, frame.length, frame.count, frame.min_us, frame.max_us, ids)

    def pack(self) -> bytes:
        """The entry's record, with its checksum."""
        fields = (self.first_seq, self.offset, self.length, self.count, self.min_us, self.max_us, self.ids)
        return _ENTRY.pack(*fields, crc32(_ENTRY.pack(*fields, 0)))


class FrameTable:
    """The entries of a partition, in order, kept as the bytes they are."""

    __slots__ = ("_data", "_file", "_firsts", "max_us", "min_us")

    def __init__(self) -> None:
        self._file = 0
        self._clear()

    def _clear(self) -> None:
        self._data = b""
        self._firsts: memoryview = memoryview(b"").cast("Q")
        self.min_us = 2**63 - 1
        self.max_us = -(2**63)

    def __len__(self) -> int:
        return len(self._data) // ENTRY_BYTES

    def extend(self, data: bytes) -> None:
        """Take more records in; a last one that is cut short is left out."""
        whole = len(data) - len(data) % ENTRY_BYTES
        if not whole:
            return
        self._data += data[:whole]
        signed = memoryview(data[:whole]).cast("q")
        self.min_us = min(self.min_us, *signed[3::6])
        self.max_us = max(self.max_us, *signed[4::6])
        self._firsts = memoryview(self._data).cast("Q")[0::6]

    def reload(self, path: Path) -> None:
        """Take in what was appended to the file since the last time, or all of it, when it was made again."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if status.st_ino != self._file:
                self._clear()
                self._file = status.st_ino
            at = len(self._data)
            self.extend(os.pread(fd, max(0, status.st_size - at), at))
        finally:
            os.close(fd)

    def reload_or_scan(self, directory: Path) -> None:
        """As ``reload``, for a reader: where the table is missing it is made from the frames, in memory.

        Raises ``FileNotFoundError`` when the frames are not there either.
        """
        try:
            self.reload(directory / TABLE)
        except FileNotFoundError:
            fd = os.open(directory / RAW, os.O_RDONLY | os.O_CLOEXEC)
            try:
                found = list(frames.scan(fd, 0, os.fstat(fd).st_size))
            finally:
                os.close(fd)
            self._clear()
            self.extend(b"".join(Entry.of(frame, 0).pack() for frame in found if isinstance(frame, frames.Frame)))

    def __getitem__(self, at: int) -> Entry:
        return Entry(*_ENTRY.unpack_from(self._data, at * ENTRY_BYTES)[:7])

    def __iter__(self) -> Iterator[Entry]:
        return (Entry(*fields[:7]) for fields in _ENTRY.iter_unpack(self._data))

    def find(self, seq: int) -> Entry | None:
        """The frame that holds event number ``seq``, ``None`` if none does."""
        at = bisect_right(self._firsts, seq) - 1
        if at < 0:
            return None
        entry = self[at]
        return entry if seq < entry.first_seq + entry.count else None

    def count_through(self, seq: int) -> int:
        """How many events are numbered up to and with ``seq``; -1 if there is no such number."""
        entry = self.find(seq)
        if entry is None:
            return -1
        return sum(each.count for each in self if each.first_seq < entry.first_seq) + seq - entry.first_seq + 1

    def after(self, seq: int) -> int:
        """The place of the first frame that holds a number greater than ``seq``."""
        at = bisect_right(self._firsts, seq)
        return at - 1 if at and self[at - 1].first_seq + self[at - 1].count > seq + 1 else at

    def is_sound(self, raw_bytes: int, ids: int) -> bool:
        """Whether every record has its checksum, follows the one before and stays within its files."""
        seq = offset = known = 0
        for fields in _ENTRY.iter_unpack(self._data):
            entry = Entry(*fields[:7])
            if crc32(_ENTRY.pack(*fields[:7], 0)) != fields[7]:
                return False
            if entry.first_seq < seq or entry.offset < offset or entry.ids < known:
                return False
            seq, offset, known = entry.first_seq + entry.count, entry.offset + entry.length, entry.ids
        return offset <= raw_bytes and known <= ids


@dataclass(frozen=True, slots=True)
class Summary:
    """What a finished partition holds; ``frames`` and ``ids`` count the records of the two side files."""

    format: str
    index: int
    events: int
    frames: int
    raw_bytes: int
    min_us: int
    max_us: int
    ids: int

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """The summary of a partition, ``None`` while it is not finished or if it cannot be read."""
        try:
            return cls(**json.loads((directory / SUMMARY).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def describes(self, directory: Path) -> bool:
        """Whether the files are still those that were finished, by their sizes."""
        sizes = ((RAW, self.raw_bytes), (TABLE, self.frames * ENTRY_BYTES))
        try:
            return self.format == FORMAT and all((directory / name).stat().st_size == size for name, size in sizes)
        except OSError:
            return False

    def write(self, directory: Path) -> None:
        """Put it there durably."""
        replace_file(directory / SUMMARY, json.dumps(asdict(self)).encode() + b"\n")


def directories(store: Path) -> list[Path]:
    """The partitions of a store, oldest first."""
    try:
        found = [entry for entry in (store / PARTS).iterdir() if number_of(entry)]
    except FileNotFoundError:
        return []
    return sorted(found, key=number_of)


def number_of(directory: Path) -> int:
    """The running number in a partition's name, 0 if it is not one."""
    day, _, number = directory.name.partition("-")
    return int(number) if day.isdecimal() and number.isdecimal() else 0


def read_dictionary(directory: Path) -> bytes | None:
    """The partition's dictionary, ``None`` if it has none."""
    try:
        return (directory / DICTIONARY).read_bytes()
    except FileNotFoundError:
        return None
