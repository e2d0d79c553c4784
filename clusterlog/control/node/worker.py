"""One process's part in its cluster: a daemon thread that follows the bus, and says what is in force here.

Nothing of it is touched by a log call. Whatever happens to the bus, the thread goes on: what was put in force ends on
time, and it tries again, with full jitter, for ever.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from clusterlog.control import members
from clusterlog.control.bus.base import Bus, Changed, Gap, Link, Notice
from clusterlog.control.members import HEARTBEAT_S, Report
from clusterlog.control.node.audit import Tell
from clusterlog.control.node.desired import Clock
from clusterlog.control.node.hand import Hand
from clusterlog.control.node.pace import BackOff, about
from clusterlog.control.node.seat import Seat
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import BusUnreachable, ClusterlogError

LEASE_S = 3 * HEARTBEAT_S
LOOK_S = 30.0
_CHAIR_S = 0.5
"""How often a worker tries the keeper's chair; a keeper that was killed has a follower within a second or so."""
_JUMP_NS = 1_000_000_000
"""A wall clock that moved by more than this beside the boot clock was set; a machine that slept so long has woken."""


@dataclass(frozen=True, slots=True)
class Self:
    """What a worker says of itself that does not change: the names of ``Report``, and of its process."""

    report: Report
    pid: int
    started_ns: int


@dataclass(frozen=True, slots=True)
class Road:
    """What the road gives: ``tell`` puts state events on it, ``instance()`` is this process's, empty without one.

    ``dropped()`` counts events lost so far, ``lag_s()`` is how far the shipper of the home is behind.
    """

    tell: Tell
    instance: Callable[[], str]
    dropped: Callable[[], int]
    lag_s: Callable[[], float | None]


class Worker:
    """Runs ``hand`` over ``bus``. ``seated`` makes this worker's seat in the home, once, for its instance."""

    def __init__(
        self,
        me: Self,
        hand: Hand,
        bus: Bus,
        sealer: Sealer,
        road: Road,
        seated: Callable[[str], Seat | None],
        clock: Clock,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self.me = me
        self.hand = hand
        self.bus = bus
        self.sealer = sealer
        self.seat: Seat | None = None
        self.instance = ""
        self.faults: Counter[str] = hand.faults
        self.attached = threading.Event()
        """Set while there is a link."""
        self._road = road
        self._seated = seated
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._link: Link | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._back_off = BackOff()
        self._said = -1
        hand.changed = self.wake

    def start(self) -> None:
        """Begin. Returns at once."""
        self._thread = threading.Thread(target=self.run, name="clusterlog-control", daemon=True)
        self._thread.start()

    def stop(self, patience_s: float = 0.5) -> None:
        """Leave the cluster: the thread gives its lease back and ends; it is waited for as long as ``patience_s``."""
        self._stopping.set()
        self.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(patience_s)

    def wake(self) -> None:
        """Have the thread look at what there is to do. Safe from any thread."""
        link = self._link
        if link is not None:
            with suppress(Exception):
                link.wake()

    def run(self) -> None:
        """The thread. Never raises."""
        try:
            self._begin()
            while not self._stopping.is_set():
                try:
                    self._attached()
                except ClusterlogError as error:
                    self.faults[type(error).__name__] += 1
                except Exception:  # a fault of ours; the next attempt may do better, and nobody is to suffer from it
                    self.faults["internal_error"] += 1
                self._stopping.wait(self._back_off.failed())
        finally:
            if self.seat is not None:
                self.seat.leave()

    def _begin(self) -> None:
        self._road.tell("join", "", {}, {})
        self.instance = self._road.instance()
        try:
            self.seat = self._seated(self.instance)
        except OSError:
            self.faults["no_seat"] += 1
        self.hand.introduced(self.instance, 0 if self.seat is None else self.seat.number)

    def _attached(self) -> None:
        """From one connection to the bus until it is lost, or until we stop."""
        link = self._link = self.bus.open()
        try:
            self.attached.set()
            self._follow(link)
            self._leave(link)
        finally:
            self.attached.clear()
            self._link = None
            link.close()

    def _follow(self, link: Link) -> None:
        self._look(link)
        self._lease(link)
        self._back_off.worked()
        now = time.monotonic()
        beat, look = now + about(self._heartbeat_s), now + about(LOOK_S)
        while not self._stopping.is_set():
            skew = self._skew()
            chair = _CHAIR_S if self.seat is not None and not self.seat.try_chair() else LOOK_S
            notices = link.wait(max(0.0, min(beat, look, now + chair) - time.monotonic()))
            now = time.monotonic()
            jumped = abs(self._skew() - skew) > _JUMP_NS
            if jumped or now >= look or self._asked(notices):
                self._look(link)
                look = now + about(LOOK_S)
            if self.hand.drifted() or now >= beat or self.hand.changes != self._said:
                self._lease(link)
                beat = now + about(self._heartbeat_s)

    def _skew(self) -> int:
        """What is between the clocks; it moves when the wall clock is set."""
        return self._clock.wall_ns() - self._clock.boot_ns()

    def _asked(self, notices: Sequence[Notice]) -> bool:
        """Take what has come; whether a look at the store is due."""
        look = False
        for notice in notices:
            if isinstance(notice, Changed):
                if notice.document is not None:
                    self.hand.handed(notice.document)
                look = True
            elif isinstance(notice, Gap):
                look = True
        return look

    def _look(self, link: Link) -> None:
        before = self._clock.boot_ns()
        snapshot = link.read()
        changed = self.hand.looked(snapshot, before)
        if changed and (self.seat is None or self.seat.keeper):
            self.hand.keep()

    def _lease(self, link: Link) -> None:
        """Say what is in force here, after it is."""
        changes = self.hand.changes
        status = self.hand.status(self.me.pid, self.me.started_ns, self._road.dropped())
        report = members.fields_of(_with(self.me.report, status, self._road.lag_s()))
        link.lease(self.key, self.sealer.seal(report), LEASE_S, status.applied)
        self._said = changes

    @property
    def key(self) -> str:
        """Of the lease."""
        return f"{self.me.report.service}/{self.me.report.node}/{self.instance}"

    def _leave(self, link: Link) -> None:
        with suppress(BusUnreachable):
            link.release(self.key)


def _with(report: Report, status: members.Status, lag_s: float | None) -> Report:
    return replace(report, workers=(status,), lag_s=lag_s)


def this_process() -> tuple[int, int]:
    """Its id, and when this was asked, since the epoch: a recycled id is another process."""
    return os.getpid(), time.time_ns()
