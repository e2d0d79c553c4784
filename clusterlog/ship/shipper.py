"""Read, batch, deliver, judge, acknowledge, remove: the process that empties the spools of a home.

It can be killed at any instruction. What it has not acknowledged durably is sent again, and the far end knows the
ids; nothing is removed before its acknowledgement is durable.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from clusterlog.errors import StoreUnavailable
from clusterlog.ship.acknowledged import Acknowledged, sync_directory
from clusterlog.ship.delivery.batch import PROBE_EVENTS, Limits, cut
from clusterlog.ship.dead.quarantine import Quarantine
from clusterlog.ship.retry import Backoff
from clusterlog.ship.source import Source
from clusterlog.spool.budget import used_bytes
from clusterlog.spool.reader import instances
from clusterlog.spool.segment import HEADER_SIZE, LANES, SegmentName
from clusterlog.store.base import Delivery, Outcome, Sink

READ_BYTES = 4 << 20
PASS_BYTES = 16 << 20
"""What one pass reads at most, so that acknowledgements are saved and a request to end is heard in between."""
BULK_SHARE = 0.2
"""The share of a pass that is left to the bulk lane however much lies in the other one."""
SAVE_S = 1.0
SYNC_S = 0.2
BUSY_S, IDLE_S = 0.02, 0.2
ONCE_TRIES = 3


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

    ``voice`` says the shipper's own state events through a spool instance of its own. Clock and chance are arguments
    for tests; ``monotonic`` in seconds, ``wall`` in nanoseconds.
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
        self.backoff = Backoff()
        self.report = Report()
        self.error = ""
        self._sink = sink
        self._voice = voice
        self._limits = limits or Limits()
        self._monotonic, self._wall, self._chance = monotonic, wall, chance
        self._quarantine = Quarantine(home / "dead", voice.id, sink_name)
        self._sources: dict[str, Source] = {}
        self._waiting: list[Delivery] = []
        self._dirty = False
        self._exhausted = True
        self._turn = 0
        self._done: Callable[[Sequence[Delivery]], None] = lambda batch: None
        self._saved_at = self._synced_at = monotonic()

    def step(self) -> int:
        """One pass over all spools: what waits first, then what is new. Returns how many events were judged."""
        now = self._monotonic()
        self._look()
        if now - self._synced_at >= SYNC_S:
            self._synced_at = now
            for source in self._sources.values():
                if source.snapshot.alive:
                    source.sync()
        judged = 0
        if self.backoff.may(now):
            judged = self._pass()
            self._tell_who_lives()
        if self._dirty and self._monotonic() - self._saved_at >= SAVE_S:
            self.save()
        return judged

    def _look(self) -> None:
        found = {each.id: each for each in instances(self.spool)}
        for gone in self._sources.keys() - found.keys():
            del self._sources[gone]
        for gone in self.acknowledged.known() - found.keys():  # removed by a shipper that ended with it
            self.acknowledged.forget(gone)
        for instance, snapshot in found.items():
            source = self._sources.get(instance)
            if source is None:
                self._sources[instance] = Source(self.spool, snapshot, self.acknowledged.of(instance))
            else:
                source.snapshot = snapshot

    def _pass(self) -> int:
        """Deliver what waits and then what is new, up to a bound; WARNING and above goes first."""
        judged = 0
        self._exhausted = True
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            judged += self._deliver(waiting)
        for batch in self._reading():
            judged += self._deliver(batch)
            if self._waiting:
                break
        self._end_the_dead(self._sources.values())
        return judged

    def _reading(self) -> Iterator[list[Delivery]]:
        """What is new, instance by instance, each pass beginning with another one."""
        sources = list(self._sources.values())
        self._turn = (self._turn + 1) % max(1, len(sources))
        sources = sources[self._turn :] + sources[: self._turn]
        left = float(PASS_BYTES)
        for lane, kept in (("priority", PASS_BYTES * BULK_SHARE), ("bulk", 0.0)):
            for source in sources:
                while not self._waiting and left > kept:
                    read = source.read(lane, READ_BYTES)
                    self._count_drops(source)
                    if read is None:
                        break
                    left -= sum(len(each.body) for each in read)
                    yield read
                else:
                    self._exhausted = False

    def _count_drops(self, source: Source) -> None:
        if source.dropped:
            self.acknowledged.dropped.update(source.dropped)
            known = self.acknowledged.pulse(source.snapshot.id).dropped
            for reason, count in source.dropped.items():
                known[reason] = known.get(reason, 0) + count
            self.report.dropped = dict(self.acknowledged.dropped)
            source.dropped.clear()

    def _deliver(self, deliveries: Sequence[Delivery]) -> int:
        """Deliver in batches; what the sink does not judge now waits. Returns how many it judged."""
        judged = 0
        limits = Limits(PROBE_EVENTS, self._limits.bytes) if self.backoff.open else self._limits
        rest = list(cut(deliveries, limits))
        while rest:
            batch = rest.pop(0)
            try:
                outcomes = self._sink.deliver(batch)
            except StoreUnavailable as error:
                self._refused(str(error))
                self._waiting += [each for group in (batch, *rest) for each in group]
                return judged
            again = self._judge(batch, outcomes)
            judged += len(batch) - len(again)
            self._done(batch)
            self._waiting += again
            if again:
                self._refused(f"{len(again)} events are to be sent again")
            else:
                self.backoff.worked()
                self.error = ""
        return judged

    def _refused(self, why: str) -> None:
        self.error = why
        self.backoff.failed(self._monotonic(), self._chance())

    def _judge(self, batch: Sequence[Delivery], outcomes: Sequence[Outcome]) -> list[Delivery]:
        """Acknowledge what is safe, keep aside what is refused; what is left is to be sent again."""
        if len(outcomes) != len(batch):
            return list(batch)
        again = []
        for delivery, outcome in zip(batch, outcomes, strict=True):
            if outcome.status in ("refused", "failure_store"):
                if not self._keep_aside(delivery, outcome.reason):
                    again.append(delivery)
                    continue
            elif outcome.status in ("retry", "blocked"):
                self.error = outcome.reason
                again.append(delivery)
                continue
            elif outcome.status == "stored":
                self.report.stored += 1
            else:
                self.report.duplicates += 1
            if outcome.status in ("stored", "duplicate"):  # as safe; whoever stored it did not live to count it
                self.acknowledged.totals["shipped"] += 1
            self.acknowledged.of(delivery.instance).add(delivery.sequence)
        self._dirty = True
        return again

    def _keep_aside(self, delivery: Delivery, reason: str) -> bool:
        try:
            self._quarantine.keep(delivery, reason, self._wall())
        except OSError as error:
            self.error = f"cannot keep a refused event in {self.home / 'dead'}: {error.strerror}"
            return False
        lost, self._quarantine.dropped = self._quarantine.dropped, 0
        if lost:
            self.acknowledged.dropped["dead_letter_limit"] += lost
        self.report.dead += 1
        self.acknowledged.totals["dead"] += 1
        if delivery.instance != self._voice.id:  # of its own words nothing is told: that might be refused as well
            facts = {"first_seq": delivery.sequence, "last_seq": delivery.sequence, "count": 1}
            self._voice.say("dead-letter", {"instance": delivery.instance, "reason": reason[:200], **facts})
        return True

    def _tell_who_lives(self) -> None:
        """Say a heartbeat for each living instance that is due, but for the shipper's own: no word causes another.

        None is said while the sink does not take events; the next comes when it does again.
        """
        if self.backoff.failures:
            return
        now = self._wall()
        for instance, source in self._sources.items():
            if not source.snapshot.alive or not source.snapshot.segments or instance == self._voice.id:
                continue
            pulse = self.acknowledged.pulse(instance)
            if pulse.is_due(now, source.last):
                waiting = [each for each in self._waiting if each.instance == instance]
                facts = source.condition(waiting, pulse.dropped, now)
                self._voice.say("heartbeat", facts)
                pulse.at_ns, pulse.last_seq = now, facts["last_seq"]
                self._dirty = True

    def _end_the_dead(self, sources: Iterable[Source]) -> None:
        """Tell the end of instances whose writers died without a close event, once everything of them is judged."""
        waiting = {delivery.instance for delivery in self._waiting}
        for source in sources:
            instance = source.snapshot.id
            if instance in waiting or instance in self.acknowledged.ended or not source.read_to_the_end():
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
            self._refused(str(error))
            return False
        self._saved_at, self._dirty = self._monotonic(), False
        self._remove()
        return True

    def _remove(self) -> None:
        waiting = {delivery.instance for delivery in self._waiting}
        removed = False
        for source in list(self._sources.values()):
            instance = source.snapshot.id
            if instance in waiting:
                continue
            ended = instance in self.acknowledged.ended and source.read_to_the_end()
            for name in source.take_finished():
                (self.spool / str(name)).unlink(missing_ok=True)
                source.removed(name)
                removed = True
            if ended:
                (self.spool / f"{instance}.lock").unlink(missing_ok=True)
                del self._sources[instance]
                self.acknowledged.forget(instance)
        if removed:
            sync_directory(self.spool)

    def run(self, stop: threading.Event, tell: Callable[[Shipper], None] = lambda shipper: None) -> None:
        """Ship until ``stop`` is set; ``tell`` is called after each pass. Then say good-bye and deliver the rest."""
        pause = BUSY_S
        while not stop.is_set():
            pause = BUSY_S if self.step() else min(IDLE_S, pause * 1.5)
            tell(self)
            stop.wait(pause)
        self.finish()

    def once(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Report:
        """Ship what lies in the spools now; ``progress`` is told bytes, batch by batch.

        Raises StoreUnavailable when the sink refuses several times in a row.
        """
        total = used_bytes(self.spool)
        progress(0, total)
        passed = 0

        def done(batch: Sequence[Delivery]) -> None:
            nonlocal passed
            passed = min(total, passed + sum(len(each.body) + HEADER_SIZE for each in batch))
            progress(passed, total)

        self._done = done
        begun = {name: size for each in instances(self.spool) for name, size in each.segments.items()}
        while True:
            self.step()
            if self.backoff.failures >= ONCE_TRIES:
                self.save()
                raise StoreUnavailable(self.error)
            if self._waiting or self.backoff.failures:
                time.sleep(max(0.0, self.backoff.due - self._monotonic()))
            elif self._exhausted or self._is_past(begun):
                break
        if not self.finish():
            raise StoreUnavailable(self.error)
        progress(total, total)
        return self.report

    def _is_past(self, segments: Mapping[SegmentName, int]) -> bool:
        """Whether all that lay in the spools at one moment has been read, however much was written since."""
        known = ((self._sources.get(name.instance), name, size) for name, size in segments.items())
        return all(source is None or source.is_past(name, size) for source, name, size in known)

    def _deliver_own_words(self) -> None:
        """What the shipper said itself and no other event: nothing could be told of what becomes of it any more."""
        self._look()
        own = self._sources.get(self._voice.id)
        if own is None:
            return
        for lane in LANES:
            while not self._waiting and (read := own.read(lane, READ_BYTES)) is not None:
                self._deliver(read)
        self._end_the_dead([own])

    def finish(self) -> bool:
        """Deliver the rest and, when its own instance has ended, its last words; save; close the sink.

        False if that failed.
        """
        self._look()
        self._pass()
        self._tell_who_lives()
        self._voice.end()
        self._deliver_own_words()
        saved = self.save()
        self._quarantine.close()
        self._sink.close()
        return saved
