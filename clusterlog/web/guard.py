"""The door: to whom it is open, before anything of a request but its headers is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clusterlog.web.faults import SECURITY, Fault
from clusterlog.web.tokens import Right, Tokens

RIGHT = "clusterlog.right"
"""Where in a request's scope stands what its token gives the right to."""

_ENDED = "clusterlog.ended"
"""There, whether all of the request's body has come in."""

DRAINED_BYTES = 32 << 20
"""What is read, and thrown away, of the body of a request that is refused by its headers: who is still sending does not
read an answer, and would see a broken connection in its place."""
DRAIN_S = 10.0


class Guard:
    """Lets requests to ``app`` that have a token of ours, and puts ``X-Elastic-Product`` on every answer.

    ``names`` are the hosts, in lower case and without a port, that a request may be meant for; without them, any. That
    is for a server on loopback: a page in somebody's browser can make the browser's name for itself lead there (DNS
    rebinding), but not change the ``Host`` it sends.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens, names: Collection[str] = ()) -> None:
        self._app = app
        self._tokens = tokens
        self._names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def incoming() -> Message:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body"):
                scope[_ENDED] = True
            return message

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Elastic-Product"] = "Elasticsearch"
            await send(message)

        headers = Headers(scope=scope)
        try:
            scope[RIGHT] = self._admitted(headers)
        except Fault as fault:
            await drain(scope, incoming)
            await fault.response()(scope, incoming, marked)
            return
        await self._app(scope, incoming, marked)

    def _admitted(self, headers: Headers) -> Right:
        host = _without_port(headers.get("host", "").lower())
        if self._names and host not in self._names:
            names = ", ".join(sorted(self._names))
            raise Fault(421, SECURITY, f"this server is {names} and not {host[:80]!a}: ask it by one of its names")
        shown = headers.get("authorization", "")
        right = self._tokens.right(shown) if shown else None
        if right is None:
            what = "this token is none of this server's" if shown else "a token is needed"
            reason = f"{what}: run/serve.json in its home holds them, one to write, one to read"
            raise Fault(401, SECURITY, reason, {"WWW-Authenticate": 'Basic realm="clusterlog", Bearer, ApiKey'})
        return right


def needs(scope: Scope, *rights: Right) -> None:
    """Raise Fault unless the request's token gives one of these rights."""
    if scope[RIGHT] not in rights:
        wanted = " or ".join(rights)
        raise Fault(403, SECURITY, f"the token may {scope[RIGHT]}, and this needs one that may {wanted}")


async def drain(scope: Scope, receive: Receive) -> None:
    """Read over what is left of the body of a request that is refused, unless its sender waits to be asked for it."""
    if "expect" in Headers(scope=scope):
        return
    left = DRAINED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while left > 0 and not scope.get(_ENDED):
                left -= len((await receive()).get("body", b""))


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).strip("[]")
