"""One file to be read: which one it is, whatever it is called now, and its bytes from any place on."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import sys
import time
import zlib
from typing import IO, Protocol, Self

from clusterlog.ship.ingest.files import STDIN
from clusterlog.ship.ingest.lines import CHUNK, LINE_LIMIT, TAIL_BYTES

STREAM_BYTES = 64 << 10
"""So many bytes of a stream say which one it is."""

_GZIP = b"\x1f\x8b"
_OTHERS = {b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh": "bzip2", b"PK\x03\x04": "unzip -p"}
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_MAGIC_BYTES = 6


class FileProblem(Exception):
    """Why a file, or the rest of one, cannot be ingested; others can."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Input:
    """One file, or standard input, being read.

    ``instance`` and ``first`` say which file it is: digests of device, inode and first line, of the first line alone;
    of a stream, twice that of its first 64 KiB. They are empty where there is no whole line yet. ``changed_ns`` is when
    it was last written, ``size`` its bytes as they lie there, 0 for a stream. ``grows``: a last line without an end may
    still be being written.
    """

    def __init__(self, path: str) -> None:
        """Open it. Raises FileProblem."""
        self.path = path
        try:
            self._raw: IO[bytes] = sys.stdin.buffer if path == STDIN else open(path, "rb")  # noqa: SIM115 - see close
        except OSError as error:
            raise FileProblem((error.strerror or str(error)).lower()) from None
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def _look(self) -> None:
        """Find out what it is."""
        try:
            status = os.fstat(self._raw.fileno())
            self._magic = self._raw.read(_MAGIC_BYTES)
        except OSError as error:
            raise FileProblem((error.strerror or str(error)).lower()) from None
        self._regular = stat.S_ISREG(status.st_mode) and self.path != STDIN
        self._packed = self._magic.startswith(_GZIP)
        self.size = status.st_size if self._regular else 0
        self.changed_ns = status.st_mtime_ns if self._regular else time.time_ns()
        self.grows = self._regular and not self._packed
        self._check(self._magic)
        self._begin()
        self.instance, self.first = self._identified(status)

    @property
    def name(self) -> str:
        """The path as events tell it."""
        return "/dev/stdin" if self.path == STDIN else os.path.abspath(self.path)

    def _begin(self) -> None:
        """Stand behind the magic bytes, whatever was read since."""
        self._at = 0
        self._kept = b"" if self._packed else self._magic
        self._unpacked: _Readable = self._raw
        if self._packed:
            self._unpacked = gzip.GzipFile(fileobj=_Again(self._magic, self._raw))  # type: ignore[call-overload]

    def _check(self, magic: bytes) -> None:
        for begin, tool in _OTHERS.items():
            if magic.startswith(begin):
                raise FileProblem(f"compressed: `{tool} -dc {self.path} | clusterlog ingest -` reads it")
        if magic.startswith(_WIDE):
            raise FileProblem(f"UTF-16: `iconv -f UTF-16 -t UTF-8 {self.path} | clusterlog ingest -` reads it")

    def _identified(self, status: os.stat_result) -> tuple[str, str]:
        """Reads as much as that takes, and keeps it for ``read``."""
        if not self._regular:
            begin = self._read_up_to(STREAM_BYTES, whole_line=False)
            digest = hashlib.sha256(begin).hexdigest()[:32] if begin else ""
            return digest, digest
        line, end, _ = self._read_up_to(LINE_LIMIT, whole_line=True).partition(b"\n")
        line = line.removesuffix(b"\r")
        if not end and not line.rstrip().endswith(b"}"):
            return "", ""
        place = status.st_dev.to_bytes(8, "little") + status.st_ino.to_bytes(8, "little")
        return hashlib.sha256(place + line).hexdigest()[:32], hashlib.sha256(line).hexdigest()[:32]

    def _read_up_to(self, most: int, *, whole_line: bool) -> bytes:
        kept = [self._kept]
        size = len(self._kept)
        while size < most and not (whole_line and b"\n" in kept[-1]):
            chunk = self._read(min(CHUNK, STREAM_BYTES if size < STREAM_BYTES else CHUNK))
            if not chunk:
                break
            kept.append(chunk)
            size += len(chunk)
        self._kept = b"".join(kept)
        return self._kept[:most]

    def _read(self, size: int) -> bytes:
        try:
            return self._unpacked.read(size)
        except EOFError:
            raise FileProblem("the compressed file ends in the middle") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise FileProblem(f"damaged: {error}") from None
        except OSError as error:
            raise FileProblem((error.strerror or str(error)).lower()) from None

    def read(self, size: int) -> bytes:
        """Up to about so many bytes, unpacked; empty at the end. Raises FileProblem."""
        chunk, self._kept = self._kept, b""
        chunk = chunk or self._read(size)
        self._at += len(chunk)
        return chunk

    def go_to(self, offset: int) -> bytes | None:
        """Go on at an offset of what is unpacked; gives the last bytes before it, ``None`` where the file ends earlier.

        A stream cannot go back. Raises FileProblem.
        """
        begin = max(0, offset - TAIL_BYTES)
        if self._regular and not self._packed:
            self._raw.seek(begin)
            self._kept, self._at = b"", begin
        elif begin < self._at:
            self._raw.seek(len(self._magic))
            self._begin()
        tail = b""
        while self._at < offset:
            chunk = self.read(CHUNK)
            if not chunk:
                return None
            tail = tail[-TAIL_BYTES:] + chunk
        over = self._at - offset
        if over:
            tail, self._kept, self._at = tail[:-over], tail[-over:] + self._kept, offset
        return tail[-TAIL_BYTES:]

    @property
    def position(self) -> int:
        """How far the file has been read, in bytes as they lie there."""
        return self._raw.tell() if self._regular else 0

    def close(self) -> None:
        """Let it go; standard input stays open."""
        if self.path != STDIN:
            self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()


class _Again:
    """A file of which some bytes have been read already, as ``gzip`` reads one."""

    def __init__(self, begin: bytes, rest: IO[bytes]) -> None:
        self._begin = begin
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        if not self._begin:
            return self._rest.read(size)
        begin, self._begin = self._begin[:size], self._begin[size:]
        return begin


def digest(data: bytes) -> str:
    """By what bytes are known again; never empty."""
    return hashlib.sha256(data).hexdigest()[:32]
