"""``/api/v1``: a query as JSON, and its answer as lines of JSON; what ``store.remote`` asks.

A stream of lines ends with one that says so and how: an answer without it was cut off. What was answered to a sender
before a question came is found by it.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from clusterlog.encode.compact import dumps
from clusterlog.errors import ClusterlogError, Incomplete, QueryError, StoreUnavailable
from clusterlog.settings.servers.hosts import is_loopback
from clusterlog.store.base import Found, Sequences
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Query
from clusterlog.store.wire import LONGEST, decoded, stamp
from clusterlog.web.courtesies import told
from clusterlog.web.faults import ILLEGAL, PARSING, TOO_LARGE, UNAVAILABLE, Fault, complain, internal, known
from clusterlog.web.intake.body import PATIENCE_S, too_slow

NDJSON = "application/x-ndjson"
THREADS = 8
"""Questions that are answered at once; the others wait."""
CHUNK = 64 << 10
"""Bytes that are sent at a time, about."""
EVERY_S = 1.0
"""Seconds after which less is sent, too: who hears nothing for long takes the connection for dead."""
_LEVEL, _GZIP = 1, 31

Lines = Iterator[bytes]


class Api:
    """Answers questions to a store."""

    def __init__(self, store: EmbeddedStore) -> None:
        self._store = store
        self._limiter = CapacityLimiter(THREADS)

    async def search(self, request: Request) -> Response:
        """``POST /api/v1/search``: the documents, one a line, and a last line ``{"total", "next"}``.

        ``next`` is the ``after`` of a query that goes on, ``null`` at the end. With ``placed`` each line is ``[time,
        id, document]``, by which it is ordered, the time in nanoseconds. With ``bytes`` an answer ends before it has so
        many, and goes on with ``next``. ``total=false`` saves the counting of what a limit has left out.
        """
        known(request, ("placed", "total", "bytes"))
        query = await _query(request)
        placed, counted = _switch(request, "placed", False), _switch(request, "total", True)
        most = _amount(request, "bytes")
        return self._streamed(request, lambda: self._found(query, most, placed=placed, counted=counted))

    async def count(self, request: Request) -> Response:
        """``POST /api/v1/count``: how many events match. Damaged files are told beside it, as ``problem``."""
        known(request, ())
        query = await _query(request)
        return told(await to_thread.run_sync(self._counted, query, limiter=self._limiter))

    async def sequences(self, request: Request) -> Response:
        """``GET /api/v1/sequences/{instance}``: which numbers of an instance are stored."""
        instance = request.path_params["instance"]
        return told(await to_thread.run_sync(self._sequences, instance, limiter=self._limiter))

    async def audit(self, request: Request) -> Response:
        """``GET /api/v1/audit``: the same of every instance, by all that can be read; ``progress`` lines in between."""
        return self._streamed(request, self._audited)

    def _fresh(self) -> EmbeddedStore:
        """The store, with all in it that was answered so far."""
        with suppress(StoreUnavailable):  # the index cannot be written: the events themselves are looked through
            self._store.flush()
        return self._store

    def _found(self, query: Query, most: int | None, *, placed: bool, counted: bool) -> Lines:
        store = self._fresh()
        sent = size = 0
        last: Found | None = None
        found = store.find(query)
        ended = True
        end: dict[str, Any] = {}
        try:
            for each in found:
                size += len(each.body)
                if most is not None and sent and size > most:
                    ended = False
                    break
                body = each.body.replace(b"\n", b" ") if b"\n" in each.body else each.body
                yield b"[%d,%b,%b]\n" % (each.key[0], dumps(each.key[1]), body) if placed else body + b"\n"
                sent, last = sent + 1, each
        except Incomplete as error:
            end["problem"] = str(error)
        whole = ended and (query.limit is None or sent < query.limit)
        total = sent if whole and query.after is None else None
        if total is None and counted:
            count = self._counted(query)
            total = count["count"]
            end |= {"problem": count["problem"]} if "problem" in count else {}
        after = None if whole or last is None else [stamp(last.key[0]), last.key[1]]
        yield dumps({"total": total, "next": after, **end}) + b"\n"

    def _counted(self, query: Query) -> dict[str, Any]:
        try:
            return {"count": self._fresh().count(query)}
        except Incomplete as error:
            return {"count": None, "problem": str(error)}

    def _sequences(self, instance: str) -> dict[str, Any]:
        return _listed(self._fresh().sequences(instance))

    def _audited(self) -> Lines:
        """An audit says how far it is long before it says anything else, so it runs in a thread of its own."""
        lines: SimpleQueue[bytes | Exception | None] = SimpleQueue()
        gone = Event()

        def advance(done: int, total: int) -> None:
            if gone.is_set():
                raise StoreUnavailable("nobody waits for it any more")
            lines.put(dumps({"progress": [done, total]}) + b"\n")

        def run() -> None:
            try:
                for each in self._fresh().audit(advance):
                    lines.put(dumps(_listed(each)) + b"\n")
                lines.put(None)
            except Exception as error:  # of whatever kind: somebody waits for a last line
                lines.put(error)

        Thread(target=run, name="clusterlog-audit", daemon=True).start()
        instances = 0
        try:
            while isinstance(line := lines.get(), bytes):
                instances += not line.startswith(b'{"progress"')
                yield line
        finally:
            gone.set()
        if line is not None:
            raise line
        yield dumps({"instances": instances}) + b"\n"

    def _streamed(self, request: Request, begin: Callable[[], Lines]) -> Response:
        pack = "gzip" in request.headers.get("accept-encoding", "") and not _is_here(request)
        chunks = _chunks(_ended(begin), pack=pack)

        async def stream() -> AsyncIterator[bytes]:
            while chunk := await to_thread.run_sync(next, chunks, b"", limiter=self._limiter):
                yield chunk

        return StreamingResponse(stream(), headers={"Content-Encoding": "gzip"} if pack else {}, media_type=NDJSON)


def _ended(begin: Callable[[], Lines]) -> Lines:
    """The lines; what goes wrong after the first byte has been sent is the last of them."""
    try:
        yield from begin()
    except ClusterlogError as error:
        yield dumps({"error": {"type": UNAVAILABLE, "reason": str(error)}}) + b"\n"
    except Exception as error:
        complain(error)
        yield dumps({"error": {"type": UNAVAILABLE, "reason": internal()}}) + b"\n"


def _chunks(lines: Lines, *, pack: bool, clock: Callable[[], float] = time.monotonic) -> Iterator[bytes]:
    """The lines in pieces worth sending, none of them empty; few lines are sent as well after ``EVERY_S``."""
    packer = zlib.compressobj(_LEVEL, wbits=_GZIP) if pack else None
    kept: list[bytes] = []
    size, due = 0, clock() + EVERY_S
    for line in lines:
        kept.append(line)
        size += len(line)
        if size >= CHUNK or clock() >= due:
            piece = b"".join(kept)
            if packer is not None:
                piece = packer.compress(piece) + (b"" if size >= CHUNK else packer.flush(zlib.Z_SYNC_FLUSH))
            kept, size, due = [], 0, clock() + EVERY_S
            if piece:
                yield piece
    rest = b"".join(kept)
    yield rest if packer is None else packer.compress(rest) + packer.flush()


def _is_here(request: Request) -> bool:
    """Whether whoever asks is on this machine, where packing costs more than it saves."""
    return request.client is not None and is_loopback(request.client.host)


async def _query(request: Request) -> Query:
    """The query of a request. Raises Fault."""
    kept: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > LONGEST:
                    raise Fault(413, TOO_LARGE, f"a query may have {LONGEST:,} bytes, and this one has more")
                kept.append(chunk)
    except TimeoutError:
        raise too_slow() from None
    try:
        return decoded(b"".join(kept))
    except QueryError as error:
        raise Fault(400, PARSING, str(error)) from None


def _switch(request: Request, name: str, default: bool) -> bool:
    value = request.query_params.get(name, str(default).lower())
    if value not in ("true", "false", ""):
        raise Fault(400, ILLEGAL, f"{name}: expected true or false")
    return value != "false"


def _amount(request: Request, name: str) -> int | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdecimal() or len(value) > 15:
        raise Fault(400, ILLEGAL, f"{name}: expected a number of bytes")
    return int(value)


def _listed(found: Sequences) -> dict[str, Any]:
    return {
        "instance": found.instance,
        "stored": found.stored,
        "twice": found.twice,
        "unreadable": found.unreadable,
    }
