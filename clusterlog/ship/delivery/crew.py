"""Who hands batches to the sink: the shipper's own thread, or several at once, where the sink likes that.

Both are used alike: ``give`` a batch, ask for ``answers``. Threads are daemons, since a request that hangs must not
keep the process from ending: what it would have said is asked for again by the next shipper.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from clusterlog.errors import StoreUnavailable
from clusterlog.ship.delivery.batch import Batch
from clusterlog.store.base import Comparing, Delivery, Outcome, Placing, Sink


@dataclass(frozen=True, slots=True)
class Errand:
    """A batch on its way, and its numbers with those who judge by answers: breaker, concurrency and size."""

    batch: Batch
    attempt: int = 0
    number: int = 0
    size_number: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: outcomes, or why there are none; ``seconds`` is how long it took.

    ``same`` is what comparing duplicates said, by place in the batch; it lacks those that could not be compared now,
    and is ``None`` where nothing is compared.
    """

    errand: Errand
    outcomes: Sequence[Outcome] = ()
    failure: StoreUnavailable | None = None
    same: dict[int, bool | None] | None = None
    seconds: float = 0.0


class Crew(Protocol):
    """Delivers batches."""

    in_flight: dict[int, Errand]

    def give(self, errand: Errand) -> None:
        """Deliver this."""

    def answers(self, wait_s: float = 0.0) -> list[Answer]:
        """What has come back since; waits up to so many seconds for the first, if there is anything to wait for."""

    def close(self) -> None:
        """Nothing more is given. What is under way is not waited for."""


def crew(sink: Sink, at_once: int) -> Crew:
    """As many hands as the sink likes."""
    return _Threads(sink, at_once) if at_once > 1 else _Inline(sink)


def deliver(sink: Sink, errand: Errand) -> Answer:
    """Deliver one batch; never raises StoreUnavailable.

    What may be stored already is sent so that the sink says where it puts it, if it can. In a batch that was never sent
    before, an id that is there already is somebody's mistake or an event that was sent by another way: a sink that can
    be asked is asked what it holds.
    """
    begun = time.monotonic()
    deliveries = errand.batch.deliveries
    try:
        if errand.batch.doubtful and isinstance(sink, Placing):
            outcomes = sink.deliver_placed(deliveries)
        else:
            outcomes = sink.deliver(deliveries)
    except StoreUnavailable as error:
        return Answer(errand, failure=error, seconds=time.monotonic() - begun)
    seconds = time.monotonic() - begun
    same = None if errand.batch.doubtful else _compared(sink, deliveries, outcomes)
    return Answer(errand, outcomes, None, same, seconds)


def _compared(sink: Sink, deliveries: Sequence[Delivery], outcomes: Sequence[Outcome]) -> dict[int, bool | None] | None:
    if not isinstance(sink, Comparing) or len(outcomes) != len(deliveries):
        return None
    there = [at for at, outcome in enumerate(outcomes) if outcome.status == "duplicate"]
    if not there:
        return None
    try:
        return dict(zip(there, sink.same([(deliveries[at], outcomes[at]) for at in there]), strict=True))
    except StoreUnavailable:
        return {}


class _Inline:
    """Delivers when it is given something."""

    def __init__(self, sink: Sink) -> None:
        self.in_flight: dict[int, Errand] = {}
        self._sink = sink
        self._answers: list[Answer] = []

    def give(self, errand: Errand) -> None:
        self._answers.append(deliver(self._sink, errand))

    def answers(self, wait_s: float = 0.0) -> list[Answer]:
        found, self._answers = self._answers, []
        return found

    def close(self) -> None:
        return


class _Threads:
    """Delivers in threads of its own, made as they are needed."""

    def __init__(self, sink: Sink, most: int) -> None:
        self.in_flight: dict[int, Errand] = {}
        self._sink = sink
        self._most = most
        self._threads: list[threading.Thread] = []
        self._given: queue.SimpleQueue[Errand | None] = queue.SimpleQueue()
        self._back: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()

    def give(self, errand: Errand) -> None:
        self.in_flight[id(errand)] = errand
        if len(self._threads) < min(self._most, len(self.in_flight)):
            thread = threading.Thread(target=self._work, name="clusterlog-deliver", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._given.put(errand)

    def _work(self) -> None:
        while (errand := self._given.get()) is not None:
            try:
                self._back.put(deliver(self._sink, errand))
            except BaseException as error:  # a defect of ours: the shipper's own thread shall meet it
                self._back.put(error)

    def answers(self, wait_s: float = 0.0) -> list[Answer]:
        found: list[Answer] = []
        while self.in_flight:
            try:
                back = self._back.get(block=not found and wait_s > 0, timeout=wait_s)
            except queue.Empty:
                break
            if isinstance(back, BaseException):
                raise back
            del self.in_flight[id(back.errand)]
            found.append(back)
        return found

    def close(self) -> None:
        for _ in self._threads:
            self._given.put(None)
