"""Everything that was read and is not settled: given to the sink, judged, sent again, searched for what is bad.

Nothing that a sink says of a whole request is held against an event: that is sent again without end. Only what is
refused by itself, or is found by halving to be what the sink does not take while it takes others, is kept aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from clusterlog.errors import StoreUnavailable
from clusterlog.ship.delivery import repair
from clusterlog.ship.delivery.batch import Batch, Limits
from clusterlog.ship.delivery.crew import Answer, Errand, crew
from clusterlog.ship.delivery.figures import Figures
from clusterlog.ship.delivery.judgement import Dead, Judged, judged
from clusterlog.ship.delivery.pace.aimd import Aimd
from clusterlog.ship.delivery.pace.breaker import OPEN_AFTER, Breaker, long_pause, pause
from clusterlog.ship.delivery.pending import Pending
from clusterlog.ship.delivery.places import Places
from clusterlog.ship.delivery.sent import Sent
from clusterlog.store.base import Comparing, Delivery, Placing, Sink

LEAST_BYTES = 64 << 10
GROW_AFTER = 20
"""Clean batches after which larger ones are tried again, a sixteenth at a time."""
HALVINGS = 20
"""More than any batch needs: who refuses so often, and takes nothing in between, does not refuse for one event."""
SUSPECT_AFTER = 3
CONVICT_AFTER = 20
"""Sendings of one event alone that broke off, each when others had been taken: a network breaks a few by chance."""

Settle = Callable[[Batch, Judged], Sequence[Delivery]]
"""Acknowledges what is safe and keeps aside what is dead; returns what could not be kept aside."""


class Dispatch:
    """Delivers through ``sink``, as many batches at once as it bears. ``settle`` is told what became of events.

    ``sent`` are the notes of earlier lives, ``limits`` what the sink likes. ``monotonic`` gives seconds, ``wall``
    nanoseconds, ``chance`` numbers in [0, 1).
    """

    def __init__(
        self,
        sink: Sink,
        limits: Limits,
        settle: Settle,
        *,
        sent: Sent,
        monotonic: Callable[[], float],
        wall: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        self.breaker = Breaker()
        self.many = Aimd(1, limits.at_once, 1)
        least = min(LEAST_BYTES, limits.bytes)
        self.size = Aimd(least, limits.bytes, limits.bytes, max(1, limits.bytes // 16), GROW_AFTER)
        self.figures = Figures()
        self.settled = 0
        self._settle = settle
        # Only who can be asked what it holds, or has several places, makes a difference of what was sent before.
        self._sent = sent if isinstance(sink, Comparing | Placing) else None
        self._pending = Pending(limits, self._sent.perhaps if self._sent is not None else None)
        self._places = Places()
        self._monotonic, self._wall, self._chance = monotonic, wall, chance
        self._crew = crew(sink, limits.at_once)
        self._taken = self._halvings = 0
        self._refusal = ""
        self.failure: StoreUnavailable | None = None

    @property
    def error(self) -> str:
        """What keeps events from being delivered, in one line; empty if nothing does."""
        return self._refusal or self._pending.reason

    @property
    def in_flight(self) -> int:
        """How many batches are under way."""
        return len(self._crew.in_flight)

    @property
    def failing(self) -> bool:
        """Whether the sink has taken nothing since it last refused something as a whole."""
        return self.breaker.rounds > 0

    def told(self) -> dict[str, Any]:
        """How it goes, as ``clusterlog.status/1`` tells it under ``delivery``."""
        return {
            "store": self._store(),
            "breaker": self.breaker.state(self._monotonic()),
            "in_flight": self.in_flight,
            "at_once": self.many.limit,
            "batch_bytes": self.size.limit,
            **self.figures.told(),
            "warnings": list(self.figures.warnings()),
        }

    def _store(self) -> str:
        if not self.error:
            return "reachable"
        if not self._refusal or not self.failing:
            return "refusing"
        if self.failure is None:  # it is something of ours that fails
            return "unknown"
        return {"again": "unreachable", "slower": "busy"}.get(self.failure.advice, "refusing")

    def unsettled(self) -> Iterator[Delivery]:
        """Every event that was read and is neither safe nor kept aside."""
        under_way = (errand.batch.deliveries for errand in self._crew.in_flight.values())
        return chain(chain.from_iterable(under_way), self._pending.deliveries())

    def is_empty(self) -> bool:
        """Whether everything that was read is settled."""
        return not self._crew.in_flight and not self._pending

    def wants(self) -> bool:
        """Whether more should be read: nothing, while the sink does not take what there is, but for a probe.

        Held are as many bytes as may be under way, and a batch more; the rest stays on the disk.
        """
        if self.failing:
            now = self._monotonic()
            probing = self.breaker.state(now) == "half-open" and self._pending.size < self.size.limit
            return self.breaker.may(now) and not self._pending.has_fresh and (probing or self.is_empty())
        held = self._pending.size + sum(errand.batch.size for errand in self._crew.in_flight.values())
        return held < (self.many.limit + 1) * self.size.limit

    def offer(self, deliveries: Sequence[Delivery]) -> None:
        """These were read."""
        self._pending.offer(deliveries, self._monotonic())

    def turn(self, *, more: bool = False) -> None:
        """Send what may be sent now, and judge what has come back.

        ``more`` will be read at once, so that what does not fill a batch yet may wait for it.
        """
        self.collect()
        while len(self._crew.in_flight) < self.many.limit and self._pending:
            now = self._monotonic()
            if not self.breaker.may(now):
                return
            if self.breaker.state(now) == "half-open":
                batch = self._pending.probe(now, fresh=self.breaker.rounds % 2 == 1)
            else:
                batch = self._pending.next(now, idle=not (more or self._crew.in_flight))
            if batch is None or not self._give(batch, now):
                return
            self.collect()

    def collect(self, wait_s: float = 0.0) -> None:
        """Judge what has come back, and wait up to so many seconds for it."""
        for answer in self._crew.answers(wait_s):
            self._answered(answer)

    def due_in(self) -> float:
        """Seconds until anything of what waits may be sent; 0 if it may now, or nothing waits."""
        return max(0.0, max(self.breaker.due, self._pending.due()) - self._monotonic())

    def forget(self, instance: str) -> None:
        """Nothing of an instance is left."""
        if self._sent is not None:
            self._sent.forget(instance)

    def trouble(self, why: str) -> None:
        """Something fails without which nothing should be sent: a disk that takes no acknowledgement, say."""
        now = self._monotonic()
        self._refusal, self.failure = why, None
        self.breaker.failed(self.breaker.attempt(now), now, self._chance())

    def end(self) -> None:
        """Nothing more will be sent. What was, and was not answered, is noted for the next life. Raises OSError."""
        self._crew.close()
        if self._sent is not None:
            self._sent.end(self.unsettled())

    def _give(self, batch: Batch, now: float) -> bool:
        if self._sent is not None:
            try:
                self._sent.sending(batch.deliveries)
            except OSError as error:
                self._pending.put_back(batch, first=True)
                self.trouble(f"cannot note what is sent: {error.strerror}")
                return False
        batch = batch if batch.sent_ns else replace(batch, sent_ns=self._wall())
        self._crew.give(Errand(batch, self.breaker.attempt(now), self.many.send(), self.size.send()))
        return True

    def _answered(self, answer: Answer) -> None:
        self.figures.answered(answer.seconds)
        found = None if answer.failure is not None else judged(answer)
        if found is not None:
            self._took(answer.errand, found)
            return
        sent, told = len(answer.errand.batch.deliveries), len(answer.outcomes)
        failure = answer.failure or StoreUnavailable(f"an answer for {told} of {sent} events, so for none of them")
        self._failed(answer.errand, failure)

    # The sink judged the events one by one.

    def _took(self, errand: Errand, found: Judged) -> None:
        now = self._monotonic()
        self._refusal, self.failure = "", None
        if found.safe:
            self._taken, self._halvings = self._taken + 1, 0
        if found.again:
            self.many.too_much(errand.number)
        else:
            self.many.clean()
            self.size.clean()
            self._pending.resize(self.size.limit)
        if found.safe or found.dead or found.repaired:
            self.breaker.worked()
        elif found.again:
            self.breaker.busy(errand.attempt, now, self._chance())
        elif found.blocked:
            self.breaker.trip(errand.attempt, now, self._chance())
        self._sort(errand.batch, found, now)

    def _sort(self, batch: Batch, found: Judged, now: float) -> None:
        self._count(batch, found)
        unkept = self._settle(batch, found)
        self.settled += len(found.safe) + len(found.dead) - len(unkept)
        if found.again:
            self._put_back(batch, found.again, now + pause(batch.tries, self._chance()), found.again_reason)
        if found.blocked:
            self._put_back(batch, found.blocked, now + long_pause(self._chance()), found.blocked_reason)
        if unkept:
            self._put_back(batch, unkept, now + pause(batch.tries, self._chance()), "")
        if found.repaired:
            ids = {each.id for each in found.repaired}
            originals = {each.id: each for each in batch.deliveries if each.id in ids}
            self._pending.put_back(replace(batch.part(found.repaired), originals=originals))

    def _put_back(self, batch: Batch, deliveries: Sequence[Delivery], due: float, reason: str) -> None:
        """Events that were judged are known not to be stored."""
        rest = replace(batch.part(deliveries), tries=batch.tries + 1, due=due, reason=reason)
        self._pending.put_back(rest)

    def _count(self, batch: Batch, found: Judged) -> None:
        figures = self.figures
        figures.duplicates += len(found.safe) - found.stored
        figures.uncompared += found.uncompared
        figures.retried += len(found.again) + len(found.blocked)
        figures.repaired += len(found.safe) if batch.originals else 0
        for dead in found.dead:
            figures.failure_store += dead.cause == "failure_store"
            figures.conflicts += dead.cause == "conflict"
        now_ns = self._wall()
        for delivery, place in found.placed:
            # An earlier life may have sent it first, but not before it was written.
            since = min(batch.sent_ns, delivery.wall_ns) if batch.doubtful else now_ns
            if self._places.may_be_twice(place, since):
                found.twice.append((delivery, place))
        figures.twice += len(found.twice)
        for _, place in found.placed:
            self._places.learn(place, now_ns)

    # The sink judged none of them.

    def _failed(self, errand: Errand, failure: StoreUnavailable) -> None:
        batch, now, why = errand.batch, self._monotonic(), str(failure)
        self._refusal, self.failure = why, failure
        match failure.advice:
            case "halve":
                self.size.limit = min(self.size.limit, max(self.size.least, batch.size))
                self.size.too_much(errand.size_number)
                self._pending.resize(self.size.limit)
                self._look_into(errand, now, why, too_large=True)
            case "bisect":
                self._look_into(errand, now, why)
            case "wait":
                self._wait(errand, now, why)
            case "slower":
                self.many.too_much(errand.number)
                self.breaker.busy(errand.attempt, now, self._chance(), failure.retry_after)
                self._again(replace(batch, doubtful=True), now, why)
            case "again":
                # What breaks off while others are taken keeps only itself waiting. As a probe it shows nothing, and
                # there must be another one.
                if not 0 <= batch.taken < self._taken or self.breaker.state(now) != "closed":
                    self.many.too_much(errand.number)
                    self.breaker.failed(errand.attempt, now, self._chance(), failure.retry_after)
                self._broke_off(replace(batch, doubtful=True), now, why)

    def _wait(self, errand: Errand, now: float, why: str) -> None:
        self.breaker.trip(errand.attempt, now, self._chance())
        self._again(errand.batch, now, why)

    def _again(self, batch: Batch, now: float, why: str) -> None:
        self.figures.retried += len(batch.deliveries)
        due = now + pause(batch.tries, self._chance())
        self._pending.put_back(replace(batch, tries=batch.tries + 1, due=due, reason=why))

    def _broke_off(self, batch: Batch, now: float, why: str) -> None:
        """It may be the network, or something in the batch, which it is the rather the more are taken meanwhile.

        Halving it costs little, and is done on suspicion, if not for a network that is gone. A single event is held
        responsible only where others were taken between each two of its sendings.
        """
        suspicious = len(batch.deliveries) > 1 and self.breaker.failures < OPEN_AFTER
        if suspicious or self._taken > batch.taken:
            batch = replace(batch, refusals=batch.refusals + 1, taken=self._taken)
        if len(batch.deliveries) > 1 and batch.refusals >= SUSPECT_AFTER:
            self._halve(batch, why)
        elif len(batch.deliveries) == 1 and batch.refusals >= CONVICT_AFTER:
            self._convict(batch, now, f"each time it is sent: {why}")
        else:
            self._again(batch, now, why)

    def _look_into(self, errand: Errand, now: float, why: str, *, too_large: bool = False) -> None:
        """It was refused as a whole, for something in it."""
        batch = errand.batch
        if self._halvings >= HALVINGS:
            self._wait(errand, now, why)
            return
        self.breaker.worked()
        if len(batch.deliveries) > 1:
            self._halvings += 1
            self._halve(replace(batch, taken=self._taken if batch.taken < 0 else batch.taken), why)
            return
        (only,) = batch.deliveries
        made = repair.shortened(only.body) if too_large and not batch.originals else None
        if made is not None:
            shorter = replace(batch.part((replace(only, body=made),)), originals={only.id: only})
            self._pending.put_back(shorter, first=True)
        elif self._taken > batch.taken >= 0:
            self._convict(batch, now, why)
        else:  # whoever takes nothing at all may not be a store
            self._halvings += 1
            self._again(replace(batch, taken=self._taken), now, why)

    def _halve(self, batch: Batch, why: str) -> None:
        self.figures.bisected += 1
        for half in reversed(batch.halves()):
            self._pending.put_back(replace(half, reason=why), first=True)

    def _convict(self, batch: Batch, now: float, why: str) -> None:
        self._refusal = ""
        self._sort(batch, Judged(dead=[Dead(batch.original(batch.deliveries[0]), why)]), now)
