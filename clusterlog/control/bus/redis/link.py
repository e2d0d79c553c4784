"""The bus on Redis: one connection that listens, one that asks, and a watch over both."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from typing import Any

from clusterlog.control.bus import base
from clusterlog.control.bus.base import KEPT_S, MOST_MESSAGE, Changed, Gap, Lease, Message, Notice, Snapshot, sendable
from clusterlog.control.bus.bell import Waker
from clusterlog.control.bus.forking import closed_in_children
from clusterlog.control.bus.redis.address import Address
from clusterlog.control.bus.redis.finding import beside, takes_changes, writable
from clusterlog.control.bus.redis.scripts import LEASE, LEASED, RELEASE, WRITE, Keys
from clusterlog.errors import BusUnreachable, Conflict

PUSHED = 1 << 10
"""Up to so many bytes the document itself is pushed: then nobody has to come and read it."""
MOST_AT_ONCE = 1000

_HEAD = re.compile(rb"(\d+) (\d+) [^\n]*\n")
"""When a lease was said, and for how long it is good, both in microseconds; the version it counts under."""


class RedisBus:
    """The bus at ``address``, in the name space ``cluster``."""

    local = False

    def __init__(self, address: Address, cluster: str = "") -> None:
        self.name = address.name
        self._address = address
        self._keys = Keys(cluster)

    def open(self) -> RedisLink:
        """Find the server that takes changes, connect twice and subscribe."""
        return RedisLink(self._address, self._keys)


class RedisLink:
    """Two connections to one server; see ``Link``.

    A connection on which nothing comes is asked for a sign of life after a third of ``SILENCE_S``, and dead when there
    is none for the other two. As often the other one asks whether the server is still one that takes changes: a master
    that was replaced goes on answering, and is told of nothing any more.
    """

    def __init__(self, address: Address, keys: Keys) -> None:
        self._keys = keys
        self._waker = Waker()
        self._woken = False
        self._come: list[Notice] = []
        self._failure: BusUnreachable | None = None
        self._asked_at = 0.0
        self._may_ask_role = True
        end = time.monotonic() + base.PATIENCE_S
        with ExitStack() as opened:
            opened.callback(self._waker.close)
            self._commands = writable(address)
            opened.callback(self._commands.close)
            # The way is known to be there by now: a little time is left for the rest, whatever finding it took.
            end = max(end, time.monotonic() + base.PATIENCE_S / 5)
            self._push = beside(self._commands, address, end - time.monotonic())
            opened.callback(self._push.close)
            self._subscribe(end)
            opened.pop_all()
        self._looked_at = time.monotonic()
        closed_in_children(self)

    def read(self) -> Snapshot:
        """See ``Link``."""
        (seconds, micros), document = self._at_once(("GET", self._keys.document))
        return Snapshot(document, int(seconds) * 1_000_000_000 + int(micros) * 1000)

    def write(self, document: bytes, instead_of: bytes | None) -> None:
        """See ``Link``."""
        pushed = b"d" + document if len(document) <= PUSHED else b"c"
        arguments = (b"0" if instead_of is None else b"1", instead_of or b"", document, self._keys.changed, pushed)
        if not self._commands.ask("EVAL", WRITE, 1, self._keys.document, *arguments):
            raise Conflict("somebody else has changed the rules meanwhile: look at them, and decide anew")

    def lease(self, key: str, body: bytes, ttl_s: float, version: str) -> None:
        """See ``Link``."""
        self._commands.ask("EVAL", LEASE, 3, *self._about_leases(), key, body, int(ttl_s * 1e6), version)

    def release(self, key: str) -> None:
        """See ``Link``."""
        self._commands.ask("EVAL", RELEASE, 3, *self._about_leases(), key)

    def leases(self) -> tuple[Lease, ...]:
        """See ``Link``."""
        (seconds, micros), flat = self._at_once(("HGETALL", self._keys.leases))
        now = int(seconds) * 1_000_000 + int(micros)
        found = []
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            head = _HEAD.match(value)
            if head is None:  # a stranger's
                continue
            age_s, ttl_s = max(0, now - int(head[1])) / 1e6, int(head[2]) / 1e6
            if age_s <= ttl_s + KEPT_S:
                found.append(Lease(key.decode("utf-8", "replace"), value[head.end() :], age_s, ttl_s))
        return tuple(found)

    def leased(self, version: str) -> int:
        """See ``Link``."""
        return int(self._commands.ask("EVAL", LEASED, 1, f"{self._keys.version}{version}"))

    def send(self, body: bytes) -> None:
        """See ``Link``."""
        self._commands.ask("PUBLISH", self._keys.messages, sendable(body))

    def wait(self, timeout_s: float) -> tuple[Notice, ...]:
        """See ``Link``."""
        end = time.monotonic() + timeout_s
        while True:
            self._fetch()
            now = time.monotonic()
            come, self._come = tuple(self._come), []
            if self._failure is not None and not come:
                raise self._failure
            if not come:
                self._look(now)
            if come or self._woken or now >= end:
                self._woken = False
                return come
            self._waker.wait(min(end, self._looked_at + base.SILENCE_S / 3) - now, self._push)

    def wake(self) -> None:
        """See ``Link``."""
        self._woken = True
        self._waker.wake()

    def close(self) -> None:
        """See ``Link``."""
        self._push.close()
        self._commands.close()
        self._waker.close()
        self._come = []
        self._failure = BusUnreachable("this link is closed: open another one")

    def _fetch(self) -> None:
        """Take what has come. What came before a connection broke is told first."""
        if self._failure is not None:
            return
        try:
            for answer in self._push.come():
                self._asked_at = 0.0
                notice = self._notice(answer)
                if notice is not None:
                    self._come.append(notice)
                if len(self._come) >= MOST_AT_ONCE:
                    break  # more comes as fast as it is taken
        except BusUnreachable as failure:
            self._failure = failure

    def _notice(self, answer: Any) -> Notice | None:
        kind, channel, content = answer if len(answer) == 3 else (answer[0], b"", b"")
        if kind == b"subscribe":
            return Gap()  # something on the way has connected anew
        if kind != b"message":
            return None
        if channel == self._keys.messages.encode():
            return Message(content) if len(content) <= MOST_MESSAGE else Gap()  # no link sends such
        return Changed(content[1:] if content[:1] == b"d" and len(content) <= PUSHED + 1 else None)

    def _look(self, now: float) -> None:
        """Whether the listening connection gives signs of life, and its server still takes changes."""
        if self._asked_at and now - self._asked_at > base.SILENCE_S * 2 / 3:
            raise BusUnreachable(f"{self._push.where}: has been silent for {base.SILENCE_S:g} s")
        if now < self._looked_at + base.SILENCE_S / 3:
            return
        self._looked_at = now
        self._asked_at = self._asked_at or now
        self._push.say("PING")
        still = takes_changes(self._commands) if self._may_ask_role else None
        self._may_ask_role = still is not None  # what is refused is not asked again: servers keep a log of it
        if still is False:
            raise BusUnreachable(f"{self._commands.where}: has become a replica: another server is the master now")

    def _subscribe(self, end: float) -> None:
        channels = [self._keys.changed, self._keys.messages]
        self._push.say("SUBSCRIBE", *channels)
        while channels:
            for answer in self._push.come():
                if answer[0] == b"subscribe" and answer[1].decode() in channels:
                    channels.remove(answer[1].decode())
                elif (notice := self._notice(answer)) is not None:
                    self._come.append(notice)
            if channels and time.monotonic() > end:
                raise BusUnreachable(f"{self._push.where}: does not answer")
            if channels:
                self._waker.wait(end - time.monotonic(), self._push)
        self._come.insert(0, Gap())

    def _at_once(self, command: tuple[str, ...]) -> tuple[Any, Any]:
        """The server's clock, and the answer to ``command`` at that moment."""
        answers = self._commands.ask_all(("MULTI",), ("TIME",), command, ("EXEC",))
        time_then, answer = answers[-1]
        return time_then, answer

    def _about_leases(self) -> tuple[str, str, str]:
        return self._keys.leases, self._keys.ends, self._keys.version
