"""How a request of any framework is taken on: its headers judged by the rules in force, the rest left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from clusterlog.context import request as context
from clusterlog.context.carrier import admit
from clusterlog.context.request import Request
from clusterlog.integrations.rules import in_force

MARKER = "clusterlog.request"
"""Key of an ASGI scope or a WSGI environ: somebody further out has taken this request on. Its value is the Request."""


def admitted(headers: Mapping[str, Sequence[str]], peer: str | None) -> Request:
    """The request that came with these headers from this address.

    ``headers`` has lower-case names and all values of each: ``cookie`` and ``carrier.NAMES``; others are not looked at.
    ``peer`` is an IP address, ``None`` or empty for a Unix socket.
    """
    rules = in_force()
    session = ""
    if rules.session_cookie and "cookie" in headers:
        session = _cookie(headers["cookie"], rules.session_cookie)
    return admit(lambda name: headers.get(name, ()), peer, rules.trust, session=session)


def routed(request: Request, route: Callable[[], str]) -> None:
    """Let rules about routes ask which template answers, once that is known; the access event ends it.

    ``route`` may hold the framework's own objects, which a request else never does: where nobody asks it is let go.
    """
    if context.watching is not None:
        request.route = route


def _cookie(values: Sequence[str], wanted: str) -> str:
    """The value of one cookie (RFC 6265, 5.4); of several with one name the first, the most specific one."""
    for header in values:
        for pair in header.split(";"):
            name, _, value = pair.partition("=")
            if name.strip() == wanted:
                return value.strip().strip('"')[:4096]
    return ""
