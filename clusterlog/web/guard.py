"""The door: to whom it is open, before anything of a request but its headers is looked at."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clusterlog.web.faults import SECURITY, Fault
from clusterlog.web.tokens import Right, Tokens

RIGHT = "clusterlog.right"
"""Where in a request's scope stands what its token gives the right to."""


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

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Elastic-Product"] = "Elasticsearch"
            await send(message)

        headers = Headers(scope=scope)
        try:
            scope[RIGHT] = self._admitted(headers)
        except Fault as fault:
            await fault.response()(scope, receive, marked)
            return
        await self._app(scope, receive, marked)

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


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).strip("[]")
