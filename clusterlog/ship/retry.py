"""When to try again: full-jitter back-off and a circuit breaker. Pure; clock and chance are passed in.

Full jitter as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): a random wait up to the bound, so
that shippers that failed together do not come back together.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S = 0.5
LAST_S = 60.0
OPEN_AFTER = 5


@dataclass(slots=True)
class Backoff:
    """The state between attempts: how many failed in a row, and from when on (monotonic seconds) the next is due."""

    failures: int = 0
    due: float = 0.0

    def failed(self, now: float, chance: float, asked: float | None = None) -> float:
        """An attempt failed: the wait in seconds. ``chance`` lies in [0, 1); ``asked`` is a server's Retry-After."""
        bound = min(LAST_S, FIRST_S * 2.0 ** min(self.failures, 16))
        self.failures += 1
        wait = bound * chance if asked is None else asked + FIRST_S * chance
        self.due = now + wait
        return wait

    def worked(self) -> None:
        """An attempt succeeded."""
        self.failures, self.due = 0, 0.0

    def may(self, now: float) -> bool:
        """Whether the next attempt is due."""
        return now >= self.due

    @property
    def open(self) -> bool:
        """Whether the circuit is open: so many failures that only one small batch is sent to probe."""
        return self.failures >= OPEN_AFTER
