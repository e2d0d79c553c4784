"""Takes batches for good: stores what is new of them, and keeps the search index close behind."""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from clusterlog.errors import HomeBusy, StoreUnavailable
from clusterlog.spool import liveness
from clusterlog.store.base import Delivery, Outcome
from clusterlog.store.embedded.index import schema
from clusterlog.store.embedded.index.failure import ViewBroken
from clusterlog.store.embedded.index.foreign import ForeignIds
from clusterlog.store.embedded.index.view import View, is_whole
from clusterlog.store.embedded.intake import Fresh, Judge
from clusterlog.store.embedded.raw import frames, partition
from clusterlog.store.embedded.raw.files import replace_file
from clusterlog.store.embedded.raw.ledger import Ledger, read_records
from clusterlog.store.embedded.raw.live import LivePartition
from clusterlog.store.embedded.raw.partition import Summary

LOCK = "lock"
COMMIT_EVENTS = 20_000
COMMIT_S = 1.0
MEND_S = 5.0
PARTITION_EVENTS = 500_000
PARTITION_BYTES = 1 << 30
SAMPLES, SAMPLE_BYTES = 3_000, 4 << 10


class Writer:
    """The one writer of a store. ``clock`` gives nanoseconds since the epoch: the time of arrival.

    Raises ``HomeBusy`` while another one writes, ``StoreUnavailable`` when the files cannot be used.
    """

    def __init__(self, store: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock = clock
        self._changed = threading.Condition(threading.RLock())
        self._ledger = Ledger()
        self._samples: deque[bytes] = deque(maxlen=SAMPLES)
        self._foreign = ForeignIds()
        self._closed = False
        self._due: float | None = None
        self.commits = 0
        self._lock = _take_lock(store)
        try:
            self._live = self._recover()
            self._view = self._look()
        except BaseException as error:
            self._closed = True
            liveness.let_go(store / LOCK, self._lock)
            if isinstance(error, OSError):
                raise StoreUnavailable(f"cannot open the store {store}: {error.strerror}") from error
            raise
        self._committer = threading.Thread(target=self._commit_in_time, name="clusterlog-store", daemon=True)
        self._committer.start()

    def deliver(self, batch: Sequence[Delivery]) -> list[Outcome]:
        """Judge and store: what is answered ``stored`` is on disk. Raises ``StoreUnavailable`` when nothing is."""
        with self._changed:
            if self._closed:
                raise StoreUnavailable(f"the store {self._store} is closed")
            arrival = self._clock()
            self._roll(arrival)
            judge = Judge(self._ledger, self._is_known, self._view.indexer, self._view.heads)
            outcomes = judge.judge(batch, self._live.next_seq, arrival)
            if judge.fresh.bodies:
                self._store_fresh(judge.fresh, arrival)
            return outcomes

    def _store_fresh(self, fresh: Fresh, arrival: int) -> None:
        first = self._live.next_seq
        ids = self._live.append(fresh.bodies, fresh.times_us, fresh.own, arrival)
        self._ledger.add(ids)
        self._foreign.uncommitted |= fresh.foreign
        self._learn(fresh.bodies)
        try:
            if self._view.is_open:
                self._view.add(fresh.documents, fresh.bodies, first, fresh.times_us)
                if self._view.pending >= COMMIT_EVENTS:
                    self._commit()
        except ViewBroken:
            self._view.abandon()
        if self._due is None and (self._view.pending or not self._view.is_open):
            self._due = time.monotonic() + (COMMIT_S if self._view.is_open else MEND_S)
            self._changed.notify()

    def flush(self) -> None:
        """Everything delivered is findable when it returns. Raises ``StoreUnavailable`` if that cannot be."""
        with self._changed:
            if self._closed:
                return
            reason = self._catch_up()
        if reason:
            raise StoreUnavailable(f"all is safe in {self._store}, but its search index cannot be written: {reason}")

    def close(self) -> None:
        """Flush and let go. Idempotent."""
        with self._changed:
            if self._closed:
                return
            try:
                self.flush()
            finally:
                self._closed = True
                self._changed.notify()
                try:
                    self._view.close()
                except ViewBroken:
                    pass  # it was flushed; what is left of its merges the next opening clears away
                self._live.close()
                liveness.let_go(self._store / LOCK, self._lock)
        self._committer.join()

    def _commit(self) -> None:
        self._view.commit()
        self._foreign.commit(self._live.directory)
        self._due = None
        self.commits += 1

    def _catch_up(self) -> str:
        """Let the index know everything; returns why that cannot be.

        It returns and does not raise, since a traceback would hold the dead writer, and that the lock of its index.
        """
        try:
            if not self._view.is_open:
                self._view.open()
                self.commits += 1
            if self._view.pending or self._foreign.uncommitted:
                self._commit()
            self._due = None
        except (ViewBroken, StoreUnavailable) as error:
            self._view.abandon()
            self._due = time.monotonic() + MEND_S
            return str(error)
        return ""

    def _commit_in_time(self) -> None:
        """The committer's thread: what was delivered is findable a second later, whoever is calling or not."""
        with self._changed:
            while not self._closed:
                left = None if self._due is None else self._due - time.monotonic()
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                self._catch_up()

    def _is_known(self, id: str) -> bool | None:
        if not self._view.is_open:
            return True if id in self._foreign.uncommitted else None
        return self._foreign.holds(id, self._store)

    def _recover(self) -> LivePartition:
        for left in (self._store / partition.PARTS).glob(".*.new"):
            shutil.rmtree(left)
        there = partition.directories(self._store)
        for directory in there[:-1]:
            self._mend(directory)
        live = LivePartition.recover(there[-1]) if there else self._create(1, None)
        self._ledger.add(live.ids())
        return live

    def _mend(self, directory: Path) -> None:
        """A partition that takes no more events: finished, with a whole index, its ids known."""
        summary = Summary.read(directory)
        if summary is not None and summary.index == schema.VERSION and summary.describes(directory):
            ids = read_records((directory / partition.IDS).read_bytes())
            if ids is not None and len(ids) == summary.ids and is_whole(directory / partition.INDEX, summary.events):
                self._ledger.add(ids)
                return
        live = LivePartition.recover(directory)
        try:
            self._ledger.add(live.ids())
            view = View(live)
            view.open()
            view.close()
            live.finish(schema.VERSION)
        except ViewBroken:
            pass  # it is searched by its frames until it can be mended
        finally:
            live.close()

    def _create(self, number: int, dictionary: bytes | None) -> LivePartition:
        return LivePartition.create(self._store, f"{_day(self._clock())}-{number:06d}", dictionary)

    def _look(self) -> View:
        """Open the index of the newest partition. Where that fails, storing goes on and finding follows later."""
        view = View(self._live)
        try:
            view.open()
        except ViewBroken:
            view.abandon()
            self._due = time.monotonic() + MEND_S
        return view

    def _roll(self, arrival: int) -> None:
        """Begin a new partition when the newest is full or of a day that is over."""
        live = self._live
        full = live.events >= PARTITION_EVENTS or live.bytes >= PARTITION_BYTES
        if not full and (not live.events or _day(arrival) <= live.directory.name.partition("-")[0]):
            return
        try:
            if not self._view.is_open:
                return
            self._commit()
            dictionary = frames.train(self._samples) if len(self._samples) == SAMPLES else None
            fresh = self._create(partition.number_of(live.directory) + 1, dictionary or live.dictionary)
        except (ViewBroken, OSError):
            return  # the old one goes on: a full disk must not stand between two partitions
        try:
            self._view.close()
            live.finish(schema.VERSION)
        except (ViewBroken, OSError):
            pass  # committed already; it is finished by the next opening
        live.close()
        self._live = fresh
        self._view = self._look()

    def _learn(self, bodies: Sequence[bytes]) -> None:
        """Keep samples; the first partition gets its dictionary as soon as there are enough."""
        step = 1 if self._live.dictionary is None else 8  # of a long time, once there is no hurry
        self._samples.extend(body for body in bodies[::step] if len(body) <= SAMPLE_BYTES)
        if self._live.dictionary is None and len(self._samples) == SAMPLES:
            dictionary = frames.train(self._samples)
            self._samples.clear()
            if dictionary is not None:
                try:
                    replace_file(self._live.directory / partition.DICTIONARY, dictionary)
                except OSError:
                    return  # frames without one are larger, that is all
                self._live.use(dictionary)


def _day(arrival: int) -> str:
    return datetime.fromtimestamp(arrival / 1e9, UTC).strftime("%Y%m%d")


def _take_lock(store: Path) -> int:
    try:
        for directory in (store, store / partition.PARTS):
            directory.mkdir(0o700, parents=True, exist_ok=True)
        lock = liveness.hold(store / LOCK)
    except OSError as error:
        raise StoreUnavailable(f"cannot open the store {store}: {error.strerror}") from error
    if lock < 0:
        raise HomeBusy(str(store), max(0, liveness.holder(store / LOCK)))
    return lock
