"""So many a second and no more, and an account of what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

SECOND_NS = 1_000_000_000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Skipped:
    """Of ``matched`` a second, only ``shown`` were let through."""

    shown: int
    matched: int


class Pace:
    """Lets ``rate`` items a second through (``None``: all), the first of each second."""

    def __init__(self, rate: int | None) -> None:
        self._rate = rate
        self._begun: int | None = None
        self._last = 0
        self._shown = self._matched = 0
        self._over: Skipped | None = None

    def let(self, items: Sequence[Item], now_ns: int) -> Sequence[Item]:
        """The first of the items, as many as this second still takes."""
        self._turn(now_ns)
        room = len(items) if self._rate is None else max(0, self._rate - self._shown)
        self._matched += len(items)
        self._shown += min(room, len(items))
        return items[:room]

    def skipped(self, now_ns: int) -> Skipped | None:
        """The account of the second that is over, once, if something was left out in it."""
        self._turn(now_ns)
        over, self._over = self._over, None
        return over

    def _turn(self, now_ns: int) -> None:
        """Begin the next second. One begins where somebody last looked: what comes then has gathered since."""
        if self._begun is None:
            self._begun = self._last = now_ns
        length = now_ns - self._begun
        if not 0 <= length < SECOND_NS:
            if self._matched > self._shown:
                seconds = max(1.0, (self._last - self._begun) / SECOND_NS)
                shown = round(self._shown / seconds)
                self._over = Skipped(shown, max(shown + 1, round(self._matched / seconds)))
            self._begun, self._shown, self._matched = min(self._last, now_ns), 0, 0
        self._last = now_ns
