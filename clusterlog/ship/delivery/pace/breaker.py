"""When to try again: full-jitter back-off, and a breaker that lets one small batch through to probe. Pure.

Full jitter as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): a random wait up to the bound, so
that shippers that failed together do not come back together. Times are monotonic seconds, chances lie in [0, 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FIRST_S = 0.5
LAST_S = 60.0
LONG_S = 30.0
"""The least pause where only a person can mend what is wrong; the most is ``LAST_S``."""
OPEN_AFTER = 5
MOST_ASKED_S = 3600.0
"""No longer is waited, whatever a server asks for: dates in its answers may come from a clock that was set."""

State = Literal["closed", "open", "half-open"]


def pause(failures: int, chance: float, asked: float | None = None) -> float:
    """Seconds to wait after so many failures before this one; ``asked`` is a server's Retry-After."""
    if asked is not None:
        return min(max(0.0, asked), MOST_ASKED_S) + FIRST_S * chance
    bound: float = min(LAST_S, FIRST_S * 2.0 ** min(failures, 16))
    return bound * chance


def long_pause(chance: float) -> float:
    """Seconds to wait for a person to mend something."""
    return LONG_S + (LAST_S - LONG_S) * chance


@dataclass(slots=True)
class Breaker:
    """How attempts have gone lately: ``failures`` in a row, and when the next attempt is ``due``.

    Several attempts may be under way, and fail together: those are several failures, but only one reason to wait
    longer, which is what ``rounds`` counts. ``attempts`` counts all, and each is known by its number.
    """

    failures: int = 0
    rounds: int = 0
    due: float = 0.0
    attempts: int = 0
    _counted_at: int = 0
    _tripped: bool = False
    _probing: bool = False

    def state(self, now: float) -> State:
        """``closed``: go on. ``open``: send nothing. ``half-open``: one small batch, and then only after its answer."""
        if self.failures < OPEN_AFTER and not self._tripped:
            return "closed"
        return "half-open" if now >= self.due else "open"

    def may(self, now: float) -> bool:
        """Whether an attempt is due."""
        return now >= self.due and not self._probing

    def attempt(self, now: float) -> int:
        """An attempt begins; returns its number."""
        self._probing = self.state(now) == "half-open"
        self.attempts += 1
        return self.attempts

    def worked(self) -> None:
        """An attempt succeeded, which says so of the sink."""
        self.failures = self.rounds = 0
        self.due = 0.0
        self._tripped = self._probing = False

    def failed(self, number: int, now: float, chance: float, asked: float | None = None) -> None:
        """Attempt ``number`` failed on the way, or the sink has too much to do and asks to wait."""
        self.failures += 1
        if self._is_news(number):
            self.due = now + pause(self.rounds, chance, asked)
            self.rounds += 1

    def busy(self, number: int, now: float, chance: float, asked: float | None = None) -> None:
        """Attempt ``number`` was answered: not now. The sink lives, which closes the breaker; but there is a pause."""
        self.failures = 0
        self._tripped = self._probing = False
        if self._is_news(number):
            self.due = max(self.due, now + pause(self.rounds, chance, asked))
            self.rounds += 1

    def trip(self, number: int, now: float, chance: float) -> None:
        """Attempt ``number`` found that nothing will be taken before a person mends it."""
        self.failures += 1
        self._tripped = True
        if self._is_news(number):
            self.due = now + long_pause(chance)
            self.rounds += 1

    def _is_news(self, number: int) -> bool:
        """Whether it was begun after the last one that is counted; the answer to a probe ends the probing."""
        if number <= self._counted_at:
            return False
        self._counted_at = self.attempts
        self._probing = False
        return True
