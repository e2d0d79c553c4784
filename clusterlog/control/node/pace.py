"""How long to wait: before another attempt, and between looks that nothing has asked for. Never all at once."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_S = 0.5
LONGEST_S = 30.0
_SPREAD = 0.2


class BackOff:
    """Full jitter: each wait is anything up to a limit that doubles with every failure in a row.

    ``chance`` gives numbers from 0 to below 1.
    """

    def __init__(
        self, first_s: float = FIRST_S, longest_s: float = LONGEST_S, chance: Callable[[], float] = random.random
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._chance = chance
        self.failures = 0

    def failed(self) -> float:
        """Seconds to wait after one more failure; the first of all attempts is never far away."""
        limit = min(self._longest_s, self._first_s * 2.0 ** min(self.failures, 16))
        self.failures += 1
        return self._chance() * limit

    def worked(self) -> None:
        """Begin anew with short waits."""
        self.failures = 0


def about(seconds: float, chance: Callable[[], float] = random.random) -> float:
    """``seconds``, a fifth more or less, so that nodes that began together do not go on together."""
    return seconds * (1 + _SPREAD * (2 * chance() - 1))
