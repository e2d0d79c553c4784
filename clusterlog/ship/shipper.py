"""Read, batch, deliver, judge, acknowledge, remove: the process that empties the spools of a home.

It can be killed at any instruction. What it has not acknowledged durably is sent again, and the far end knows the
ids; nothing is removed before its acknowledgement is durable.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from clusterlog.errors import StoreUnavailable
from clusterlog.ship.acknowledged import Acknowledged, sync_directory
from clusterlog.ship.dead.quarantine import Quarantine
from clusterlog.ship.dead.reason import redacted
from clusterlog.ship.delivery.batch import Batch, Limits, size_of
from clusterlog.ship.delivery.dispatch import Dispatch
from clusterlog.ship.delivery.judgement import Dead, Judged
from clusterlog.ship.delivery.sent import Sent
from clusterlog.ship.reading import Reading
from clusterlog.ship.source import Source
from clusterlog.spool.budget import used_bytes
from clusterlog.spool.reader import instances
from clusterlog.spool.segment import HEADER_SIZE, LANES
from clusterlog.store.base import Delivery, Sink

READ_BYTES = 4 << 20
PASS_BYTES = 16 << 20
PASS_S = 0.2
"""What one pass reads and how long it waits for answers, so that acknowledgements are saved, who is new is seen and a
request to end is heard in between."""
SAVE_S = 1.0
SYNC_S = 0.2
BUSY_S, IDLE_S = 0.02, 0.2
GRACE_S = 10.0
"""How long the end waits for what is under way."""
ONCE_TRIES = 3
ONCE_PATIENCE_S = 20.0
"""A longer pause is for who ships for ever."""


@dataclass(slots=True)
class Report:
    """What one shipper has done: events stored, found to be there already, kept aside, and dropped by their writers."""

    stored: int = 0
    duplicates: int = 0
    dead: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


class Voice(Protocol):
    """Says the shipper's own state events; ``ship.state.voice`` is the real one."""

    id: str

    def say(self, action: str, facts: Mapping[str, Any]) -> None:
        """One state event, in the spool when this returns."""

    def end(self) -> None:
        """The shipper's own instance is over."""


class Shipper:
    """Empties ``home/spool`` into ``sink``. The caller holds the home's lock.

    ``voice`` says the shipper's own state events through a spool instance of its own. ``limits`` are the batches the
    sink likes. Clock and chance are arguments for tests; ``monotonic`` in seconds, ``wall`` in nanoseconds.
    """

    def __init__(
        self,
        home: Path,
        sink: Sink,
        *,
        voice: Voice,
        sink_name: str = "store",
        limits: Limits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.home = home
        self.spool = home / "spool"
        self.acknowledged = Acknowledged.load(home)
        self.report = Report()
        self._sink = sink
        self._voice = voice
        self._monotonic, self._wall = monotonic, wall
        self._reading = Reading(self.spool, self.acknowledged)
        self.dispatch = Dispatch(
            sink,
            limits or Limits(),
            self._settle,
            sent=Sent(home / "run" / "sent.json"),
            monotonic=monotonic,
            wall=wall,
            chance=chance,
        )
        self._quarantine = Quarantine(home / "dead", voice.id, sink_name)
        self._trouble = ""
        self._dirty = False
        self._exhausted = True
        self._done: Callable[[Sequence[Delivery]], None] = lambda deliveries: None
        self._saved_at = self._synced_at = monotonic()

    @property
    def error(self) -> str:
        """What keeps events from being delivered, in one line; empty if nothing does."""
        return self._trouble or self.dispatch.error

    def told(self) -> dict[str, Any]:
        """How it goes, as ``clusterlog.status/1`` tells it under ``delivery``."""
        oldest = min((each.wall_ns for each in self.dispatch.unsettled()), default=0)
        return {**self.dispatch.told(), "oldest_age_s": max(0.0, (self._wall() - oldest) / 1e9) if oldest else 0.0}

    def step(self) -> int:
        """One pass over all spools: what waits first, then what is new. Returns how many events were settled."""
        before = self.dispatch.settled
        try:
            self._step()
        except OSError as error:  # no descriptor is left, say: nothing is lost as long as that lasts
            self._unreadable(error)
        return self.dispatch.settled - before

    def _step(self) -> None:
        now = self._monotonic()
        self._look()
        if now - self._synced_at >= SYNC_S:
            self._synced_at = now
            self._reading.sync()
        self._pass()
        self._tell_who_lives()
        if self._dirty and self._monotonic() - self._saved_at >= SAVE_S:
            self.save()

    def _unreadable(self, error: OSError) -> None:
        self.dispatch.trouble(f"cannot read {self.spool}: {(error.strerror or str(error)).lower()}")

    def _look(self) -> None:
        for gone in self._reading.look():
            self.dispatch.forget(gone)

    def _pass(self) -> None:
        """Deliver what waits and what is new, up to a bound of bytes and of time."""
        left, until = PASS_BYTES, self._monotonic() + PASS_S
        while True:
            read = self._read() if left > 0 and self.dispatch.wants() else None
            self._exhausted = read is None and left > 0 and self.dispatch.wants()
            self.dispatch.turn(more=read is not None)
            if read is not None:
                left -= max(1, read)
            elif self.dispatch.in_flight and (wait_s := until - self._monotonic()) > 0:
                self.dispatch.collect(wait_s)
            else:
                break
        self._end_the_dead(self._reading.sources.values())

    def _read(self) -> int | None:
        """Bytes of what was read now, ``None`` when the spools hold no more."""
        read = self._reading.read(READ_BYTES)
        self.report.dropped = dict(self.acknowledged.dropped)
        if read is None:
            return None
        self.dispatch.offer(read)
        return size_of(read)

    def _settle(self, batch: Batch, found: Judged) -> list[Delivery]:
        """Acknowledge what is safe and keep aside what is dead; returns what could not be kept aside."""
        for instance, deliveries in groupby(found.safe, key=lambda each: each.instance):
            known = self.acknowledged.of(instance)
            for delivery in deliveries:
                known.add(delivery.sequence)
        # What was there already is as safe; whoever stored it did not live to count it.
        self.acknowledged.totals["shipped"] += len(found.safe)
        self.report.stored += found.stored
        self.report.duplicates += len(found.safe) - found.stored
        unkept = [dead.delivery for dead in found.dead if not self._keep_aside(dead, batch.tries + 1)]
        for delivery, place in found.twice:
            self._say_of(delivery, "possible-duplicate", f"sent again, and stored in {place}: perhaps elsewhere, too")
        self._dirty = True
        self._done(found.safe)
        return unkept

    def _keep_aside(self, dead: Dead, attempts: int) -> bool:
        delivery, reason = dead.delivery, redacted(dead.reason)
        try:
            self._quarantine.keep(delivery, reason, self._wall(), cause=dead.cause, attempts=attempts)
        except OSError as error:
            self._trouble = f"cannot keep a refused event in {self.home / 'dead'}: {error.strerror}"
            return False
        self._trouble = ""
        self.acknowledged.of(delivery.instance).add(delivery.sequence)
        self.report.dead += 1
        self.acknowledged.totals["dead"] += 1
        self._say_of(delivery, "dead-letter", reason[:200])
        for instance, first, last in self._quarantine.take_dropped():
            facts = {"first_seq": first, "last_seq": last, "count": last - first + 1, "reason": "dead_letter_limit"}
            self._voice.say("drop", {"instance": instance, **facts})
        return True

    def _say_of(self, delivery: Delivery, action: str, reason: str) -> None:
        """Tell of one event; of the shipper's own words nothing is told, as that might meet the same."""
        if delivery.instance != self._voice.id:
            instance, number = delivery.account
            facts = {"first_seq": number, "last_seq": number, "count": 1, "reason": reason}
            self._voice.say(action, {"instance": instance, **facts})

    def _tell_who_lives(self) -> None:
        """Say a heartbeat for each living instance that is due, but for the shipper's own: no word causes another.

        None is said while the sink does not take events; the next comes when it does again.
        """
        if self.dispatch.failing:
            return
        now = self._wall()
        for instance, source in self._reading.sources.items():
            if not source.snapshot.alive or not source.snapshot.segments or instance == self._voice.id:
                continue
            pulse = self.acknowledged.pulse(instance)
            if pulse.is_due(now, source.last):
                waiting = [each for each in self.dispatch.unsettled() if each.instance == instance]
                facts = source.condition(waiting, pulse.dropped, now)
                self._voice.say("heartbeat", facts)
                pulse.at_ns, pulse.last_seq = now, facts["last_seq"]
                self._dirty = True

    def _end_the_dead(self, sources: Iterable[Source]) -> None:
        """Tell the end of instances whose writers died without a close event, once everything of them is settled."""
        over = [
            source
            for source in sources
            if source.snapshot.id not in self.acknowledged.ended and source.read_to_the_end()
        ]
        waiting = {delivery.instance for delivery in self.dispatch.unsettled()} if over else set()
        for source in over:
            instance = source.snapshot.id
            if instance in waiting:
                continue
            if source.snapshot.segments and not source.closed:
                facts = {"instance": instance, "last_seq": source.last}
                if source.damaged:
                    facts["torn_bytes"] = source.damaged
                self._voice.say("crash-close", facts)
            self.acknowledged.ended.add(instance)
            self._dirty = True

    def save(self) -> bool:
        """Make what is delivered findable and its acknowledgement durable, then remove what is not needed any more.

        False if that failed; ``error`` says why.
        """
        try:
            self._sink.flush()
            self.acknowledged.save()
        except (StoreUnavailable, OSError) as error:
            self.dispatch.trouble(str(error))
            return False
        self._saved_at, self._dirty = self._monotonic(), False
        self._remove()
        return True

    def _remove(self) -> None:
        """Segments all of whose events are acknowledged, and all of an instance that is over."""
        unsettled: dict[tuple[str, bool], int] = {}
        for each in self.dispatch.unsettled():
            place = each.instance, each.priority
            unsettled[place] = min(each.sequence, unsettled.get(place, each.sequence))
        removed = False
        for source in list(self._reading.sources.values()):
            instance = source.snapshot.id
            lowest = {lane: unsettled.get((instance, lane == "priority")) for lane in LANES}
            ended = instance in self.acknowledged.ended and source.read_to_the_end()
            for name in source.take_finished(lowest):
                (self.spool / str(name)).unlink(missing_ok=True)
                source.removed(name)
                removed = True
            if ended and lowest == dict.fromkeys(LANES):
                (self.spool / f"{instance}.lock").unlink(missing_ok=True)
                del self._reading.sources[instance]
                self.acknowledged.forget(instance)
                self.dispatch.forget(instance)
        if removed:
            sync_directory(self.spool)

    def run(self, stop: threading.Event, tell: Callable[[Shipper], None] = lambda shipper: None) -> None:
        """Ship until ``stop`` is set; ``tell`` is called after each pass. Then say good-bye and deliver the rest."""
        pause = BUSY_S
        while not stop.is_set():
            pause = BUSY_S if self.step() or self.dispatch.in_flight else min(IDLE_S, pause * 1.5)
            tell(self)
            if not self.dispatch.in_flight:
                stop.wait(pause)
        self.finish()
        tell(self)

    def once(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Report:
        """Ship what lies in the spools now; ``progress`` is told bytes, batch by batch.

        Raises StoreUnavailable when the sink refuses several times in a row, or before a long pause.
        """
        total = used_bytes(self.spool)
        progress(0, total)
        passed = 0

        def done(deliveries: Sequence[Delivery]) -> None:
            nonlocal passed
            passed = min(total, passed + size_of(deliveries) + HEADER_SIZE * len(deliveries))
            progress(passed, total)

        self._done = done
        begun = {name: size for each in instances(self.spool) for name, size in each.segments.items()}
        while True:
            self.step()
            wait_s = self.dispatch.due_in()
            if self.dispatch.breaker.rounds >= ONCE_TRIES or (wait_s > ONCE_PATIENCE_S and not self.dispatch.in_flight):
                self.finish()
                raise self._failure()
            if self.dispatch.in_flight:
                self.dispatch.collect(PASS_S)
            elif self.dispatch.failing or not self.dispatch.is_empty():
                time.sleep(wait_s)
            elif self._exhausted or self._reading.is_past(begun):
                break
        if not self.finish():
            raise self._failure()
        progress(total, total)
        return self.report

    def _failure(self) -> StoreUnavailable:
        failure = self.dispatch.failure
        return failure if failure is not None and str(failure) == self.error else StoreUnavailable(self.error)

    def finish(self) -> bool:
        """Deliver the rest and, when its own instance has ended, its last words; save; close the sink.

        What is under way is waited for, ten seconds at most. False if something could not be saved.
        """
        until = self._monotonic() + GRACE_S
        try:
            self._finish_reading(until)
        except OSError as error:
            self._unreadable(error)
            self._voice.end()
        saved = self.save()
        try:
            self.dispatch.end()
        except OSError:  # the next life takes for sent what might have been
            pass
        self._quarantine.close()
        self._sink.close()
        return saved

    def _finish_reading(self, until: float) -> None:
        self._look()
        self._pass()
        self._wait(until)
        self._tell_who_lives()
        self._voice.end()
        self._deliver_own_words(until)

    def _wait(self, until: float) -> None:
        while self.dispatch.in_flight and (left := until - self._monotonic()) > 0:
            self.dispatch.collect(min(left, PASS_S))
            self.dispatch.turn()
        self._end_the_dead(self._reading.sources.values())

    def _deliver_own_words(self, until: float) -> None:
        """What the shipper said itself and no other event: nothing could be told of what becomes of it any more."""
        self._look()
        own = self._reading.sources.get(self._voice.id)
        if own is None:
            return
        for lane in LANES:
            while self.dispatch.wants() and (read := self._reading.read_of(own, lane, READ_BYTES)) is not None:
                self.dispatch.offer(read)
                self.dispatch.turn()
                while self.dispatch.in_flight and (left := until - self._monotonic()) > 0:
                    self.dispatch.collect(min(left, PASS_S))
                    self.dispatch.turn()
        self._end_the_dead([own])
