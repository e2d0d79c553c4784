"""Sessions that outlive the node that began them, for any ASGI application: what is known of one lies elsewhere."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol

import clusterlog

COOKIE = "shop_session"
LIFETIME_S = 24 * 3600
_ID = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Kept(Protocol):
    """Where sessions are kept: what Redis has of it."""

    async def get(self, name: str) -> bytes | None:
        """What is kept under a name."""

    async def set(self, name: str, value: str, *, ex: int) -> Any:
        """Keep it so many seconds."""


class Sessions:
    """Middleware: each visitor has a session, whichever of the nodes answers, ``node`` being this one.

    ``scope["session"]`` is a dict that is kept when the answer begins. Where it cannot be, the shop goes on
    without: that is logged, and nobody is turned away.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], kept: Kept, node: str) -> None:
        self._app = app
        self._kept = kept
        self._node = node
        self._log = clusterlog.get_logger("shop.sessions")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request within its session."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        known = _cookie(scope)
        session_id = known or secrets.token_urlsafe(24)
        session = await self._found(session_id) if known else {}
        scope["session"] = session
        self._visited(session)
        if not known:
            send = _with_cookie(send, session_id)

        async def kept_first(message: Message) -> None:
            # Before the answer leaves: whoever has it may be at another node before this one has come to its end.
            if message["type"] == "http.response.start":
                await self._keep(session_id, session)
            await send(message)

        await self._app(scope, receive, kept_first)

    def _visited(self, session: dict[str, Any]) -> None:
        session["visits"] = session.get("visits", 0) + 1
        before = session.get("node", self._node)
        session["node"] = self._node
        if before != self._node:
            self._log.warning("session taken over", before=before, visits=session["visits"])

    async def _found(self, session_id: str) -> dict[str, Any]:
        try:
            found = await self._kept.get(f"session:{session_id}")
        except Exception as error:
            self._log.warning("sessions cannot be read", reason=str(error))
            return {}
        return json.loads(found) if found else {}

    async def _keep(self, session_id: str, session: dict[str, Any]) -> None:
        try:
            await self._kept.set(f"session:{session_id}", json.dumps(session), ex=LIFETIME_S)
        except Exception as error:
            self._log.warning("sessions cannot be kept", reason=str(error))


def _cookie(scope: Scope) -> str:
    """The session that the visitor says to have; empty if that cannot be one."""
    written = b"; ".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    try:
        found = SimpleCookie(written).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None and _ID.fullmatch(found.value) else ""


def _with_cookie(send: Send, session_id: str) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            cookie = f"{COOKIE}={session_id}; Path=/; Max-Age={LIFETIME_S}; HttpOnly; SameSite=Lax"
            message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie.encode())]
        await send(message)

    return sent
