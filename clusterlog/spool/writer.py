"""One process's end of the spool: number, frame, checksum, one write, return.

No thread, no queue, no network. What can be done before the number is known is done by the caller outside the lock.
The writer never raises an error of its own into the caller: what cannot be written is dropped, counted with its
reason, and leaves its number behind.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from zlib import crc32

from clusterlog.spool import descriptor, filesystem, liveness, syncing
from clusterlog.spool.budget import Budget, Ledger
from clusterlog.spool.lane import FULL, Lane, reason_of
from clusterlog.spool.segment import (
    CRC,
    CRC_AT,
    FLAGS_AT,
    HEADER_SIZE,
    MAX_EVENT,
    NUMBERS,
    NUMBERS_AT,
    STATE,
    Head,
    numbered,
)
from clusterlog.spool.syncing import Durability, Syncing, Unsynced

_QUIET = FULL | {"disk_limit", "disk_low", "closed", "oversize"}
"""Reasons that are policy, not trouble: what they drop is counted, and not printed as a last resort."""

_put_numbers, _put_crc = NUMBERS.pack_into, CRC.pack_into


class Writer:
    """Appends under the numbers of one instance; a forked child becomes an instance of its own at its first append.

    ``head(instance)`` makes the numbering part of a document for an instance; ``state(action, facts)`` makes the rest
    of a state event; ``new_instance()`` makes ids (32 hex digits); ``last_resort(reason, payload)`` gets what no file
    took. ``durability`` is the setting of that name: ``interval`` leaves fdatasync to the shipper while
    ``shipper_lives()``, ``level`` syncs the priority lane at once, ``strict`` every event. ``clock`` tells the time by
    which segments age, lanes rest and syncs fall due, in nanoseconds; the time an event claims does not touch these.
    """

    # More attributes than Python keeps in line without slots, and the hot path reads a dozen of them.
    __slots__ = (
        "_bulk",
        "_busy",
        "_clock",
        "_doubt",
        "_head",
        "_last_resort",
        "_lock",
        "_lock_fd",
        "_lock_file",
        "_make_head",
        "_new_instance",
        "_opened",
        "_page",
        "_priority",
        "_rebirths",
        "_segment_bytes",
        "_shipper_lives",
        "_state",
        "_syncing",
        "_to_sync",
        "_waiting",
        "budget",
        "closed",
        "durability",
        "instance",
        "ledger",
        "parent",
        "sequence",
        "spool",
    )

    def __init__(
        self,
        spool: Path,
        *,
        head: Callable[[str], Head],
        state: Callable[[str, Mapping[str, object]], bytes],
        new_instance: Callable[[], str],
        budget: Budget | None = None,
        durability: Durability = "interval",
        shipper_lives: Callable[[], bool] = lambda: True,
        last_resort: Callable[[str, bytes], None] = lambda reason, payload: None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.spool = spool
        self.budget = budget or Budget()
        self.durability = durability
        self._segment_bytes = self.budget.segment_bytes
        self._make_head = head
        self._state = state
        self._new_instance = new_instance
        self._shipper_lives = shipper_lives
        self._last_resort = last_resort
        self._clock = clock
        self._page = descriptor.fork_page()
        self._rebirths: dict[int, int] = {}
        self.closed = False
        self._begin_life(parent="")

    def _begin_life(self, parent: str) -> None:
        self._lock = threading.RLock()
        self._busy = False
        self._waiting: deque[tuple[bool, int, bytes, int]] = deque()
        self._to_sync: list[Unsynced] = []
        self.ledger = Ledger()
        self._begin_instance(parent)
        self._page[0] = 1

    def _begin_instance(self, parent: str) -> None:
        self._bulk = Lane(priority=False, eager=self.durability == "strict")
        self._priority = Lane(priority=True, eager=self.durability in ("level", "strict"))
        self._doubt: tuple[Lane, int] | None = None
        self._lock_fd, self._lock_file = -1, descriptor.NONE
        self._syncing = Syncing(self.durability, self._shipper_lives)
        self.parent = parent
        self.instance = ""
        self._opened = False
        self.sequence = 0

    def append(self, priority: bool, ns: int, rest: bytes, flags: int = 0) -> None:
        """Write one document: ``head`` with the next number, then ``rest``; then it is in the page cache, or counted.

        ``ns`` is the wall clock of the event. Safe in signal handlers and finalisers: a call from inside another one
        is written by the outer one before it returns.
        """
        if not self._page[0]:
            self._reborn()
        with self._lock:
            if self._busy:
                self._waiting.append((priority, ns, rest, flags))
                return
            self._busy = True
            try:
                self._write(self._priority if priority else self._bulk, ns, rest, flags)
                while self._waiting:
                    priority, ns, rest, flags = self._waiting.popleft()
                    self._write(self._priority if priority else self._bulk, ns, rest, flags)
            finally:
                self._busy = False
            to_sync = self._to_sync
            if to_sync:
                self._to_sync = []
        if to_sync:
            self._sync(to_sync)

    def _write(self, lane: Lane, ns: int, rest: bytes, flags: int) -> bool:
        # The hot path: no call that is not needed, one buffer, one checksum, one write.
        due = not lane.since <= ns < lane.until or lane.offset >= lane.room
        if due and not self._ready(lane, ns):
            return self._refuse(lane, lane.trouble, ns, rest, flags)
        sequence = self.sequence + 1
        record = lane.header + lane.stamp % (ns - lane.second, sequence, sequence)
        record += rest
        size = len(record) - HEADER_SIZE
        if size > MAX_EVENT:
            self._refuse(lane, "oversize", ns, rest, flags)
            self._report_losses(self._clock())
            return False
        if flags:
            record[FLAGS_AT] |= flags
        _put_numbers(record, NUMBERS_AT, size, 0, sequence, ns)
        _put_crc(record, CRC_AT, crc32(record, lane.seed))
        try:
            written = os.write(lane.fd, record)
            self.sequence = sequence
            lane.offset += written
        except OSError as error:
            return self._failed(lane, reason_of(error), ns, rest, flags)
        except BaseException:
            # A signal handler raised between the write and its bookkeeping. Nothing is called here, since a call is
            # where the next signal would be noticed: both lanes go the slow way next, which asks the file.
            self._doubt = lane, sequence
            self._bulk.until = self._priority.until = 0
            raise
        if written != size + HEADER_SIZE:
            self.sequence = sequence - 1
            lane.offset -= written
            lane.cut_back()
            return self._failed(lane, "disk_full", ns, rest, flags)
        lane.unsynced = True
        if due or lane.eager:
            self._to_sync += self._syncing.asked(lane, (self._bulk, self._priority), self._clock)
        return True

    def _ready(self, lane: Lane, ns: int) -> bool:
        """Make the lane writable, at the very first the instance too. If not, ``lane.trouble`` says why."""
        now = self._clock()
        if self._doubt is not None:
            self._settle(*self._doubt)
        if self.instance:
            self._check_files()
        if self.closed:
            lane.stop("closed", now)
        if lane.rests(now):
            return False
        for _ in range(2):  # the state events written here may find the segment unfit, so that it takes another
            if not lane.resume(now, self._segment_bytes) and not self._begin_segment(lane, now):
                return False
            if not self._opened:
                self._open(lane, now)
            if self.ledger.pending:
                self._report_losses(now)
            if lane.fd >= 0 or lane.trouble:
                break
        if lane.fd < 0 and not lane.trouble:
            lane.stop("disk_error", now)
        if lane.trouble:
            return False
        lane.aim(self._head, ns, now, self._syncing.next_due(now), self._segment_bytes)
        return True

    def _check_files(self) -> None:
        """Leave files that were removed, or whose descriptors were closed, under us."""
        for lane in (self._bulk, self._priority):
            if not lane.intact():
                lane.shut()
        if not descriptor.intact(self._lock_fd, self._lock_file):
            # Without its lock the instance counts as dead: what follows is a life of its own.
            liveness.abandon(self.spool / f"{self.instance}.lock")
            self._close_all()
            self.ledger.pending.clear()
            self._begin_instance(parent=self.instance)

    def _begin_segment(self, lane: Lane, now: int) -> bool:
        try:
            if not self.instance:
                self._open_instance()
            self._to_sync += self._syncing.leaving(lane, now)
            refusal = self.budget.refusal(self.spool, bool(lane.flags))
            if refusal:
                lane.shut()
                lane.stop(refusal, now)
                return False
            lane.begin(self.spool, self.instance, now)
        except OSError as error:
            lane.stop(reason_of(error), now)
            return False
        return True

    def _open_instance(self) -> None:
        filesystem.make_private(self.spool)
        instance = self._new_instance()
        self._lock_fd = liveness.take(self.spool / f"{instance}.lock")
        self._lock_file = descriptor.identity(self._lock_fd)
        self._head = self._make_head(instance)
        self.instance = instance

    def _open(self, lane: Lane, now: int) -> None:
        self._opened = True  # for what is written inside
        try:
            self._opened = self._write_state(lane, "open", {"parent": self.parent} if self.parent else {}, now)
        except BaseException:  # a signal handler raised: rather told twice than never
            self._opened = False
            raise

    def _write_state(self, lane: Lane, action: str, facts: Mapping[str, object], now: int) -> bool:
        return self._write(lane, now, self._state(action, {"instance": self.instance, **facts}), STATE)

    def _report_losses(self, now: int) -> None:
        """One drop event per stretch of lost numbers; what cannot be written now stays in the ledger."""
        losses = self.ledger.take()
        for told, loss in enumerate(losses):
            if not self._write_state(self._priority, "drop", loss.facts(), now):
                self.ledger.put_back(losses[told:])
                return

    def _refuse(self, lane: Lane, reason: str, ns: int, rest: bytes, flags: int) -> bool:
        """Number and count what is not written: the number is used up, so that the loss shows as a gap.

        A state event takes its number only when it is written; what it tells of is tried again.
        """
        if not flags & STATE:
            self.sequence += 1
            self.ledger.add(reason, self.sequence, bool(lane.flags))
            if reason not in _QUIET:
                self._last_resort(
                    reason, numbered(self._make_head(self.instance or "0" * 32), ns, self.sequence) + rest
                )
        return False

    def _failed(self, lane: Lane, reason: str, ns: int, rest: bytes, flags: int) -> bool:
        """A write did not happen: on a full disk wait in this segment, else leave it, since a fresh one may work."""
        if reason not in FULL:
            lane.shut()
        lane.stop(reason, self._clock())
        return self._refuse(lane, reason, ns, rest, flags)

    def _settle(self, lane: Lane, sequence: int) -> None:
        """After an interruption the file itself tells whether the record got there."""
        try:
            size = os.fstat(lane.fd).st_size
        except OSError:
            lane.shut()
            size = lane.offset
        if size > lane.offset:
            self.sequence = sequence
        lane.offset = size
        self._doubt = None

    def _sync(self, files: list[Unsynced]) -> bool:
        """fdatasync without the lock. A segment that failed is left, since the kernel calls its pages clean then."""
        whole = True
        for lane, number in syncing.failures(files):
            whole = False
            with self._lock:
                self.ledger.total["sync_failed"] += 1
                if lane.number == number:
                    lane.shut()
        return whole

    def flush(self, timeout: float = 1.0) -> bool:
        """fdatasync what was written; False if that failed, or the lock was not had in ``timeout`` seconds."""
        if not self._page[0]:
            return True
        if not self._lock.acquire(timeout=timeout):
            return False
        try:
            files = self._to_sync + syncing.collected(self._bulk, self._priority)
            self._to_sync = []
        finally:
            self._lock.release()
        return self._sync(files)

    def close(self, ns: int, *, reopen: bool = False) -> None:
        """Write the close event, sync, and let the lock go: the instance ends.

        Later appends are counted as dropped; with ``reopen`` they become an instance of their own.
        """
        if not self._page[0]:
            return
        with self._lock:
            if self.closed:
                return
            if self.instance:
                self._end_instance(ns)
            self._tell_untold()
            files, self._to_sync = self._to_sync, []
            if reopen:
                self._begin_instance(parent=self.instance)
            else:
                self.closed = True
        self._sync(files)

    def _end_instance(self, ns: int) -> None:
        self._busy = True
        if self.ledger.pending:
            self._report_losses(ns)
        facts = {"last_seq": self.sequence + 1, "dropped": dict(self.ledger.total)}
        self._write_state(self._bulk, "close", facts, ns)
        self._to_sync += syncing.collected(self._bulk, self._priority)
        self._bulk.shut()
        self._priority.shut()
        fd, self._lock_fd = self._lock_fd, -1
        if descriptor.intact(fd, self._lock_file):
            liveness.release(self.spool / f"{self.instance}.lock", fd)
        self._busy = False

    def _tell_untold(self) -> None:
        """What was lost and could not even be written down is said on standard error, or nobody would know."""
        lost: Counter[str] = Counter()
        for loss in self.ledger.take():
            lost[loss.reason] += loss.last - loss.first + 1
        if lost:
            told = ", ".join(f"{count} {reason}" for reason, count in lost.items())
            self._last_resort("untold", f"events lost in {self.spool}: {told}".encode())

    def _close_all(self) -> None:
        for lane in (self._bulk, self._priority):
            lane.shut()
        if self._lock_fd >= 0:
            descriptor.close(self._lock_fd, self._lock_file)

    def after_fork(self) -> None:
        """Run first thing in a forked child: close what was inherited, begin a new life with the parent noted."""
        parent, closed = self.instance, self.closed
        self._close_all()
        liveness.forget()
        self._begin_life(parent)
        self.closed = closed

    def _reborn(self) -> None:
        """A fork that ran no Python hook is noticed here; one thread makes the new life, the others wait for it."""
        me = threading.get_ident()
        if self._rebirths.setdefault(os.getpid(), me) == me:
            self.after_fork()
        while not self._page[0]:
            time.sleep(0.0001)
