"""The bytes of a request, within limits: of one request, and of all that are under way."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from threading import Lock
from typing import Self

from starlette.datastructures import Headers

from clusterlog.web.faults import BUSY, ILLEGAL, TOO_LARGE, Fault

LONGEST = 32 << 20
"""Bytes of one request, as it is sent and unpacked. Senders mean to send some megabytes."""
MOST_BYTES = 4 * LONGEST
"""Bytes of all requests that are under way, as far as they have come in or been unpacked."""
MOST_REQUESTS = 512
PATIENCE_S = 60.0
"""How long a request may take to come in."""
RETRY_AFTER_S = 1

_GZIP = 31
_CHUNK = 1 << 20
_MOST_MEMBERS = 1_000
"""Of one gzip file: each costs a copy of what comes behind it, and a sender makes one, or one a buffer."""


class Load:
    """What is under way: taken for a request as it comes in, and given back when it is answered. Thread-safe."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_requests: int = MOST_REQUESTS) -> None:
        self._most = most_bytes
        self._free = most_requests
        self._lock = Lock()
        self.bytes = 0

    def begin(self) -> Share:
        """The share of one more request. Raises Fault if there are too many."""
        with self._lock:
            if not self._free:
                raise _too_much("too many requests are under way")
            self._free -= 1
        return Share(self)

    def take(self, size: int) -> None:
        """So many more bytes. Raises Fault where that is more than all may have."""
        with self._lock:
            if self.bytes + size > self._most:
                raise _too_much(f"{self.bytes >> 20} MiB are under way")
            self.bytes += size

    def end(self, size: int) -> None:
        """One request is over, which had taken so many."""
        with self._lock:
            self.bytes -= size
            self._free += 1


def _too_much(what: str) -> Fault:
    reason = f"{what}: send this again in {RETRY_AFTER_S} s"
    return Fault(429, BUSY, reason, {"Retry-After": str(RETRY_AFTER_S)})


class Share:
    """What one request has taken. A context manager that gives it back."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._taken = 0

    def take(self, size: int) -> None:
        """Take more. Raises Fault."""
        self._load.take(size)
        self._taken += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._load.end(self._taken)


async def received(headers: Headers, chunks: AsyncIterator[bytes], share: Share) -> bytes:
    """The body as it was sent. Raises Fault where it is too large, too slow, or too much with all the others."""
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > LONGEST:
        raise too_large(f"this one has {int(length):,}")
    kept: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for chunk in chunks:
                size += len(chunk)
                if size > LONGEST:
                    raise too_large("this one has more")
                share.take(len(chunk))
                kept.append(chunk)
    except TimeoutError:
        raise too_slow() from None
    return b"".join(kept)


def unpacked(headers: Headers, body: bytes, share: Share) -> bytes:
    """The body without its gzip. Raises Fault where that is too large, or none. It takes its time: not for a loop."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding in ("identity", ""):
        return body
    if coding != "gzip":
        raise Fault(415, ILLEGAL, f"Content-Encoding {coding[:40]!a} is not known here: send gzip, or plain")
    kept: list[bytes] = []
    size = members = 0
    try:
        while body:  # a gzip file may have several members, one after the other (RFC 1952, 2.2)
            members += 1
            if members > _MOST_MEMBERS:
                raise zlib.error(f"it has more than {_MOST_MEMBERS:,} members")
            unpacker = zlib.decompressobj(_GZIP)
            while not unpacker.eof:
                piece = unpacker.decompress(body, _CHUNK)
                body = unpacker.unconsumed_tail
                if not piece and not body and not unpacker.eof:
                    raise zlib.error("it ends in the middle")
                size += len(piece)
                if size > LONGEST:
                    raise too_large("this one has more when it is unpacked")
                share.take(len(piece))
                kept.append(piece)
            body = unpacker.unused_data
    except zlib.error as error:
        why = str(error).rpartition(": ")[2]  # in front of it stands which function of zlib says so
        raise Fault(400, ILLEGAL, f"the body is no gzip: {why}") from None
    return b"".join(kept)


def too_slow() -> Fault:
    """The answer to a request that does not come in."""
    return Fault(408, ILLEGAL, f"the request did not come in within {PATIENCE_S:.0f} s")


def too_large(what: str) -> Fault:
    """The answer to a request that is larger than one may be."""
    return Fault(413, TOO_LARGE, f"a request may have {LONGEST:,} bytes ({LONGEST >> 20} MiB), and {what}: send less")
