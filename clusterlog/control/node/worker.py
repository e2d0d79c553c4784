"""One process's part in its cluster: a daemon thread that follows the bus, and says what is in force here.

Nothing of it is touched by a log call. Whatever happens to the bus, the thread goes on: what was put in force ends on
time, and it tries again, with full jitter, for ever.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from clusterlog.control import members
from clusterlog.control.bus.base import Bus, Changed, Gap, Link, Notice
from clusterlog.control.members import HEARTBEAT_S, Report
from clusterlog.control.messages.envelope import Sender
from clusterlog.control.messages.switchboard import Switchboard
from clusterlog.control.node.agent import Agent
from clusterlog.control.node.audit import Tell
from clusterlog.control.node.desired import Clock
from clusterlog.control.node.hand import Hand
from clusterlog.control.node.membership import CHANGED, FUNCTIONALITY, GONE, HERE, NodeChange, Watch, hints
from clusterlog.control.node.pace import BackOff, about
from clusterlog.control.node.seat import Seat
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import BusUnreachable, ClusterlogError

LOOK_S = 30.0
_CHAIR_S = 0.5
"""How often a worker tries the keeper's chair; a keeper that was killed has a follower within a second or so."""
_JUMP_NS = 1_000_000_000
"""A wall clock that moved by more than this beside the boot clock was set; a machine that slept so long has woken."""


@dataclass(frozen=True, slots=True)
class Self:
    """What a worker says of itself that does not change: the names of ``Report``, and of its process."""

    report: Report
    instance: str
    pid: int
    started_ns: int


@dataclass(frozen=True, slots=True)
class Road:
    """What the road gives: ``tell`` puts state events on it, ``dropped()`` counts events lost so far.

    ``lag_s()`` is how far the shipper of the home is behind, ``None`` where nobody knows.
    """

    tell: Tell
    dropped: Callable[[], int]
    lag_s: Callable[[], float | None]


class Worker:
    """Runs ``hand`` over ``bus``, that of its home; ``far`` is the cluster's, the same one where there is no other.

    ``seated`` makes this worker's seat in the home; ``agent`` what stands between both buses, for the keeper;
    ``changed`` is told of nodes that came or went.
    """

    def __init__(
        self,
        me: Self,
        hand: Hand,
        bus: Bus,
        far: Bus,
        sealer: Sealer,
        road: Road,
        board: Switchboard,
        seated: Callable[[], Seat | None],
        agent: Callable[[Worker, Seat], Agent | None] = lambda worker, seat: None,
        changed: Callable[[NodeChange], None] = lambda change: None,
        heartbeat_s: float = HEARTBEAT_S,
        clock: Clock | None = None,
    ) -> None:
        self.me = me
        self.hand = hand
        self.far = far
        self.sealer = sealer
        self.faults: Counter[str] = hand.faults
        self.attached = threading.Event()
        """Set while there is a link."""
        self.seat: Seat | None = None
        self.agent: Agent | None = None
        self._bus = bus
        self._road = road
        self._board = board
        self._seated = seated
        self._make_agent = agent
        self._changed = changed
        self._heartbeat_s = heartbeat_s
        self._clock = clock or Clock()
        self._link: Link | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._back_off = BackOff()
        self._said = -1
        self._watch = Watch(sealer, lambda: "", self.lives, heartbeat_s)
        hand.changed = self.wake

    def start(self) -> None:
        """Begin. Returns at once."""
        report = self.me.report
        self._board.begin(
            Sender(self.me.instance, report.node, report.service, self.me.pid), self.sealer, report.role != "receive"
        )
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

    def lives(self, report: Report, worker: members.Status) -> bool:
        """Whether the process of a worker can be alive: of those of this home it is known."""
        seat = self.seat
        return not self.far.local or seat is None or report.host != self.me.report.host or seat.lives(worker.instance)

    def run(self) -> None:
        """The thread. Never raises."""
        try:
            self._sit()
            while not self._stopping.is_set():
                try:
                    self._attached()
                except ClusterlogError as error:
                    self.faults[type(error).__name__] += 1
                except Exception:  # a fault of ours; the next attempt may do better, and nobody is to suffer from it
                    self.faults["internal_error"] += 1
                self._stopping.wait(self._back_off.failed())
        finally:
            if self.agent is not None:
                self.agent.stop()
            if self.seat is not None:
                self.seat.leave()

    def _sit(self) -> None:
        try:
            self.seat = self._seated()
        except OSError:
            self.faults["no_seat"] += 1
        self.hand.introduced(self.me.instance, 0 if self.seat is None else self.seat.number)

    def _attached(self) -> None:
        """From one connection to the bus until it is lost, or until we stop."""
        link = self._link = self._bus.open()
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
        self._board.send(FUNCTIONALITY, HERE, None)
        now = time.monotonic()
        beat, look = now + about(self._heartbeat_s), now + about(LOOK_S)
        while not self._stopping.is_set():
            self._post(link)
            skew = self._skew()
            chair = LOOK_S if self._keeps() else _CHAIR_S
            notices = link.wait(max(0.0, min(beat, look, now + chair) - time.monotonic()))
            now = time.monotonic()
            jumped = abs(self._skew() - skew) > _JUMP_NS
            asked, hinted = self._take(notices)
            if jumped or asked or now >= look:
                self._look(link)
                look = now + about(LOOK_S)
            beaten = now >= beat
            self.hand.looked_after()
            if beaten or self.hand.changes != self._said:
                self._lease(link)
                beat = now + about(self._heartbeat_s)
            if (beaten or hinted) and self._keeps():
                self._members(link)

    def _keeps(self) -> bool:
        """Whether this worker is its home's keeper, by now; one that has become it begins to speak for the others."""
        seat = self.seat
        if seat is None:
            return False
        if not seat.keeper and seat.try_chair():
            self.agent = self._make_agent(self, seat)
            if self.agent is not None:
                self.agent.start()
            self.hand.keep()
        return seat.keeper

    def _skew(self) -> int:
        """What is between the clocks; it moves when the wall clock is set."""
        return self._clock.wall_ns() - self._clock.boot_ns()

    def _take(self, notices: Sequence[Notice]) -> tuple[bool, bool]:
        """Take what has come; whether a look at the store is due, and one at the members."""
        look = hinted = False
        for notice in notices:
            if isinstance(notice, Changed):
                look = True
                if notice.document is not None:
                    self.hand.handed(notice.document)
                continue
            if isinstance(notice, Gap):
                look = hinted = True
            else:
                hinted = hinted or hints(notice.body)
                if self.agent is not None:
                    self.agent.offer(notice.body)
            self._board.receive(notice)
        return look, hinted

    def _post(self, link: Link) -> None:
        """Send what waits to be sent."""
        while (body := self._board.outbox.first()) is not None:
            link.send(body)
            self._board.outbox.sent(body)

    def _look(self, link: Link) -> None:
        before = self._clock.boot_ns()
        snapshot = link.read()
        changed = self.hand.looked(snapshot, before)
        if changed and self.agent is None and (self.seat is None or self.seat.keeper):
            self.hand.keep()

    def _lease(self, link: Link) -> None:
        """Say what is in force here, after it is."""
        changes = self.hand.changes
        status = self.hand.status(self.me.pid, self.me.started_ns, self._road.dropped())
        report = replace(self.me.report, workers=(status,), lag_s=self._road.lag_s())
        link.lease(self.key, self.sealer.seal(members.fields_of(report)), 3 * self._heartbeat_s, status.applied)
        self._said = changes

    @property
    def key(self) -> str:
        """Of the lease."""
        return f"{self.me.report.service}/{self.me.report.node}/{self.me.instance}"

    def _members(self, link: Link) -> None:
        """The keeper looks who came and went, tells it where no agent does, and tidies up after those that died."""
        found = self._watch.look(link)
        self._tidy(link)
        if self.agent is None:
            self.tell_changes(found)

    def tell_changes(self, found: Iterable[members.Change]) -> None:
        """Tell everybody of nodes that came and went, because it is ours to tell."""
        for change in found:
            node = NodeChange.of(change)
            if self.agent is None:  # its messages are heard here as well; our own are not
                self._board.send(FUNCTIONALITY, CHANGED, node.data())
                self._changed(node)
            if node.what == "silence":
                seen = f"no word for {change.node.seen_s:.0f} s"
                told = {"service": node.service, "node": node.node, "host": node.host}
                self._road.tell("silence", f"{node.node} of {node.service} is silent: {seen}", {}, told)

    def _tidy(self, link: Link) -> None:
        """Take back the leases of dead processes whose node lives on: they are replaced, not missed."""
        seat = self.seat
        if seat is None:
            return
        dead: dict[str, list[str]] = {}
        living = set()
        for lease in self._watch.leases:
            node, _, instance = lease.key.rpartition("/")
            if seat.lives(instance):
                living.add(node)
            else:
                dead.setdefault(node, []).append(lease.key)
        for node in living & dead.keys():
            for key in dead[node]:
                link.release(key)

    def _leave(self, link: Link) -> None:
        with suppress(BusUnreachable):
            link.release(self.key)
            self._board.send(FUNCTIONALITY, GONE, None)
            self._post(link)
