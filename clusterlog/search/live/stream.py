"""Events as they come: judged by a query, each once, and put into the order of time within a moment."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from clusterlog.store import document
from clusterlog.store.document import Event
from clusterlog.store.predicate import matches
from clusterlog.store.query import And, Match, Node, Not, fields_of

WINDOW_NS = 30_000_000
"""How long an event is held back for an earlier one: processes of one machine write at once, and are read in turns."""

REMEMBERED = 20_000
"""Ids by which a second copy is known."""

Order = Literal["time", "arrival"]

_QUIET = And((Match("event.kind", "state"), Match("log.level", "info")))
_STATE = ("event.kind", "event.action", "event.dataset", "clusterlog.state")


@dataclass(frozen=True, slots=True)
class Told:
    """An event somebody wants to see; ``key`` is its place in the order of time, as a store tells it."""

    key: tuple[int, str]
    event: Event
    body: bytes


def without_pulse(where: Node) -> Node:
    """The condition without what processes say of themselves while all is well, unless it asks for such events.

    Openings, heartbeats and closings are left out; drops, dead letters and crashes are warnings and stay.
    """
    asked = any(field == name or field.startswith(f"{name}.") for field in fields_of(where) for name in _STATE)
    return where if asked else And((where, Not(_QUIET)))


class Stream:
    """Takes events in any order and gives those that match ``where``, each once.

    By ``arrival`` they are due at once; by ``time`` when ``window_ns`` have passed since they happened or came.
    ``since``: nanoseconds since the epoch before which nothing is wanted.
    """

    def __init__(
        self, where: Node, *, order: Order = "time", since: int | None = None, window_ns: int | None = None
    ) -> None:
        self.where = where
        self._window = (WINDOW_NS if window_ns is None else window_ns) if order == "time" else 0
        self._since = since
        self._held: list[tuple[int, Told]] = []
        self._ids: OrderedDict[str, None] = OrderedDict()

    def offer(self, bodies: Iterable[bytes], now_ns: int) -> None:
        """Events that came at ``now_ns``, as JSON; what cannot be read no store will take either."""
        for body in bodies:
            try:
                event = document.parse(body)
            except ValueError:
                continue
            time, _ = document.placed(event, now_ns)
            if (self._since is None or time >= self._since) and matches(self.where, event):
                self._hold(Told((time, document.id_of(event) or ""), event, body), now_ns)

    def _hold(self, told: Told, now_ns: int) -> None:
        id = told.key[1]
        if id:
            if id in self._ids:
                return
            self._ids[id] = None
            if len(self._ids) > REMEMBERED:
                self._ids.popitem(last=False)
        self._held.append((min(now_ns, told.key[0]) + self._window, told))

    def due(self, now_ns: int) -> list[Told]:
        """Those that have waited long enough, and with them whatever happened before."""
        if not self._window:
            return self.all()
        last = max((told.key for due, told in self._held if due <= now_ns), default=None)
        if last is None:
            return []
        ready = [told for _, told in self._held if told.key <= last]
        self._held = [each for each in self._held if each[1].key > last]
        return sorted(ready, key=_key)

    def all(self) -> list[Told]:
        """Everything that is held, due or not."""
        ready = [told for _, told in self._held]
        self._held.clear()
        return sorted(ready, key=_key) if self._window else ready


def _key(told: Told) -> tuple[int, str]:
    return told.key
