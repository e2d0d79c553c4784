"""The file of raw events: zstd frames, each behind a header that says what is in it and proves it whole.

A frame on disk is a zstd *skippable frame* (RFC 8878, 3.1.2) with our header, then an ordinary zstd frame with one
event per line; so ``zstd -dc -D raw.dict raw.zst`` prints the events, whatever becomes of us. Frames are appended and
never rewritten. The header carries the ids of its events as ranges, so that the ledger of ids can be made again
without decompressing anything.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import zstandard

LEVEL = 3
FRAME_BYTES = 32 << 10
"""Raw bytes after which a frame is closed: small enough to read one event cheaply, dense thanks to the dictionary."""

DICTIONARY_BYTES = 110 << 10
_SKIPPABLE = struct.pack("<I", 0x184D2A5C)
_TAG = b"clfr"
_HEADER = struct.Struct("<4s I 4s B B H I I I Q q q q I I")
_RANGE = struct.Struct("<16s 6s 6s")
_LENGTHS = 1  # flag: some event holds a line break, so the lengths of all are listed
_SEARCHED = 1 << 20

IdRange = tuple[bytes, int, int]
"""Instance (16 bytes), first and last sequence."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The header of one frame and where it lies; times are microseconds but for ``arrival`` (ns)."""

    offset: int
    length: int
    first_seq: int
    count: int
    arrival: int
    min_us: int
    max_us: int
    ids: tuple[IdRange, ...]


class FrameDamaged(Exception):
    """A frame is not what was written."""


def write_frame(
    bodies: Sequence[bytes],
    times_us: Sequence[int],
    ids: Sequence[IdRange],
    *,
    first_seq: int,
    arrival: int,
    compressor: zstandard.ZstdCompressor,
) -> bytes:
    """The bytes of a frame that holds ``bodies``, numbered from ``first_seq``."""
    raw = b"\n".join(bodies) + b"\n"
    flags, lengths = 0, b""
    if raw.count(b"\n") != len(bodies):
        flags, lengths = _LENGTHS, struct.pack(f"<{len(bodies)}I", *map(len, bodies))
    payload = compressor.compress(raw)
    extra = b"".join(_pack_range(each) for each in ids) + lengths
    fields = (
        _SKIPPABLE,
        _HEADER.size - 8 + len(extra),
        _TAG,
        1,
        flags,
        len(ids),
        len(bodies),
        len(raw),
        len(payload),
        first_seq,
        arrival,
        min(times_us),
        max(times_us),
        crc32(payload),
    )
    checksum = crc32(extra, crc32(_HEADER.pack(*fields, 0)))
    return _HEADER.pack(*fields, checksum) + extra + payload


def _pack_range(each: IdRange) -> bytes:
    return _RANGE.pack(each[0], each[1].to_bytes(6, "little"), each[2].to_bytes(6, "little"))


class _Parsed:
    """A header taken apart; raises ``FrameDamaged`` unless it is whole."""

    __slots__ = ("extra", "fields", "frame", "payload_at")

    def __init__(self, data: bytes, offset: int) -> None:
        if len(data) < _HEADER.size:
            raise FrameDamaged("cut short")
        fields = _HEADER.unpack_from(data)
        self.fields = fields
        if fields[0] != _SKIPPABLE or fields[2] != _TAG:
            raise FrameDamaged("no frame begins here")
        if fields[3] != 1:
            raise FrameDamaged(f"format {fields[3]} is not known")
        self.payload_at = 8 + fields[1]
        self.extra = data[_HEADER.size : self.payload_at]
        if len(self.extra) != fields[1] + 8 - _HEADER.size:
            raise FrameDamaged("cut short")
        if crc32(self.extra, crc32(_HEADER.pack(*fields[:-1], 0))) != fields[14]:
            raise FrameDamaged("its header does not match its checksum")
        ids = tuple(
            (instance, int.from_bytes(first, "little"), int.from_bytes(last, "little"))
            for instance, first, last in _RANGE.iter_unpack(self.extra[: fields[5] * _RANGE.size])
        )
        self.frame = Frame(
            offset, self.payload_at + fields[8], fields[9], fields[6], fields[10], fields[11], fields[12], ids
        )

    def bodies(self, payload: bytes, decompressor: zstandard.ZstdDecompressor) -> list[bytes]:
        if len(payload) != self.fields[8]:
            raise FrameDamaged("cut short")
        if crc32(payload) != self.fields[13]:
            raise FrameDamaged("its events do not match their checksum")
        try:
            raw = decompressor.decompress(payload, max_output_size=self.fields[7])
        except zstandard.ZstdError as error:
            raise FrameDamaged(f"its events cannot be decompressed: {error}") from None
        if not self.fields[4] & _LENGTHS:
            return raw.split(b"\n")[:-1]
        found, at = [], 0
        for (length,) in struct.iter_unpack("<I", self.extra[self.fields[5] * _RANGE.size :]):
            found.append(raw[at : at + length])
            at += length + 1
        return found


def read_frame(
    fd: int, offset: int, length: int, decompressor: zstandard.ZstdDecompressor
) -> tuple[Frame, list[bytes]]:
    """The frame at ``offset`` and its events. Raises ``FrameDamaged`` or OSError."""
    data = os.pread(fd, length, offset)
    parsed = _Parsed(data, offset)
    return parsed.frame, parsed.bodies(data[parsed.payload_at :], decompressor)


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of the file that cannot be read, with readable frames behind it."""

    offset: int
    length: int


def scan(fd: int, start: int, end: int) -> Iterator[Frame | Hole]:
    """Every whole frame between two offsets, by header and checksums; a stretch without any is a ``Hole``.

    What follows the last whole frame is not reported: it is the torn end of a write that nobody was told of.
    """
    at = hole = start
    while at < end:
        frame = _whole_frame(fd, at, end)
        if frame is None:
            at = _next_magic(fd, at + 1, end)
            continue
        if hole < at:
            yield Hole(hole, at - hole)
        yield frame
        at = hole = at + frame.length


def _whole_frame(fd: int, at: int, end: int) -> Frame | None:
    head = os.pread(fd, _HEADER.size, at)
    if len(head) < _HEADER.size or not head.startswith(_SKIPPABLE):
        return None
    fields = _HEADER.unpack(head)
    if fields[2] != _TAG or at + 8 + fields[1] + fields[8] > end:
        return None
    try:
        parsed = _Parsed(os.pread(fd, 8 + fields[1], at), at)
    except FrameDamaged:
        return None
    payload = os.pread(fd, fields[8], at + parsed.payload_at)
    return parsed.frame if crc32(payload) == fields[13] else None


def _next_magic(fd: int, at: int, end: int) -> int:
    """The next offset from ``at`` on where a frame may begin, else ``end``."""
    while at < end:
        found = os.pread(fd, _SEARCHED, at).find(_SKIPPABLE)
        if found >= 0:
            return at + found
        at += _SEARCHED - len(_SKIPPABLE) + 1
    return end


def train(samples: Sequence[bytes]) -> bytes | None:
    """A dictionary for events like ``samples``, ``None`` when they have too little in common to make one."""
    try:
        return zstandard.train_dictionary(DICTIONARY_BYTES, list(samples), level=LEVEL).as_bytes()
    except zstandard.ZstdError:
        return None


def compressor(dictionary: bytes | None) -> zstandard.ZstdCompressor:
    """What writes frames; with a dictionary small frames are nearly as dense as large ones."""
    if dictionary is None:
        return zstandard.ZstdCompressor(level=LEVEL)
    return zstandard.ZstdCompressor(level=LEVEL, dict_data=zstandard.ZstdCompressionDict(dictionary))


def decompressor(dictionary: bytes | None) -> zstandard.ZstdDecompressor:
    """What reads frames; one that knows the dictionary reads those without it too."""
    if dictionary is None:
        return zstandard.ZstdDecompressor()
    return zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(dictionary))
