"""How much disk the spool may take, and the ledger of what was refused because of it.

Every event that is not written leaves its number behind: consecutive numbers lost for one reason become one
``Loss``, written as a drop event as soon as anything can be written again.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

SEGMENT_BYTES = 8 << 20
MIN_FREE_BYTES = 512 << 20
MIN_FREE_SHARE = 0.05
PRIORITY_RESERVE = 1 / 16
"""The share of the limit that only WARNING and above may use."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one home in bytes. ``min_free`` is what must stay free on the file system for the bulk lane to go on.

    The limit is looked at when a segment begins, so it can be overrun by one segment per process and lane.
    """

    limit: int = 1 << 30
    min_free: int = MIN_FREE_BYTES

    @property
    def segment_bytes(self) -> int:
        """When a segment is full: small enough that a handful of writers cannot overrun a small limit by much."""
        return max(64 << 10, min(SEGMENT_BYTES, self.limit // 32))

    def refusal(self, spool: Path, priority: bool) -> str:
        """The reason a new segment may not be begun in ``spool`` now; empty if it may."""
        allowed = self.limit if priority else int(self.limit * (1 - PRIORITY_RESERVE))
        if used_bytes(spool) + self.segment_bytes > allowed:
            return "disk_limit"
        if not priority and self._too_full(spool):
            return "disk_low"
        return ""

    def _too_full(self, spool: Path) -> bool:
        try:
            disk = os.statvfs(spool)
        except OSError:
            return False
        size, free = disk.f_frsize * disk.f_blocks, disk.f_frsize * disk.f_bavail
        return free < min(self.min_free, size * MIN_FREE_SHARE)


def used_bytes(spool: Path) -> int:
    """Bytes of all segments of a spool."""
    total = 0
    try:
        with os.scandir(spool) as entries:
            for entry in entries:
                if entry.name.endswith(".seg"):
                    try:
                        total += entry.stat().st_size
                    except FileNotFoundError:  # delivered and removed meanwhile
                        continue
    except OSError:
        return total
    return total


@dataclass(slots=True)
class Loss:
    """Consecutive sequence numbers that were not written, and why."""

    reason: str
    first: int
    last: int
    priority: int = 0

    def facts(self) -> dict[str, object]:
        """What the drop event tells under ``clusterlog.state``."""
        count = self.last - self.first + 1
        return {
            "reason": self.reason,
            "first_seq": self.first,
            "last_seq": self.last,
            "count": count,
            "levels": {"below_warning": count - self.priority, "warning_and_above": self.priority},
        }


@dataclass(slots=True)
class Ledger:
    """Losses that no drop event tells of yet, and the count of all since the process began."""

    pending: list[Loss] = field(default_factory=list)
    total: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, sequence: int, priority: bool) -> None:
        """Number ``sequence`` is lost."""
        self.total[reason] += 1
        last = self.pending[-1] if self.pending else None
        if last is not None and last.reason == reason and last.last == sequence - 1:
            last.last = sequence
            last.priority += priority
        else:
            self.pending.append(Loss(reason, sequence, sequence, int(priority)))

    def take(self) -> list[Loss]:
        """What a drop event must tell now; the caller gives back with ``put_back`` what it could not write."""
        losses, self.pending = self.pending, []
        return losses

    def put_back(self, losses: list[Loss]) -> None:
        """Losses whose drop event failed itself."""
        self.pending = losses + self.pending
