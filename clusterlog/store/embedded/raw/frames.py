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
_HEADER = struct.Struct("<4s I 4s B B 2x I I I Q q q q I I")
_LENGTHS = 1  # flag: some event holds a line break, so the lengths of all are listed
_SEARCHED = 1 << 20


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


class FrameDamaged(Exception):
    """A frame is not what was written."""


def write_frame(
    bodies: Sequence[bytes],
    times_us: Sequence[int],
    *,
    offset: int,
    first_seq: int,
    arrival: int,
    compressor: zstandard.ZstdCompressor,
) -> tuple[Frame, bytes]:
    """A frame for ``offset`` that holds ``bodies``, numbered from ``first_seq``, and its bytes."""
    raw = b"\n".join(bodies) + b"\n"
    flags, lengths = 0, b""
    if b"\n" in b"".join(bodies):  # many times faster than counting them in ``raw``
        flags, lengths = _LENGTHS, struct.pack(f"<{len(bodies)}I", *map(len, bodies))
    payload = compressor.compress(raw)
    low, high = min(times_us), max(times_us)
    fields = (
        _SKIPPABLE,
        _HEADER.size - 8 + len(lengths),
        _TAG,
        1,
        flags,
        len(bodies),
        len(raw),
        len(payload),
        first_seq,
        arrival,
        low,
        high,
        crc32(payload),
    )
    checksum = crc32(lengths, crc32(_HEADER.pack(*fields, 0)))
    data = _HEADER.pack(*fields, checksum) + lengths + payload
    return Frame(offset, len(data), first_seq, len(bodies), arrival, low, high), data


@dataclass(frozen=True, slots=True)
class _Header:
    """A header taken apart, and what is needed to read what stands behind it."""

    frame: Frame
    payload_at: int
    payload_crc: int
    raw_length: int
    lengths: bytes

    @classmethod
    def read(cls, data: bytes, offset: int) -> _Header:
        """The header at the beginning of ``data``. Raises ``FrameDamaged`` unless it is whole."""
        if len(data) < _HEADER.size:
            raise FrameDamaged("cut short")
        (magic, inner, tag, version, flags, count, raw_length, length, seq, arrival, low, high, payload_crc, crc) = (
            _HEADER.unpack_from(data)
        )
        if magic != _SKIPPABLE or tag != _TAG:
            raise FrameDamaged("no frame begins here")
        payload_at = 8 + inner
        lengths = data[_HEADER.size : payload_at]
        if payload_at < _HEADER.size or len(lengths) != payload_at - _HEADER.size:
            raise FrameDamaged("cut short")
        if crc32(lengths, crc32(data[: _HEADER.size - 4] + bytes(4))) != crc:
            raise FrameDamaged("its header does not match its checksum")
        if version != 1:
            raise FrameDamaged(f"its format {version} is not known")
        if len(lengths) != (4 * count if flags & _LENGTHS else 0):
            raise FrameDamaged("its header contradicts itself")
        frame = Frame(offset, payload_at + length, seq, count, arrival, low, high)
        return cls(frame, payload_at, payload_crc, raw_length, lengths)

    def bodies(self, payload: bytes, decompressor: zstandard.ZstdDecompressor) -> list[bytes]:
        if len(payload) != self.frame.length - self.payload_at:
            raise FrameDamaged("cut short")
        if crc32(payload) != self.payload_crc:
            raise FrameDamaged("its events do not match their checksum")
        try:
            raw = decompressor.decompress(payload, max_output_size=self.raw_length)
        except zstandard.ZstdError as error:
            raise FrameDamaged(f"its events cannot be decompressed: {error}") from None
        if not self.lengths:
            return raw.split(b"\n")[:-1]
        found, at = [], 0
        for (length,) in struct.iter_unpack("<I", self.lengths):
            found.append(raw[at : at + length])
            at += length + 1
        return found


def read_frame(
    fd: int, offset: int, length: int, decompressor: zstandard.ZstdDecompressor
) -> tuple[Frame, list[bytes]]:
    """The frame at ``offset`` and its events. Raises ``FrameDamaged`` or OSError."""
    data = os.pread(fd, length, offset)
    header = _Header.read(data, offset)
    return header.frame, header.bodies(data[header.payload_at :], decompressor)


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
    inner = int.from_bytes(head[4:8], "little")
    if at + 8 + inner > end:
        return None
    try:
        header = _Header.read(os.pread(fd, 8 + inner, at), at)
    except FrameDamaged:
        return None
    if at + header.frame.length > end:
        return None
    payload = os.pread(fd, header.frame.length - header.payload_at, at + header.payload_at)
    return header.frame if crc32(payload) == header.payload_crc else None


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
    """What writes frames; with a dictionary small frames are nearly as dense as large ones.

    zstd's own checksum is over the events themselves: it tells when the dictionary is not the one they were written
    with.
    """
    if dictionary is None:
        return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    known = zstandard.ZstdCompressionDict(dictionary)
    known.precompute_compress(level=LEVEL)  # digested once and not per frame; pins the level of this object
    return zstandard.ZstdCompressor(level=LEVEL, dict_data=known, write_checksum=True)


def decompressor(dictionary: bytes | None) -> zstandard.ZstdDecompressor:
    """What reads frames; one that knows the dictionary reads those without it too."""
    if dictionary is None:
        return zstandard.ZstdDecompressor()
    return zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(dictionary))
