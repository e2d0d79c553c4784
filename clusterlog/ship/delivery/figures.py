"""What a shipper has met so far, in numbers, and what of it somebody should look at, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_OF_LATENCY = 0.2
"""The weight of the newest answer in the mean of them."""


@dataclass(slots=True)
class Figures:
    """Counts since the shipper began, of events unless said otherwise; ``latency_s`` is a moving mean of all batches.

    ``retried`` were sent again, ``repaired`` in another shape; ``bisected`` counts batches. ``conflicts`` are other
    events under ids that are taken; ``uncompared`` might be such. ``twice`` may be stored a second time.
    """

    batches: int = 0
    latency_s: float = 0.0
    duplicates: int = 0
    retried: int = 0
    repaired: int = 0
    bisected: int = 0
    failure_store: int = 0
    conflicts: int = 0
    uncompared: int = 0
    twice: int = 0

    def answered(self, seconds: float) -> None:
        """A batch was answered."""
        self.batches += 1
        self.latency_s += (seconds - self.latency_s) * (_OF_LATENCY if self.batches > 1 else 1.0)

    def told(self) -> dict[str, Any]:
        """As ``clusterlog.status/1`` tells them."""
        return {
            "batches": self.batches,
            "latency_s": round(self.latency_s, 4),
            "duplicates": self.duplicates,
            "retried": self.retried,
            "repaired": self.repaired,
            "bisected": self.bisected,
            "failure_store": self.failure_store,
            "conflicts": self.conflicts,
            "uncompared": self.uncompared,
            "possible_duplicates": self.twice,
        }

    def warnings(self) -> Iterator[str]:
        """What somebody should look at, a line each."""
        for count, one, several in (
            (
                self.conflicts,
                "event carries an id under which another event is stored: `clusterlog dead ls` shows it",
                "events carry ids under which other events are stored: `clusterlog dead ls` shows them",
            ),
            (
                self.failure_store,
                "event went to the store's failure store, where no search looks: see `clusterlog dead ls`",
                "events went to the store's failure store, where no search looks: see `clusterlog dead ls`",
            ),
            (
                self.uncompared,
                "event was stored before it was sent, and to compare the two takes the right to read",
                "events were stored before they were sent, and to compare them takes the right to read",
            ),
            (
                self.twice,
                "event may be stored twice, in two indices of one stream: `clusterlog verify` finds it",
                "events may be stored twice, in two indices of one stream: `clusterlog verify` finds them",
            ),
            (
                self.repaired,
                "event was repaired before it was stored: `clusterlog search clusterlog.repair.reason:*`",
                "events were repaired before they were stored: `clusterlog search clusterlog.repair.reason:*`",
            ),
        ):
            if count:
                yield f"{count:,} {one if count == 1 else several}"
