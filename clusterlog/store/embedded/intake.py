"""Judges a batch before it is stored: what is new, what was there before, and what can never be stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clusterlog.store import document
from clusterlog.store.base import DUPLICATE, STORED, Delivery, Outcome
from clusterlog.store.embedded.index.documents import LONGEST_VALUE, Indexer
from clusterlog.store.embedded.index.heads import OPENING, Heads
from clusterlog.store.embedded.raw.ledger import Ledger, Ranges, place_of

LONGEST_EVENT = 64 << 20
_MENDING = Outcome("retry", "the search index, which knows this id, is being mended")


@dataclass(slots=True)
class Fresh:
    """What of a batch is new, side by side: bytes, index documents, times (µs); and the ids of both forms."""

    bodies: list[bytes] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    times_us: list[int] = field(default_factory=list)
    own: dict[bytes, set[int]] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)


class Judge:
    """Judges one batch against what is stored.

    ``is_known`` answers for ids that are not of our own form; ``None`` means that nobody can say now.
    """

    def __init__(self, ledger: Ledger, is_known: Callable[[str], bool | None], indexer: Indexer, heads: Heads) -> None:
        self._ledger = ledger
        self._is_known = is_known
        self._indexer = indexer
        self._heads = heads
        self.fresh = Fresh()
        self._instances: dict[str, tuple[Ranges, set[int]]] = {}

    def judge(self, batch: Sequence[Delivery], first_seq: int, arrival: int) -> list[Outcome]:
        """One outcome per delivery, as it will be once ``fresh`` is stored, numbered from ``first_seq``."""
        outcomes: list[Outcome] = []
        latest = arrival + document.AHEAD
        of_known_head = self._heads.document
        bodies, documents, times_us = self.fresh.bodies, self.fresh.documents, self.fresh.times_us
        for delivery in batch:
            known = self._take(delivery.id, delivery.sequence)
            if known is not False:
                outcomes.append(DUPLICATE if known else _MENDING)
                continue
            seq = first_seq + len(bodies)
            made = of_known_head(delivery, seq, latest)
            if made is None:
                event = _accepted(delivery)
                if isinstance(event, str):
                    self._give_back(delivery.id)
                    outcomes.append(Outcome("refused", event))
                    continue
                made = self._whole(delivery, event, seq, arrival)
            times_us.append(made[0])
            documents.append(made[1])
            bodies.append(delivery.body)
            outcomes.append(STORED)
        return outcomes

    def _whole(self, delivery: Delivery, event: document.Event, seq: int, arrival: int) -> tuple[int, str]:
        """When an event is found (µs) and its index document, from all of it."""
        if delivery.body.startswith(OPENING):
            self._heads.learn(delivery, event)
        time, believed = document.placed(event, arrival)
        return time // 1_000, self._indexer.document(event, delivery.id, seq, time // 1_000, believed)

    def _take(self, id: str, sequence: int) -> bool | None:
        """Whether an id is known; if not, it is from now on.

        Taking an id apart costs more than asking: it is done once for each instance of a batch.
        """
        met = self._instances.get(id[:33])
        if met is not None and id[33:] == f"{sequence:011x}":
            number = sequence
        else:
            place = place_of(id)
            if place is None:
                known = id in self.fresh.foreign or self._is_known(id)
                if known is False:
                    self.fresh.foreign.add(id)
                return known
            instance, number = place
            met = self._ledger.of(instance), self.fresh.own.setdefault(instance, set())
            self._instances[id[:33]] = met
        stored, new = met
        if number in new or number in stored:
            return True
        new.add(number)
        return False

    def _give_back(self, id: str) -> None:
        """An id that was taken for an event which is refused."""
        place = place_of(id)
        if place is None:
            self.fresh.foreign.discard(id)
        else:
            self.fresh.own[place[0]].discard(place[1])


def _accepted(delivery: Delivery) -> document.Event | str:
    """The event, or the reason why it can never be stored."""
    if len(delivery.body) > LONGEST_EVENT:
        return f"larger than {LONGEST_EVENT >> 20} MiB"
    try:
        event = document.parse(delivery.body)
    except ValueError as error:
        return str(error)
    found = document.id_of(event)
    if found is None:
        return "it has no event.id"
    if found != delivery.id:
        return f"its event.id is {found[:64]!r} and not the id it was delivered under"
    if not found or len(found) > LONGEST_VALUE:
        return f"its event.id is not 1 to {LONGEST_VALUE} characters long"
    return event
