"""The token by which a request's escalation follows it to other services: short, signed, for one request, not for long.

``<key id>.<payload>.<signature>``, base64url. Without a valid signature nothing of it is read, and nothing is kept of
what is refused: a flood of forged ones costs the time to refuse them.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable
from dataclasses import dataclass
from time import time

from clusterlog.control.canonical import canonical, plain
from clusterlog.control.rules.rule import level_name, level_number
from clusterlog.control.signing.keys import Key
from clusterlog.errors import Rejected

LIFE_S = 30.0
"""A token is good for so long after it was made; a request that calls later gets a new one while its rule holds."""
LINES = 10_000
"""So many lines a request may say by one token in each process, where its rule names no limit."""
_LONGEST = 1024
_FORM = re.compile(r"([0-9a-f]{8})\.([A-Za-z0-9_-]{1,900})\.([A-Za-z0-9_-]{43})").fullmatch


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token says: this ``request`` says ``level`` on ``logger`` and below, by ``rule``, at most ``lines`` each.

    ``expires_s`` is wall clock, for the other side; there a grant never holds for longer than ``LIFE_S``.
    """

    request: str
    rule: str
    logger: str
    level: int
    lines: int
    expires_s: float


class Tokens:
    """Makes and reads the tokens of one cluster. Safe from any thread; ``refused`` counts what was no token of ours."""

    def __init__(self, keys: tuple[Key, ...], cluster: str, clock: Callable[[], float] = time) -> None:
        """``keys``: the first one signs, all verify; never empty."""
        self._own = keys[0]
        self._keys = {key.id: key for key in keys}
        self._about = b"clusterlog escalation\0" + cluster.encode("utf-8", "surrogatepass") + b"\0"
        self._clock = clock
        self.refused = 0

    def made(self, grants: tuple[Grant, ...]) -> str:
        """A token for what is granted to one request; empty where it would be too long to travel."""
        said = [[g.request, g.rule, g.logger, level_name(g.level), g.lines, round(g.expires_s, 3)] for g in grants]
        try:
            payload = urlsafe_b64encode(canonical({"grants": said})).rstrip(b"=")
        except (ValueError, TypeError):
            return ""
        token = f"{self._own.id}.{payload.decode()}.{self._signature(self._own, payload)}"
        return token if len(token) <= _LONGEST and _FORM(token) else ""

    def read(self, token: str, request: str) -> tuple[Grant, ...]:
        """What ``token`` grants to ``request`` now; nothing for whatever is wrong with it."""
        found = self._read(token, request)
        if not found:
            self.refused += 1
        return found

    def _read(self, token: str, request: str) -> tuple[Grant, ...]:
        form = _FORM(token) if len(token) <= _LONGEST else None
        key = None if form is None else self._keys.get(form[1])
        if form is None or key is None:
            return ()
        payload = form[2].encode()
        if not hmac.compare_digest(self._signature(key, payload), form[3]):
            return ()
        try:
            fields = plain(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), _LONGEST)
            found = tuple(_grant(*each) for each in fields["grants"])
        except (Rejected, Error, KeyError, TypeError, ValueError):  # signed by a version that says it otherwise
            return ()
        now = self._clock()
        return tuple(each for each in found if each.request == request and now < each.expires_s <= now + 2 * LIFE_S)

    def _signature(self, key: Key, payload: bytes) -> str:
        return urlsafe_b64encode(hmac.digest(key.secret, self._about + payload, "sha256")).rstrip(b"=").decode()


def _grant(request: str, rule: str, logger: str, level: str, lines: int, expires_s: float) -> Grant:
    return Grant(str(request), str(rule), str(logger), level_number(level), int(lines), float(expires_s))
