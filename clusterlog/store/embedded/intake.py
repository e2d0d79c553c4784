"""Judges a batch before it is stored: what is new, what was there before, and what can never be stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clusterlog.store import document
from clusterlog.store.base import DUPLICATE, STORED, Delivery, Outcome
from clusterlog.store.embedded.index.documents import LONGEST_VALUE, Indexer
from clusterlog.store.embedded.raw.ledger import Ledger, place_of

LONGEST_EVENT = 64 << 20
_MENDING = Outcome("retry", "the search index, which knows this id, is being mended")


@dataclass(slots=True)
class Fresh:
    """What of a batch is new, side by side: bytes, index documents, times (µs), and ids."""

    bodies: list[bytes] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    times_us: list[int] = field(default_factory=list)
    own: list[tuple[bytes, int]] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)


def judge(
    batch: Sequence[Delivery],
    ledger: Ledger,
    is_known: Callable[[str], bool | None],
    indexer: Indexer,
    *,
    first_seq: int,
    arrival: int,
) -> tuple[list[Outcome], Fresh]:
    """One outcome per delivery, as it will be once ``Fresh`` is stored.

    ``is_known`` answers for ids that are not of our own form; ``None`` means that nobody can say now.
    """
    outcomes: list[Outcome] = []
    fresh = Fresh()
    seen: set[str] = set()
    latest = arrival + document.AHEAD
    for delivery in batch:
        id = delivery.id
        place = place_of(id)
        if id in seen or (place is not None and place[1] in ledger.of(place[0])):
            outcomes.append(DUPLICATE)
            continue
        if place is None and (known := is_known(id)) is not False:
            outcomes.append(DUPLICATE if known else _MENDING)
            continue
        try:
            event = _accepted(delivery)
        except ValueError as reason:
            outcomes.append(Outcome("refused", str(reason)))
            continue
        seen.add(id)
        own = document.own_time(event)
        time_us = (arrival if own is None else min(own, latest)) // 1_000
        fresh.documents.append(
            indexer.document(
                event, id, first_seq + len(fresh.bodies), time_us, own_time=own is not None and own <= latest
            )
        )
        fresh.bodies.append(delivery.body)
        fresh.times_us.append(time_us)
        if place is None:
            fresh.foreign.add(id)
        else:
            fresh.own.append(place)
        outcomes.append(STORED)
    return outcomes, fresh


def _accepted(delivery: Delivery) -> document.Event:
    """The event, if it can be stored under its id. Raises ``ValueError`` with the reason if not."""
    if len(delivery.body) > LONGEST_EVENT:
        raise ValueError(f"larger than {LONGEST_EVENT >> 20} MiB")
    event = document.parse(delivery.body)
    found = document.id_of(event)
    if found is None:
        raise ValueError("it has no event.id")
    if found != delivery.id:
        raise ValueError(f"its event.id is {found[:64]!r} and not the id it was delivered under")
    if not found or len(found) > LONGEST_VALUE:
        raise ValueError(f"its event.id is not 1 to {LONGEST_VALUE} characters long")
    return event
