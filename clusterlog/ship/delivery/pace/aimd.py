"""How much a sink can take, found out by asking for a little more until it is too much. Pure.

Additive increase, multiplicative decrease, as TCP does it (RFC 5681, 3.1): several shippers that share a server come
to equal shares of what it can do, and what it can do may change meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Aimd:
    """A limit between ``least`` and ``most``.

    After ``window`` clean answers in a row it grows by ``step``; without a window, after as many as it is itself, which
    is once around for a limit of how many are under way. ``sent`` counts what was sent: answers to what was sent before
    the limit was halved tell nothing about the new one.
    """

    least: int
    most: int
    limit: int
    step: int = 1
    window: int = 0
    sent: int = 0
    _clean: int = 0
    _halved_at: int = 0

    def send(self) -> int:
        """Something is sent; returns its number."""
        self.sent += 1
        return self.sent

    def clean(self) -> None:
        """It was taken."""
        self._clean += 1
        if self._clean >= (self.window or self.limit):
            self._clean = 0
            self.limit = min(self.most, self.limit + self.step)

    def too_much(self, number: int) -> None:
        """What was sent as ``number`` was too much."""
        self._clean = 0
        if number > self._halved_at:
            self._halved_at = self.sent
            self.limit = max(self.least, self.limit // 2)
