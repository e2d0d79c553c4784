"""How events are cut into batches, and what is known of a batch while it is under way. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
    """Events that are sent together, and how that went so far; ``size`` is their bytes.

    ``tries`` counts the sendings after which all of them were to be sent again; ``refusals`` those that broke off
    although the sink had taken others meanwhile; ``taken`` is how much it had taken by then. ``due`` is when it may be
    sent (monotonic seconds), ``sent_ns`` when it was first (wall clock). ``doubtful``: it may be stored, since an
    answer was lost. ``originals`` are the events as they were, by id, if each was repaired. ``reason`` is why it waits.
    """

    deliveries: Sequence[Delivery]
    size: int
    tries: int = 0
    refusals: int = 0
    taken: int = -1
    due: float = 0.0
    sent_ns: int = 0
    doubtful: bool = False
    originals: Mapping[str, Delivery] = field(default_factory=dict)
    reason: str = ""

    def original(self, delivery: Delivery) -> Delivery:
        """One of its events as it was said."""
        return self.originals.get(delivery.id, delivery)

    def part(self, deliveries: Sequence[Delivery]) -> Batch:
        """Some of its events, with its history."""
        return replace(self, deliveries=deliveries, size=size_of(deliveries))

    def halves(self) -> tuple[Batch, Batch]:
        """The same in two, for looking where the trouble is; what was tried with both counts for neither."""
        middle = len(self.deliveries) // 2
        fresh = replace(self, tries=0, refusals=0, due=0.0)
        return fresh.part(self.deliveries[:middle]), fresh.part(self.deliveries[middle:])


def size_of(deliveries: Sequence[Delivery]) -> int:
    """Bytes of all events."""
    return sum(len(each.body) for each in deliveries)


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
