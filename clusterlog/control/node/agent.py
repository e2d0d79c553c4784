"""The one of a home who speaks to the network: brings the document down, and the workers' proof up as one.

It runs in the process of the keeper. When that is killed its lock is free, and another worker's agent goes on.
"""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from clusterlog.control.bus.base import Bus, Changed, Gap, Link, Notice
from clusterlog.control.members import HEARTBEAT_S, Change, Report, Status, fields_of, opened
from clusterlog.control.messages.envelope import Envelope, Sender, sealed
from clusterlog.control.node.desired import Clock, Desired
from clusterlog.control.node.membership import CHANGED, FUNCTIONALITY, GAP, NodeChange, Watch, hints
from clusterlog.control.node.pace import BackOff, about
from clusterlog.control.node.state import StateFile
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import BusUnreachable, ClusterlogError, Conflict, Rejected

LEASE_TTL_S = 3 * HEARTBEAT_S
LOOK_S = 30.0
_SOON_S = 0.02
"""Between two looks at what the workers have proven while a change is under way."""
_UNDER_WAY_S = 5.0
_REMEMBERED = 4096

Lives = Callable[[str], bool]


class Passed:
    """What was passed on lately, so that nothing is passed back."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def add(self, body: bytes) -> None:
        """Remember it."""
        self._known[hashlib.sha256(body).digest()] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def __contains__(self, body: bytes) -> bool:
        return hashlib.sha256(body).digest() in self._known


class Agent:
    """Stands between ``network`` and ``local``. ``lives(instance)`` tells of a worker of this home."""

    def __init__(
        self,
        network: Bus,
        local: Bus,
        sealer: Sealer,
        state: StateFile,
        home: str,
        instance: str,
        lives: Lives,
        told: Callable[[Iterable[Change]], None],
        heartbeat_s: float = HEARTBEAT_S,
        clock: Clock | None = None,
    ) -> None:
        self._network = network
        self._local = local
        self._sealer = sealer
        self._state = state
        self._clock = clock or Clock()
        self._desired = Desired(sealer, self._clock)
        self._lives = lives
        self._told = told
        self._heartbeat_s = heartbeat_s
        self._host = hashlib.sha256(f"{socket.gethostname()}\0{home}".encode("utf-8", "replace")).hexdigest()[:12]
        self._sender = Sender(f"agent-{instance}")
        self._number = 0
        self.faults: Counter[str] = Counter()
        self.attached = threading.Event()
        """Set while there is a link to the network."""
        self._up_waiting: deque[bytes] = deque(maxlen=_REMEMBERED)
        self._from_network = Passed()
        self._sent_up = Passed()
        self._watch = Watch(sealer, lambda: min(self._leased, default="~"), heartbeat_s=heartbeat_s)
        self._leased: dict[str, str] = {}
        """Our keys on the network, with what they last counted under."""
        self._link: Link | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin. Returns at once."""
        found = self._state.read()
        if found is not None:
            with suppress(Rejected):
                self._desired.resumed(*found)
        self._thread = threading.Thread(target=self._run, name="clusterlog-agent", daemon=True)
        self._thread.start()

    def stop(self, patience_s: float = 0.5) -> None:
        """End; the leases go where no worker of theirs is left."""
        self._stopping.set()
        self.wake()
        if self._thread is not None:
            self._thread.join(patience_s)

    def offer(self, body: bytes) -> None:
        """A message that went over the local bus; it is passed on unless it came from there. Any thread."""
        if body not in self._from_network:
            self._up_waiting.append(body)
            self.wake()

    def wake(self) -> None:
        """Have a look at what there is to do. Any thread."""
        link = self._link
        if link is not None:
            with suppress(Exception):
                link.wake()

    def _run(self) -> None:
        pace = BackOff()
        while not self._stopping.is_set():
            try:
                self._attached(pace)
            except ClusterlogError as error:
                self.faults[type(error).__name__] += 1
            except Exception:  # a fault of ours; the next attempt may do better
                self.faults["internal_error"] += 1
            self._stopping.wait(pace.failed())

    def _attached(self, pace: BackOff) -> None:
        local = self._local.open()
        try:
            up = self._link = self._network.open()
            try:
                self.attached.set()
                self._follow(up, local, pace)
                self._leave(up, local)
            finally:
                self.attached.clear()
                self._link = None
                up.close()
        finally:
            local.close()

    def _follow(self, up: Link, local: Link, pace: BackOff) -> None:
        self._look(up, local)
        self._prove(up, local, every=True)
        pace.worked()
        members = self._watch.due(up.leased(self._desired.version))
        now = time.monotonic()
        beat, look = now + about(self._heartbeat_s), now + about(LOOK_S)
        under_way = now + _UNDER_WAY_S
        while not self._stopping.is_set():
            until = min(beat, look)
            if now < under_way:
                until = min(until, now + _SOON_S)
            notices = up.wait(max(0.0, until - time.monotonic()))
            now = time.monotonic()
            self._pass_up(up)
            asked, hinted = self._take(notices, local)
            members = members or hinted
            if asked or now >= look:
                look = now + about(LOOK_S)
                if self._look(up, local) or asked:  # what came along with a notice has been put down already
                    under_way = now + _UNDER_WAY_S
            proven = self._prove(up, local, every=now >= beat)
            if proven:
                under_way = 0.0
            if now >= beat:
                beat = now + about(self._heartbeat_s)
                members = members or self._watch.due(up.leased(self._desired.version))
            if members:
                self._members(up, local)
                members = False

    def _take(self, notices: Iterable[Notice], local: Link) -> tuple[bool, bool]:
        """Take what has come from the network: whether to look at the document, and at the members."""
        look = members = False
        for notice in notices:
            if isinstance(notice, Changed):
                look = True
                if notice.document is not None:
                    self._handed(notice.document, local)
            elif isinstance(notice, Gap):
                look = True
                self._say_gap(local)
            elif notice.body not in self._sent_up:
                self._from_network.add(notice.body)
                local.send(notice.body)
                members = members or (self._watch.close and hints(notice.body))
        return look, members

    def _pass_up(self, up: Link) -> None:
        while self._up_waiting:
            body = self._up_waiting[0]
            self._sent_up.add(body)
            up.send(body)
            self._up_waiting.popleft()

    def _say_gap(self, local: Link) -> None:
        """Workers hear over the local bus, which has lost nothing, that something may have been missed elsewhere."""
        local.send(self._said(GAP))

    def _said(self, topic: str, data: Any = None) -> bytes:
        """A message of the agent's own, which is passed neither up nor down when it is heard."""
        self._number += 1
        body = sealed(Envelope(FUNCTIONALITY, topic, self._sender, self._number, data), self._sealer)
        self._sent_up.add(body)
        self._from_network.add(body)
        return body

    def _handed(self, document: bytes, local: Link) -> None:
        try:
            if self._desired.handed(document):
                self._put_down(local)
        except Rejected as error:
            self.faults[error.reason] += 1

    def _look(self, up: Link, local: Link) -> bool:
        before = self._clock.boot_ns()
        snapshot = up.read()
        try:
            self._desired.looked(snapshot, before)
        except Rejected as error:
            self.faults[error.reason] += 1
            return False
        return self._put_down(local)

    def _put_down(self, local: Link) -> bool:
        """The document for this home's workers, after the deadlines of its rules: made by the right clock."""
        if not self._desired.body:
            return False
        self._state.write(self._desired.body, self._desired.saved())
        while True:
            present = local.read().document
            if present == self._desired.body:
                return False
            with suppress(Conflict):
                local.write(self._desired.body, present)
                return True

    def _prove(self, up: Link, local: Link, every: bool) -> bool:
        """Say for each node of this home what all its workers have in force; whether all are where we are."""
        reports: dict[str, Report] = {}
        for seen in opened(local.leases(), self._sealer)[0]:
            report = seen.report
            living = tuple(worker for worker in report.workers if self._lives(worker.instance))
            if living:
                key = f"{report.service}/{report.node}@{self._host}"
                known = reports.get(key)
                reports[key] = replace(report, workers=(*(known.workers if known else ()), *living))
        for key in self._leased.keys() - reports.keys():
            # Of a node all of whose workers were killed the lease is left to run out: that is its silence.
            if not self._killed(local, key):
                up.release(key)
            del self._leased[key]
        whole = True
        for key, report in reports.items():
            version = _agreed(report.workers)
            whole = whole and version == self._desired.version
            told = repr((version, report.workers))
            if every or self._leased.get(key) != told:
                up.lease(key, self._sealer.seal(fields_of(report)), LEASE_TTL_S, version)
                self._leased[key] = told
        return whole

    def _killed(self, local: Link, key: str) -> bool:
        """Whether there is still a lease of a worker of that node, whose process is dead."""
        node = key.rpartition("@")[0]
        return any(lease.key.rpartition("/")[0] == node for lease in local.leases())

    def _members(self, up: Link, local: Link) -> None:
        """Look who came and went; the first of those who watch tells the others."""
        found = self._watch.look(up)
        if not found or not self._watch.tells:
            return
        self._told(found)
        for change in found:
            body = self._said(CHANGED, NodeChange.of(change).data())
            up.send(body)
            local.send(body)

    def _leave(self, up: Link, local: Link) -> None:
        """The process ends: nodes without another worker have left."""
        with suppress(BusUnreachable):
            remaining = {lease.key.rpartition("/")[0] for lease in local.leases()}
            for key in self._leased:
                if key.rpartition("@")[0] not in remaining:
                    up.release(key)


def _agreed(workers: Iterable[Status]) -> str:
    """The version that all have in force; empty where they differ."""
    versions = {worker.applied for worker in workers}
    return versions.pop() if len(versions) == 1 else ""
