"""What the shipper hands over, what it gets back, and the two protocols of the far end: sink and store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from clusterlog.store.query import Query
from clusterlog.store.ranges import Ranges

_OWN_ID = re.compile(r"([0-9a-f]{32})-([0-9a-f]{11})")


@dataclass(slots=True, unsafe_hash=True)
class Delivery:
    """One event on its way: the final JSON bytes and what is needed to judge its fate.

    ``id`` is the document id (``event.id``); ``instance`` and ``sequence`` name its place in the spool; ``priority``
    is the lane (WARNING and above); ``wall_ns`` is when it was written, 0 if that is not known. Nobody changes one; it
    is not frozen because that makes it three times as dear to make.
    """

    id: str
    instance: str
    sequence: int
    body: bytes
    priority: bool = False
    wall_ns: int = 0

    @property
    def account(self) -> tuple[str, int]:
        """The instance and the number it counts as: those in an id of our own form, or else its place in the spool.

        The two differ where an event lies in another spool than that of the process that said it.
        """
        own = _OWN_ID.fullmatch(self.id)
        return (own[1], int(own[2], 16)) if own else (self.instance, self.sequence)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one delivery.

    ``stored``: safe at the far end. ``duplicate``: an event of that id is there, which counts as safe; for a batch that
    was never sent before see ``Comparing``. ``refused``: it will never be taken as it is; ``reason`` says why, and the
    event is kept aside. ``failure_store``: taken, but to where no search looks; kept aside as well, and counted apart.
    ``retry``: not now. ``blocked``: not before somebody mends a right, a template or a disk; shouted about, sent again
    after a long pause, never kept aside. ``place`` is where the far end has it, as far as it says so.
    """

    status: Literal["stored", "duplicate", "refused", "failure_store", "retry", "blocked"]
    reason: str = ""
    place: str = ""


STORED = Outcome("stored")
DUPLICATE = Outcome("duplicate")


class Sink(Protocol):
    """Takes batches of events for good."""

    def deliver(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """One outcome per delivery, in the same order. Raises ``StoreUnavailable`` when none of it was judged.

        Its ``advice`` says how to go on.
        """

    def flush(self) -> None:
        """Everything delivered so far is as safe and as findable as the sink can make it when this returns."""

    def close(self) -> None:
        """Flush and let go. Idempotent."""


@runtime_checkable
class Comparing(Protocol):
    """What a sink has besides, that can be asked what it holds under an id."""

    def same(self, duplicates: Sequence[tuple[Delivery, Outcome]]) -> Sequence[bool | None]:
        """Whether what is stored under each delivery's id says the same; ``None`` where that cannot be known.

        Raises ``StoreUnavailable``.
        """


@runtime_checkable
class Placing(Protocol):
    """What a sink has besides, that has several places under one name, and knows ids only within each."""

    def deliver_placed(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """As ``deliver``, with the ``place`` of what it stored: for events that may be stored already."""


@dataclass(frozen=True, slots=True)
class Found:
    """One event found: ``body`` is the document byte for byte, ``key`` its place in the order (time ns, event id)."""

    key: tuple[int, str]
    body: bytes


Progress = Callable[[int, int], None]
"""(done, total): how far something is."""


def unseen(done: int, total: int) -> None:
    """Nobody asks how far it is."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """Which sequence numbers of one instance are stored, and which of them in more than one copy, where that shows.

    ``unreadable`` are those that were stored and cannot be read any more, as far as an audit can tell.
    """

    instance: str
    stored: Ranges
    twice: Ranges = ()
    unreadable: Ranges = ()


class Store(Protocol):
    """Answers queries. Readers of equal ``event.id`` see one event."""

    def find(self, query: Query) -> Iterator[Found]:
        """The events that match, in the query's order, lazily."""

    def count(self, query: Query) -> int:
        """How many events match; ``limit``, ``order`` and ``after`` do not count."""

    def sequences(self, instance: str, within: tuple[int, int] | None = None) -> Sequences:
        """Which numbers of an instance are stored, by the ids of its events: as the store has noted it, and at once.

        ``within``, two numbers, says where somebody looks: what lies outside of them need not be told.
        """

    def audit(self, progress: Progress = unseen) -> Iterator[Sequences]:
        """The same for every instance there is, in their order, and exactly: what cannot be read does not count.

        It looks at everything, so it takes its time; ``progress`` is told how far it is, in bytes or whatever it
        counts by. Raises ``StoreUnavailable``.
        """

    def close(self) -> None:
        """Let go. Idempotent."""
