"""ASGI: one request context, one access event and one ``X-Request-ID`` for each HTTP request and WebSocket.

The context is entered at the start and never taken back: the server's access line and its traceback come after the
application. On a kept-alive connection the next request may inherit it (python/cpython#140947), and enters its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from time import perf_counter_ns
from typing import Any

from clusterlog.context.request import Request
from clusterlog.integrations import lines
from clusterlog.integrations.access import CLIENT_LEFT, Access
from clusterlog.integrations.admission import MARKER, admitted, routed

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_WANTED = frozenset((b"x-request-id", b"traceparent", b"tracestate", b"cookie", b"clusterlog-debug", b"baggage"))
_ORDERLY = frozenset((1000, 1001, 1005, 1012))
_ABNORMAL = 1006
_NEVER_SENT = {403: b"Forbidden", 500: b"Internal Server Error"}

serving: set[Request] = set()
"""The requests being answered here at this moment: a WSGI application inside of one of them answers the same one."""


class Middleware:
    """An ASGI application around another one."""

    __slots__ = ("app",)

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        await serve(self.app, scope, receive, send)


async def serve(app: Application, scope: Scope, receive: Receive, send: Send) -> None:
    """Run ``app`` for one scope. What a middleware further out has taken on, and what is no request, passes through."""
    kind = scope["type"]
    if kind not in ("http", "websocket") or MARKER in scope:
        if kind == "lifespan":
            lines.settle()
        await app(scope, receive, send)
        return
    lines.settle()
    exchange: HttpExchange | WebSocketExchange
    exchange = HttpExchange(scope, receive, send) if kind == "http" else WebSocketExchange(scope, receive, send)
    try:
        await app(scope, exchange.receive, exchange.send)
    except Exception as error:
        await exchange.raised(error)
        raise
    except BaseException:
        exchange.abandoned()
        raise
    else:
        await exchange.returned()
    finally:
        request = exchange.access.request
        request.end()
        serving.discard(request)


def _accessed(scope: Scope, send: Send, method: str) -> Access:
    """Take the request on: judge its headers, enter its context, mark the scope."""
    found: dict[str, list[str]] = {}
    for name, value in scope.get("headers") or ():
        if name in _WANTED:
            found.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    request = admitted(found, _peer(scope, send))
    routed(request, partial(route, scope))
    scope[MARKER] = request
    serving.add(request)
    return Access(request, method, str(scope.get("path", "")))


def _peer(scope: Scope, send: Send) -> str | None:
    """The address of the connection's other end.

    uvicorn replaces it in the scope by what a proxy on this machine says of its client; the connection knows better.
    """
    try:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        known = transport.get_extra_info("peername") if transport is not None else None
        if isinstance(known, tuple):
            return str(known[0])
        client = scope.get("client")
        return str(client[0]) if client else None
    except Exception:  # somebody else's objects
        return "unknown"


def _with_id(message: Message, request: Request) -> Message:
    """A response's first message with our id on it, and no other one."""
    headers = [pair for pair in message.get("headers") or () if pair[0].lower() != b"x-request-id"]
    headers.append((b"x-request-id", request.id.encode("latin-1")))
    return {**message, "headers": headers}


def route(scope: Scope) -> str:
    """The template of the route that answers, where the framework leaves it in the scope (Starlette, FastAPI)."""
    try:
        # FastAPI leaves the route as it was declared; with the prefixes of its routers it stands in another place.
        matched = (scope.get("fastapi") or {}).get("effective_route_context") or scope.get("route")
        if matched is None:
            return ""
        mounted = ""
        if "app_root_path" in scope:  # set by the first mount on the way
            mounted = scope["root_path"][len(scope["app_root_path"]) :]
            if hasattr(matched, "routes"):  # the mount itself, around something that does not route
                return str(mounted)
        return f"{mounted}{getattr(matched, 'path_format', None) or getattr(matched, 'path', '')}"
    except Exception:  # somebody else's objects
        return ""


class HttpExchange:
    """One HTTP request and what is sent on it.

    See the ASGI specification, HTTP and WebSocket message format, and its extensions ``http.response.trailers``,
    ``pathsend`` and ``zerocopysend``.
    """

    __slots__ = ("_left", "_receive", "_scope", "_send", "_trailers", "access", "complete", "started")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._left = False
        self._trailers = False
        self.started = False
        self.complete = False
        self.access = _accessed(scope, send, str(scope.get("method", "")))

    async def receive(self) -> Message:
        """What the client sends, watched for its leaving."""
        message = await self._receive()
        if message["type"] == "http.disconnect":  # which after the answer is the usual end, and changes nothing
            self._left = True
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on; the last one ends the access event."""
        kind = message["type"]
        last = False
        if kind == "http.response.body":
            last = self._body(len(message.get("body") or b""), message)
        elif kind == "http.response.start":
            message = self._start(message)
        elif kind == "http.response.pathsend":
            self._file(message)
            last = not self._trailers
        elif kind == "http.response.zerocopysend":
            last = self._body(message.get("count"), message)
        elif kind == "http.response.trailers":
            last = not message.get("more_trailers", False)
        try:
            await self._send(message)
        except OSError:  # what a server raises when the client has left (specification 2.4)
            self._left = True
            raise
        if last and not self.complete:
            self.complete = True
            self._tell()

    def _start(self, message: Message) -> Message:
        if message["status"] < 200:
            return message
        self.started = True
        self.access.status = message["status"]
        self._trailers = bool(message.get("trailers"))
        return _with_id(message, self.access.request)

    def _body(self, size: int | None, message: Message) -> bool:
        if self.access.method == "HEAD" or self._client_left():
            size = 0
        if size is None or self.access.size is None:
            self.access.size = None
        else:
            self.access.size += size
        return not message.get("more_body", False) and not self._trailers

    def _file(self, message: Message) -> None:
        try:
            self.access.size = 0 if self.access.method == "HEAD" else os.stat(message["path"]).st_size
        except (OSError, ValueError):
            self.access.size = None

    async def raised(self, error: Exception) -> None:
        """The application gave up. Where nothing was sent, the 500 is ours, for the server's own has no id."""
        if not self.started and not self._client_left():
            # Whole for the client, by its length, but not ended: a server that saw the end might not log the exception.
            await self._answer(500, ended=False)
        if not self.complete:
            if not self._client_left() or not isinstance(error, OSError):
                self.access.failure = error
            self._end("")

    async def returned(self) -> None:
        """The application is done; its answer should be."""
        if self.complete:
            return
        if not self.started and not self._client_left():
            self.access.reason = "no response"
            await self._answer(500, ended=True)
        if not self.complete:
            self._end("response incomplete")

    def abandoned(self) -> None:
        """The application was cancelled, or the process is ending."""
        if not self.complete:
            self._end("cancelled")

    async def _answer(self, status: int, *, ended: bool) -> None:
        body = _NEVER_SENT[status]
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        try:
            await self.send({"type": "http.response.start", "status": status, "headers": headers})
            await self.send({"type": "http.response.body", "body": body, "more_body": not ended})
        except Exception:  # the server takes nothing any more; the event is told all the same
            return

    def _client_left(self) -> bool:
        # uvicorn drops what is sent to a client that has left without a word; its request cycle knows.
        return self._left or bool(getattr(getattr(self._send, "__self__", None), "disconnected", False))

    def _end(self, reason: str) -> None:
        self.complete = True
        self.access.reason = self.access.reason or reason
        self._tell()

    def _tell(self) -> None:
        access = self.access
        access.route = route(self._scope)
        if self._client_left():
            access.client_left()
        elif access.status >= 500 and access.failure is None:
            # A framework answers 500 while it handles the exception it will raise again: this is its cause.
            access.failure = sys.exception()
        access.tell()


class WebSocketExchange:
    """One WebSocket, from its handshake to its closing; the access event is told when the application returns."""

    __slots__ = ("_accepted", "_receive", "_scope", "_send", "access")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._accepted = False
        self.access = _accessed(scope, send, "GET")
        self.access.size = None

    async def receive(self) -> Message:
        """What the client sends, watched for its closing."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            if self._accepted:
                self._closed(message.get("code") or 1005)
            elif not self.access.status:
                self.access.client_left()
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one answers the handshake."""
        kind = message["type"]
        if kind == "websocket.accept":
            message = _with_id(message, self.access.request)
            self._accepted = True
            self.access.status = 101
        elif kind == "websocket.http.response.start":
            message = _with_id(message, self.access.request)
            self.access.status = message["status"]
        elif kind == "websocket.close":
            if not self._accepted and not self.access.status:
                await self._refuse(403, message)
                return
            self._closed(message.get("code") or 1000)
        try:
            await self._send(message)
        except OSError:
            self._closed(_ABNORMAL)
            raise

    async def _refuse(self, status: int, otherwise: Message | None) -> None:
        """Refuse the handshake with a response that has our id, where the server can send one.

        The extension is called WebSocket Denial Response. Elsewhere the server's own has the same status.
        """
        self.access.status = status
        if "websocket.http.response" in (self._scope.get("extensions") or {}):
            body = _NEVER_SENT[status]
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
            await self.send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            await self.send({"type": "websocket.http.response.body", "body": body})
        elif otherwise is not None:
            await self._send(otherwise)

    def _closed(self, code: int) -> None:
        if self.access.close_code is None:
            self.access.close_code = code
            self.access.ended_ns = perf_counter_ns()

    async def raised(self, error: Exception) -> None:
        """The application gave up. How the server ends an open connection then is its own affair, and not known."""
        if not isinstance(error, OSError) or self.access.close_code != _ABNORMAL:
            self.access.failure = error
        await self._finish("")

    async def returned(self) -> None:
        """The application is done."""
        await self._finish("" if self.access.status else "no response")

    def abandoned(self) -> None:
        """The application was cancelled, or the process is ending."""
        self.access.reason = self.access.reason or "cancelled"
        self._tell()

    async def _finish(self, reason: str) -> None:
        access = self.access
        if not access.status and not access.reason:
            access.reason = reason
            try:
                await self._refuse(500, None)
            except Exception:  # the server takes nothing any more
                access.status = 500
        self._tell()

    def _tell(self) -> None:
        access = self.access
        code = access.close_code
        if self._accepted and code is not None and not access.reason:
            if code == _ABNORMAL:
                access.reason = CLIENT_LEFT
            elif code < 3000 and code not in _ORDERLY:
                access.reason = f"closed with {code}"
        access.route = route(self._scope)
        access.tell()
