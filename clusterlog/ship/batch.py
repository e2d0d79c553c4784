"""How events are cut into batches. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clusterlog.store.base import Delivery

PROBE_EVENTS = 10
"""The size of the batch that tries whether a sink is back."""


@dataclass(frozen=True, slots=True)
class Limits:
    """A batch holds at most so many events and bytes; a single larger event is a batch of its own."""

    events: int = 500
    bytes: int = 5 << 20


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
