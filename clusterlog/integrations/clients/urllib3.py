"""urllib3: one call for each request that a connection pool sends, so that each retry and each redirect is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from types import MethodType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from clusterlog.context.patching import Patch
from clusterlog.integrations.clients.call import Call, Cap, under_way
from clusterlog.integrations.instrumentation import Instrumentation, patched

if TYPE_CHECKING:
    import urllib3

_SEND = "_make_request"
_LOGGERS = ("urllib3",)


def put_into(manager: urllib3.PoolManager) -> None:
    """Instrument one pool manager with the pools it has and will get. Idempotent."""
    if "connection_from_pool_key" in vars(manager):
        return

    def connection_from_pool_key(self: urllib3.PoolManager, *args: Any, **named: Any) -> Any:
        pool = type(self).connection_from_pool_key(self, *args, **named)
        if _SEND not in vars(pool):
            setattr(pool, _SEND, MethodType(_sending(getattr(type(pool), _SEND), None), pool))
        return pool

    manager.connection_from_pool_key = MethodType(connection_from_pool_key, manager)  # type: ignore[method-assign]
    Cap(*_LOGGERS)


def put_into_all() -> Instrumentation:
    """Instrument every pool there is and will be."""
    done = patched("urllib3", (f"urllib3.connectionpool:HTTPConnectionPool.{_SEND}", _sending))
    return Instrumentation("urllib3", done.remove, Cap(*_LOGGERS).remove)


def _sending(original: Callable[..., Any], patch: Patch | None) -> Any:
    @wraps(original)
    def send(self: Any, conn: Any, method: str, url: str, *args: Any, **named: Any) -> Any:
        # Of the two majors only this much is alike: the body and the headers come by name.
        call = _call(self, method, url) if patch is None or patch.on else None
        if call is None or "headers" not in named:
            return original(self, conn, method, url, *args, **named)
        with call:
            named["headers"] = _with_ours(call, named["headers"])
            response = original(self, conn, method, url, *args, **named)
            call.status = response.status
        return response

    return send


def _call(pool: Any, method: str, target: str) -> Call | None:
    if under_way():
        return None
    try:
        url = urlsplit(target)
        if url.scheme:  # the whole URL is what a proxy is asked for
            return Call(method, url.scheme, url.hostname or "", url.port, unquote(url.path))
        return Call(method, pool.scheme, pool.host.strip("[]"), pool.port, unquote(url.path))
    except ValueError:
        return None


def _with_ours(call: Call, headers: Mapping[str, str] | None) -> Mapping[str, str]:
    """A copy with ours: the caller's own goes into the next attempt."""
    values = {str(name).lower(): name for name in headers or ()}
    there = values.get("traceparent")
    found = call.headers(values, str(headers[there]) if headers and there else None)
    if headers is None:
        return dict(found)
    copied: Any = headers.copy() if hasattr(headers, "copy") else dict(headers)
    for name, value in found:
        copied[name] = value
    return copied  # type: ignore[no-any-return]
