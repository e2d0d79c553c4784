"""How events are cut into batches, and what is known of a batch while it is under way. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from clusterlog.store.base import Delivery

PROBE_EVENTS = 10
"""The size of the batch that tries whether a sink is back."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a sink likes: so many events and bytes a batch at most, and so many batches at once.

    A single larger event is a batch of its own. A sink that takes one at a time is called in the shipper's own thread.
    """

    events: int = 500
    bytes: int = 5 << 20
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that are sent together, and how that went so far.

    ``tries`` counts the sendings after which all of them are to be sent again, ``refusals`` those of them that ended
    without an answer while others were taken; ``taken`` is how many batches the sink had taken by the last of these.
    ``due`` is when it may be sent (monotonic seconds). ``doubtful``: it may be stored already, since an answer was lost.
    ``alone``: it is not to be joined with others, as something in it is not understood, or too large. ``mended``: each
    of its events was repaired once. ``reason`` is why it waits.
    """

    deliveries: Sequence[Delivery]
    tries: int = 0
    refusals: int = 0
    taken: int = -1
    due: float = 0.0
    doubtful: bool = False
    alone: bool = False
    mended: bool = False
    reason: str = ""

    @property
    def bytes(self) -> int:
        """All its events together."""
        return sum(len(each.body) for each in self.deliveries)

    def halves(self) -> tuple[Batch, Batch]:
        """The same in two, for looking where the trouble is; each has its own tries from here on."""
        middle = len(self.deliveries) // 2
        fresh = replace(self, tries=0, refusals=0, taken=-1, due=0.0, alone=True)
        return (
            replace(fresh, deliveries=self.deliveries[:middle]),
            replace(fresh, deliveries=self.deliveries[middle:]),
        )


def cut(deliveries: Sequence[Delivery], limits: Limits) -> Iterator[Sequence[Delivery]]:
    """The deliveries in order, in batches within the limits."""
    start = size = 0
    for at, delivery in enumerate(deliveries):
        if at > start and (at - start >= limits.events or size + len(delivery.body) > limits.bytes):
            yield deliveries[start:at]
            start, size = at, 0
        size += len(delivery.body)
    if start < len(deliveries):
        yield deliveries[start:]
