"""When a shipper tells of a living instance how far it is, so that the store knows what it may not have yet.

Applications need no thread for it: the shipper tells what it sees on disk. Pure; wall-clock nanoseconds are passed in,
since the next shipper, in another process, goes on from what the last one told.
"""

from __future__ import annotations

from dataclasses import dataclass, field

INTERVAL_NS = 60 * 1_000_000_000
EVERY_EVENTS = 10_000
SPACING_NS = 1_000_000_000
"""However many events an instance says, it is told of once a second at most."""


@dataclass(slots=True)
class Pulse:
    """What was told of an instance last: when, and up to which number; and all that it is known to have dropped."""

    at_ns: int = 0
    last_seq: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def is_due(self, now_ns: int, reached: int) -> bool:
        """Whether to tell again; ``reached`` is the greatest number read so far. A clock that was set back is due."""
        since = now_ns - self.at_ns
        if since < 0 or since >= INTERVAL_NS:
            return True
        return reached - self.last_seq >= EVERY_EVENTS and since >= SPACING_NS
