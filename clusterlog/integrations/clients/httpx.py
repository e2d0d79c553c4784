"""httpx, synchronous and asynchronous: one call for each request that a client hands to its transport.

``_send_single_request`` is where every request passes, each redirect and each answer to a challenge as well,
whatever transport is mounted. Our headers are taken off again afterwards: the next hop is made of this request, and
may go to a host that must not know them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import MethodType
from typing import TYPE_CHECKING, Any

from clusterlog.context.patching import Patch
from clusterlog.integrations.clients.call import Call, Cap, under_way
from clusterlog.integrations.instrumentation import Instrumentation, patched

if TYPE_CHECKING:
    import httpx

_SEND = "_send_single_request"
_LOGGERS = ("httpx", "httpcore")


def put_into(client: httpx.Client | httpx.AsyncClient) -> None:
    """Instrument one client. Idempotent."""
    if _SEND in vars(client):
        return
    import httpx

    wrap = _asynchronous if isinstance(client, httpx.AsyncClient) else _synchronous
    send = wrap(getattr(type(client), _SEND), None)
    setattr(client, _SEND, MethodType(send, client))
    Cap(*_LOGGERS)


def put_into_all() -> Instrumentation:
    """Instrument every client there is and will be."""
    return Instrumentation(
        "httpx",
        patched("httpx", (f"httpx:Client.{_SEND}", _synchronous), (f"httpx:AsyncClient.{_SEND}", _asynchronous)).remove,
        Cap(*_LOGGERS).remove,
    )


def _synchronous(original: Callable[..., httpx.Response], patch: Patch | None) -> Any:
    @wraps(original)
    def send(self: httpx.Client, request: httpx.Request) -> httpx.Response:
        call = _call(request) if patch is None or patch.on else None
        if call is None:
            return original(self, request)
        with call:
            added = _add(call, request)
            try:
                response = original(self, request)
            finally:
                _take_off(added, request)
            call.status = response.status_code
        return response

    return send


def _asynchronous(original: Callable[..., Any], patch: Patch | None) -> Any:
    @wraps(original)
    async def send(self: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        call = _call(request) if patch is None or patch.on else None
        if call is None:
            return await original(self, request)  # type: ignore[no-any-return]
        with call:
            added = _add(call, request)
            try:
                response = await original(self, request)
            finally:
                _take_off(added, request)
            call.status = response.status_code
        return response  # type: ignore[no-any-return]

    return send


def _call(request: httpx.Request) -> Call | None:
    if under_way():
        return None
    url = request.url
    return Call(request.method, url.scheme, url.host, url.port, url.path)


def _add(call: Call, request: httpx.Request) -> list[str]:
    found = call.headers(request.headers, request.headers.get("traceparent"))
    for name, value in found:
        request.headers[name] = value
    return [name for name, _ in found]


def _take_off(names: list[str], request: httpx.Request) -> None:
    for name in names:
        request.headers.pop(name, None)
