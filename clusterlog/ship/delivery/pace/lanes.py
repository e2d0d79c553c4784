"""Whose turn it is to be read: WARNING and above, but for a fifth of what is read. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BULK_SHARE = 0.2
"""What is left to the bulk lane however much lies in the other one: it must not starve while errors pour in."""
_NEARLY = 0.75
"""Portions are not exact."""


@dataclass(slots=True)
class Lanes:
    """Counts what the bulk lane is owed, up to one portion: the bytes that are read at a time."""

    _owed: float = 0.0

    def order(self, portion: int) -> Sequence[str]:
        """The lanes in the order in which they are to be asked for the next portion."""
        return ("bulk", "priority") if self._owed >= portion * _NEARLY else ("priority", "bulk")

    def read(self, lane: str, size: int, portion: int) -> None:
        """So many bytes of a lane were read, where a portion was asked for."""
        if lane == "priority":
            self._owed = min(float(portion), self._owed + size * BULK_SHARE / (1 - BULK_SHARE))
        else:
            self._owed = max(0.0, self._owed - size)
