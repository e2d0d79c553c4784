"""The file format: framed, numbered, checksummed records in append-only segments.

A record is a 32-byte little-endian header and the payload. The CRC-32 is seeded with the segment's name, so a stale
record in recycled disk blocks is never taken for a fresh one, and covers the header (its own four bytes as zero) and
the payload.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

MAGIC = b"clog"
VERSION = 1
HEADER = struct.Struct("<4sBBHIIQQ")
HEADER_SIZE = HEADER.size
_RUN = 256
_CRC_AT, _NO_CRC = 12, b"\0\0\0\0"
"""Where the checksum stands, and what stood there when it was made."""
FLAGS_AT = 5
NUMBERS = struct.Struct("<IIQQ")
"""What differs from record to record: payload length, CRC, sequence, wall clock; it stands at ``NUMBERS_AT``."""
NUMBERS_AT = 8
CRC = struct.Struct("<I")
CRC_AT = 12
MAX_EVENT = 1 << 20
"""Bytes of one event as the application's side writes it."""
MAX_PAYLOAD = MAX_EVENT + (64 << 10)
"""Bytes of one payload; a length beyond it in a file is damage, known before anything is allocated."""

SECOND_NS = 1_000_000_000

Head = Callable[[int], bytes]
"""A second since the epoch → the first bytes of every document of that second: a template for ``%`` with nanoseconds,
sequence, sequence. Formatting a date for each event would cost as much as writing it."""

PRIORITY = 0b01
STATE = 0b10
OF_A_FILE = 0b100
"""The instance is no process: its numbers are those of lines of a file, and it has neither a begin nor an end."""
OWN_ID = 0b1000
"""The document has an id of its own, which is not made of instance and sequence."""

LANES = ("bulk", "priority")
_NAME = re.compile(r"([0-9a-f]{32})-(bulk|priority)-([0-9]{6,})\.seg")


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """``<instance>-<lane>-<number>.seg``: whose, which lane, and the how-manieth."""

    instance: str
    lane: str
    number: int

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """Read a file name; ``None`` if it is no segment's."""
        found = _NAME.fullmatch(name)
        return cls(found[1], found[2], int(found[3])) if found else None

    def __str__(self) -> str:
        return f"{self.instance}-{self.lane}-{self.number:06d}.seg"

    @property
    def seed(self) -> int:
        """What the checksums of this segment start from."""
        return crc32(str(self).encode())


@dataclass(slots=True, unsafe_hash=True)
class Record:
    """One record as it lies in a segment; ``end`` is the offset behind it.

    Nobody changes one. It is not frozen because that makes it three times as dear to make, for every event.
    """

    sequence: int
    wall_ns: int
    flags: int
    payload: bytes
    offset: int
    end: int

    @property
    def state(self) -> bool:
        """Whether it is a state event (open, drop, close …) and not one of the application's."""
        return bool(self.flags & STATE)


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no record: ``[offset, end)``. At the end of a segment they may be a record still being written."""

    offset: int
    end: int
    tail: bool


def frame(payload: bytes, flags: int, sequence: int, wall_ns: int, seed: int) -> bytes:
    """Header and payload as one piece, ready for one write."""
    size = len(payload)
    crc = crc32(payload, crc32(HEADER.pack(MAGIC, VERSION, flags, HEADER_SIZE, size, 0, sequence, wall_ns), seed))
    return HEADER.pack(MAGIC, VERSION, flags, HEADER_SIZE, size, crc, sequence, wall_ns) + payload


def parse(data: bytes | memoryview, offset: int, seed: int, base: int = 0) -> Record | None:
    """The record that starts at ``offset`` of ``data``, or ``None`` if none starts there whole and undamaged.

    ``base`` is where ``data`` begins in its file. Headers of a later minor layout may be longer: ``header_len`` leads
    to the payload.
    """
    if offset + HEADER_SIZE > len(data):
        return None
    magic, _, flags, header_len, size, crc, sequence, wall_ns = HEADER.unpack_from(data, offset)
    if magic != MAGIC or not HEADER_SIZE <= header_len <= 512 or not 0 < size <= MAX_PAYLOAD or sequence == 0:
        return None
    start = offset + header_len
    end = start + size
    if end > len(data):
        return None
    head = crc32(_NO_CRC, crc32(data[offset : offset + _CRC_AT], seed))
    if crc32(data[offset + _CRC_AT + len(_NO_CRC) : end], head) != crc:
        return None
    return Record(sequence, wall_ns, flags, bytes(data[start:end]), base + offset, base + end)


def scan(path: Path, offset: int = 0, until: int | None = None) -> Iterator[Record | Damage]:
    """Every record of a segment between ``offset`` and ``until`` (its end), and what damage lies between them.

    A damaged stretch costs only itself: the scan goes on at the next magic whose record verifies. Damage that reaches
    the end is marked ``tail``: on a segment whose writer lives it means "not yet".
    """
    name = SegmentName.parse(path.name)
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read() if until is None else file.read(max(0, until - offset))
    yield from scanned(data, name.seed if name else 0, offset)


def scanned(data: bytes, seed: int, base: int) -> Iterator[Record | Damage]:
    """As ``scan``, of bytes that begin at ``base`` of a segment whose checksums start from ``seed``."""
    position, size, view = 0, len(data), memoryview(data)
    while position < size:
        run = _run(data, position, seed, base)
        if run:
            yield from run
            position = run[-1].end - base
            continue
        record = parse(view, position, seed, base)
        if record is not None:
            yield record
            position = record.end - base
            continue
        following = _resync(data, view, position + 1, seed)
        end = size if following < 0 else following
        yield Damage(base + position, base + end, tail=following < 0)
        position = end


def _run(data: bytes, position: int, seed: int, base: int) -> list[Record]:
    """Some records from ``position`` on, as ``parse`` finds them: up to where that has to decide itself.

    Everything that is shipped comes by here, and calls and views of bytes are dearer than what is done with them.
    """
    records: list[Record] = []
    unpack, size = HEADER.unpack_from, len(data)
    while position + HEADER_SIZE < size and len(records) < _RUN:
        magic, _, flags, header_len, length, crc, sequence, wall_ns = unpack(data, position)
        start = position + HEADER_SIZE
        end = start + length
        if magic != MAGIC or header_len != HEADER_SIZE or not 0 < length <= MAX_PAYLOAD or not sequence or end > size:
            break
        payload = data[start:end]
        head = crc32(_NO_CRC, crc32(data[position : position + _CRC_AT], seed))
        if crc32(payload, crc32(data[position + _CRC_AT + len(_NO_CRC) : start], head)) != crc:
            break
        records.append(Record(sequence, wall_ns, flags, payload, base + position, base + end))
        position = end
    return records


def _resync(data: bytes, view: memoryview, position: int, seed: int) -> int:
    while (position := data.find(MAGIC, position)) >= 0:
        if parse(view, position, seed) is not None:
            return position
        position += 1
    return -1


def numbered(head: Head, ns: int, sequence: int) -> bytes:
    """The first bytes of the document of ``ns`` with number ``sequence``: the only ones that wait for it."""
    second, fraction = divmod(ns, SECOND_NS)
    return head(second) % (fraction, sequence, sequence)
