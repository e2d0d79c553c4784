"""``/api/v1/control``: what ``control.bus.hub`` asks, done on the bus of the home."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from clusterlog.control.bus.base import MOST_MESSAGE, PATIENCE_S, Bus, Link
from clusterlog.control.bus.hub.protocol import HOLD_S, MOST_REQUEST, decoded, encoded, lease_told, members, present
from clusterlog.encode.compact import dumps
from clusterlog.errors import BusUnreachable, ClusterlogError, Conflict
from clusterlog.web.faults import BUSY, CONFLICT, ILLEGAL, JSON, PARSING, TOO_LARGE, UNAVAILABLE, Fault, known
from clusterlog.web.hub.cluster import Cluster
from clusterlog.web.intake.body import PATIENCE_S as COMING_IN_S
from clusterlog.web.intake.body import too_slow

MOST_CLUSTERS = 16
"""Name spaces of one hub: each has a thread and two links. One that nobody uses makes room."""
LONGEST_TTL_S = 86_400.0
_LONGEST_NAME = 128
_LONGEST_TEXT = 1024
_LONGEST_HOLD_S = 60.0
_AGAIN = {"Retry-After": "1"}

Result = TypeVar("Result")


class Hub:
    """The endpoints. ``bus`` gives the bus of a name space, and ``most`` may wait for news at the same time."""

    def __init__(self, bus: Callable[[str], Bus], most: int) -> None:
        self._bus = bus
        self._clusters: dict[str, Cluster] = {}
        self._opening = asyncio.Lock()
        self._threads = CapacityLimiter(2)
        self._free = most
        self._ended = False

    async def document(self, request: Request) -> Response:
        """``GET /document``: what is kept, and the bus's clock."""
        _parameters(request)
        kept = await self._asked(request, lambda link: link.read())
        return _told({"document": encoded(kept.document), "now_ns": kept.now_ns})

    async def write(self, request: Request) -> Response:
        """``PUT /document``: keep one in place of another. 409 where that is not what is kept."""
        _parameters(request)
        told = await _members(request)
        with _Malformed():
            document, instead_of = present(told.get("document")), decoded(told.get("instead_of"))
        await self._asked(request, lambda link: link.write(document, instead_of))
        return _told({})

    async def leases(self, request: Request) -> Response:
        """``GET /leases``: all of them."""
        _parameters(request)
        found = await self._asked(request, lambda link: link.leases())
        return _told({"leases": [lease_told(each) for each in found]})

    async def lease(self, request: Request) -> Response:
        """``PUT /leases``: say of a key what is to be known of it."""
        _parameters(request)
        told = await _members(request)
        with _Malformed():
            key, version, body = _text(told.get("key")), _text(told.get("version")), present(told.get("body"))
            ttl_s = _seconds(told.get("ttl_s"), LONGEST_TTL_S)
        await self._asked(request, lambda link: link.lease(key, body, ttl_s, version))
        return _told({})

    async def release(self, request: Request) -> Response:
        """``DELETE /leases?key=``: take one back."""
        key = _parameters(request, "key")["key"]
        await self._asked(request, lambda link: link.release(key))
        return _told({})

    async def leased(self, request: Request) -> Response:
        """``GET /leased?version=``: how many count under it."""
        version = _parameters(request, "version")["version"]
        return _told({"leased": await self._asked(request, lambda link: link.leased(version))})

    async def send(self, request: Request) -> Response:
        """``POST /messages``: send the body to everybody who listens."""
        _parameters(request)
        body = await _body(request, MOST_MESSAGE)
        await self._asked(request, lambda link: link.send(body))
        return _told({})

    async def notices(self, request: Request) -> Response:
        """``GET /notices?after=&hold=``: what is new, as soon as something is."""
        given = _parameters(request, "after", "hold")
        with _Malformed():
            hold_s = _seconds(float(given["hold"] or HOLD_S), _LONGEST_HOLD_S)
        cluster = await self._cluster(request)
        if self._free <= 0:
            raise Fault(429, BUSY, "too many wait for news here already: there is a limit so that others are answered")
        self._free -= 1
        try:
            answer = await _while_there(request, cluster.news(given["after"], hold_s))
        finally:
            self._free += 1
        if self._ended:
            raise Fault(503, UNAVAILABLE, "this server is ending", _AGAIN)
        return Response(answer, media_type=JSON)

    def end(self) -> None:
        """Let everybody go who waits: the server is to end."""
        self._ended = True
        for each in self._clusters.values():
            each.end()

    def close(self) -> None:
        """Let go of the bus, once nothing is asked any more."""
        for each in self._clusters.values():
            each.close()
        self._clusters.clear()

    async def _asked(self, request: Request, work: Callable[[Link], Result]) -> Result:
        cluster = await self._cluster(request)
        try:
            with cluster.in_use():
                async with asyncio.timeout(PATIENCE_S):  # for a thread: nobody waits for it any longer
                    return await to_thread.run_sync(cluster.ask, work, limiter=self._threads)
        except Conflict as conflict:
            raise Fault(409, CONFLICT, str(conflict)) from None
        except BusUnreachable as error:
            raise Fault(503, UNAVAILABLE, str(error), _AGAIN) from None
        except TimeoutError:
            raise Fault(503, BUSY, "the bus of this server is busy", _AGAIN) from None

    async def _cluster(self, request: Request) -> Cluster:
        name = request.query_params.get("cluster", "")
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            raise Fault(400, ILLEGAL, "cluster: expected the name of one, of 1 to 128 printable characters")
        async with self._opening:
            if self._ended:
                raise Fault(503, UNAVAILABLE, "this server is ending", _AGAIN)
            if name not in self._clusters:
                self._clusters[name] = await self._opened(name)
            return self._clusters[name]

    async def _opened(self, name: str) -> Cluster:
        if len(self._clusters) >= MOST_CLUSTERS:
            idle = [other for other, each in self._clusters.items() if each.idle_since is not None]
            if not idle:
                raise Fault(429, BUSY, f"a hub has {MOST_CLUSTERS} name spaces at most, and all of them are in use")
            longest = min(idle, key=lambda other: self._clusters[other].idle_since or 0.0)
            await to_thread.run_sync(self._clusters.pop(longest).close, limiter=self._threads)
        loop = asyncio.get_running_loop()
        try:
            return await to_thread.run_sync(lambda: Cluster(self._bus(name), loop), limiter=self._threads)
        except ClusterlogError as error:
            raise Fault(503, UNAVAILABLE, str(error), _AGAIN) from None


class _Malformed:
    """Makes a Fault of what was wrong with a value."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValueError):
            raise Fault(400, PARSING, str(error)) from None


async def _while_there(request: Request, answer: Coroutine[Any, Any, bytes]) -> bytes:
    """The answer, unless whoever asked goes away before it comes. Raises ClientDisconnect."""
    waits = asyncio.create_task(answer)
    goes = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({waits, goes}, return_when=asyncio.FIRST_COMPLETED)
        if waits.done():
            return waits.result()
        raise ClientDisconnect
    finally:
        waits.cancel()
        goes.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _parameters(request: Request, *names: str) -> dict[str, str]:
    """The parameters of these names, empty where they are not given. Raises Fault for others."""
    known(request, ("cluster", *names))
    with _Malformed():
        return {name: _text(request.query_params.get(name, "")) for name in names}


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError(f"expected a text of at most {_LONGEST_TEXT} characters")
    value.encode()  # half a surrogate is no text: raises UnicodeEncodeError, a ValueError
    return value


def _seconds(value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a number of seconds")
    if not 0 <= value <= most:  # as it is for what is no number
        raise ValueError(f"expected 0 to {most:,.0f} seconds")
    return float(value)


async def _members(request: Request) -> dict[str, Any]:
    content = await _body(request, MOST_REQUEST)
    with _Malformed():
        return members(content)


async def _body(request: Request, most: int) -> bytes:
    """The body of a request. Raises Fault for one that is too large or too slow."""
    length = request.headers.get("content-length", "")
    kept: list[bytes] = []
    size = int(length) if length.isdecimal() and len(length) < 20 else 0
    if size > most:
        raise _too_large(most)
    size = 0
    try:
        async with asyncio.timeout(COMING_IN_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise _too_large(most)
                kept.append(chunk)
    except TimeoutError:
        raise too_slow() from None
    return b"".join(kept)


def _too_large(most: int) -> Fault:
    return Fault(413, TOO_LARGE, f"this may have {most:,} bytes, and has more")


def _told(document: dict[str, Any]) -> Response:
    return Response(dumps(document), media_type=JSON)
