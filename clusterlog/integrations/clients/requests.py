"""requests: one call for each request that an adapter sends, each redirect and each answer to a challenge as well.

Our headers are taken off again afterwards: the next hop is a copy of this request, and may go to a host that must not
know them. What the adapter does below, with urllib3, retries included, belongs to the call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import MethodType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from clusterlog.context.patching import Patch
from clusterlog.integrations.clients.call import Call, Cap, under_way
from clusterlog.integrations.instrumentation import Instrumentation, patched

if TYPE_CHECKING:
    import requests
    from requests.adapters import BaseAdapter

_LOGGERS = ("requests", "urllib3")


def put_into(session: requests.Session) -> None:
    """Instrument one session with the adapters it has and will get. Idempotent."""
    if "get_adapter" in vars(session):
        return

    def get_adapter(self: requests.Session, *args: Any, **named: Any) -> BaseAdapter:
        adapter = type(self).get_adapter(self, *args, **named)
        if "send" not in vars(adapter):
            send = _sending(type(adapter).send, None)
            adapter.send = MethodType(send, adapter)  # type: ignore[method-assign]
        return adapter

    session.get_adapter = MethodType(get_adapter, session)  # type: ignore[method-assign]
    Cap(*_LOGGERS)


def put_into_all() -> Instrumentation:
    """Instrument every session there is and will be."""
    done = patched("requests", ("requests.adapters:HTTPAdapter.send", _sending))
    return Instrumentation("requests", done.remove, Cap(*_LOGGERS).remove)


def _sending(original: Callable[..., requests.Response], patch: Patch | None) -> Any:
    @wraps(original)
    def send(self: Any, request: requests.PreparedRequest, *args: Any, **named: Any) -> requests.Response:
        call = _call(request) if patch is None or patch.on else None
        if call is None:
            return original(self, request, *args, **named)
        with call:
            added = call.headers(request.headers, request.headers.get("traceparent"))
            request.headers.update(added)
            try:
                response = original(self, request, *args, **named)
            finally:
                for name, _ in added:
                    request.headers.pop(name, None)
            call.status = response.status_code
        return response

    return send


def _call(request: requests.PreparedRequest) -> Call | None:
    if under_way():
        return None
    try:
        url = urlsplit(request.url or "")
        return Call(request.method or "", url.scheme, url.hostname or "", url.port, unquote(url.path))
    except ValueError:  # the adapter will say what is wrong with it
        return None
