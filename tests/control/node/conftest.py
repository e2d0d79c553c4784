"""Workers of small clusters, in this process: over a bus that can be cut, in homes of their own."""

import logging
import threading
import time
from itertools import count
from types import SimpleNamespace

import pytest

from clusterlog.control import members
from clusterlog.control.applying.levels import InForce
from clusterlog.control.bus.memory import MemoryBus
from clusterlog.control.members import Report
from clusterlog.control.messages.switchboard import Switchboard
from clusterlog.control.node.agent import Agent
from clusterlog.control.node.desired import Clock, Desired
from clusterlog.control.node.hand import Hand
from clusterlog.control.node.seat import Seat
from clusterlog.control.node.state import StateFile
from clusterlog.control.node.worker import Road, Self, Worker
from clusterlog.control.operator.change import Operator, Wish
from clusterlog.control.operator.present import acknowledged
from clusterlog.control.rules.document import Document, Version, fields_of
from clusterlog.control.rules.effective import Policy
from clusterlog.control.rules.rule import Member
from clusterlog.control.signing.keys import Key
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import BusUnreachable
from clusterlog.spool import liveness

PATIENCE_S = 30.0
HEARTBEAT_S = 0.5
_numbers = count(1)


def waited(condition, what="it"):
    """Wait for a condition."""
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)
    return found


class Cuttable:
    """A bus whose links can be cut, and that can be gone."""

    def __init__(self, bus, local=True):
        self.bus, self.local, self.name = bus, local, bus.name
        self.gone = False
        self.opened = 0

    def open(self):
        if self.gone:
            raise BusUnreachable("gone")
        self.opened += 1
        return CuttableLink(self, self.bus.open())


class CuttableLink:
    def __init__(self, bus, link):
        self._bus, self._link = bus, link

    def __getattr__(self, name):
        found = getattr(self._link, name)
        if name in ("close", "wake"):
            return found

        def call(*arguments):
            if self._bus.gone:
                raise BusUnreachable("cut")
            answer = found(*arguments)
            if self._bus.gone:
                raise BusUnreachable("cut meanwhile")
            return answer

        return call


@pytest.fixture
def until():
    """``until(condition)`` waits for it."""
    return waited


@pytest.fixture
def signed(sealer):
    """A document of these rules."""
    return lambda *rules, rev=1, epoch="e1", issued_ns=0: sealer.seal(
        fields_of(Document(sealer.cluster, Version(epoch, rev), rules, issued_ns))
    )


@pytest.fixture
def sealer():
    return Sealer((Key(b"k" * 32),), "test")


@pytest.fixture
def bus():
    return Cuttable(MemoryBus(f"node-{next(_numbers)}", "test"))


@pytest.fixture
def told():
    """State events that were said: (action, message, facts, control)."""
    return []


@pytest.fixture
def logger():
    """A logger of this test alone, at INFO, whose level and root are put back."""
    found = logging.getLogger(f"control.node.{next(_numbers)}")
    root = logging.getLogger().level
    found.setLevel(logging.INFO)
    yield found
    found.setLevel(logging.NOTSET)
    logging.getLogger().setLevel(root)


class Locks:
    """Record locks hold against other processes; the workers of these tests are threads of one, and take turns."""

    _turn = threading.Lock()
    take, release = staticmethod(liveness.take), staticmethod(liveness.release)
    let_go, holder = staticmethod(liveness.let_go), staticmethod(liveness.holder)

    def hold(self, path):
        with self._turn:
            return liveness.hold(path)


@pytest.fixture
def make_hand(sealer, told, tmp_path):
    """A hand; ``told`` gets what it says."""
    made = []

    def make(*, node="n1", service="shop", clock=None, policy=None, state=None, force=None, role="apply"):
        member = Member(service, node, "host", role)
        hand = Hand(
            Desired(sealer, clock or Clock()),
            member,
            policy or Policy(),
            force or InForce(),
            lambda *said: told.append(said),
            StateFile(state) if state else None,
        )
        made.append(hand)
        return hand

    yield make
    for hand in made:
        hand.end()


@pytest.fixture
def make_worker(make_hand, sealer, bus, told, tmp_path):
    """A worker that runs; each in a seat of ``home``."""
    running = []

    def make(*, home=None, near=None, far=None, heartbeat_s=HEARTBEAT_S, agent=None, machine="host", start=True, **of):
        number = next(_numbers)
        directory = (home or tmp_path / "home") / "control"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        hand = make_hand(state=directory / "state.json", **of)
        instance = f"{number:032x}"
        report = Report(hand.member.node, hand.member.service, machine, hand.member.role, boot="boot")
        changes = []
        board = Switchboard(lambda: worker.wake(), lambda: ())  # noqa: PLW0108 - made below
        worker = Worker(
            Self(report, instance, 1000 + number, number),
            hand,
            near or bus,
            far or near or bus,
            sealer,
            Road(lambda *said: told.append(said), lambda: 0, lambda: None),
            board,
            lambda: Seat(directory, Locks(), instance, hand.member.service, hand.member.node),
            agent or (lambda worker, seat: None),
            changes.append,
            heartbeat_s,
        )
        worker.board, worker.changes = board, changes
        running.append(worker)
        if start:
            worker.start()
        return worker

    yield make
    for worker in running:
        worker.stop(PATIENCE_S)


@pytest.fixture
def host(make_worker, network, sealer, tmp_path):
    """Workers of a host of its own: a home with a local bus, and an agent where its keeper is."""
    homes = {}

    def worker(name, node, heartbeat_s=HEARTBEAT_S, **more):
        home = tmp_path / name
        near = homes.setdefault(name, MemoryBus(f"host-{next(_numbers)}", "test"))

        def agent(worker, seat):
            return Agent(
                network,
                near,
                sealer,
                StateFile(home / "control" / "state.json"),
                str(home),
                worker.me.instance,
                seat.lives,
                worker.tell_changes,
                heartbeat_s=heartbeat_s,
            )

        return make_worker(home=home, near=near, far=network, node=node, agent=agent, heartbeat_s=heartbeat_s, **more)

    return worker


@pytest.fixture
def operator(bus, sealer):
    """Somebody who changes levels: ``put(logger, level, life_s)``, ``reset(id)``, and who is there: ``nodes()``."""

    def operated(over=None, do=None):
        link = (over or bus.bus).open()
        try:
            return do(Operator(link, sealer, "alice", lambda leases: acknowledged(leases, sealer)), link)
        finally:
            link.close()

    def put(logger, level, life_s=60.0, *, over=None, **more):
        wish = Wish(logger, level, life_s, **more)
        return operated(over, lambda operator, _: operator.put(wish))

    def reset(which=None, *, over=None):
        return operated(over, lambda operator, _: operator.reset(which))

    def nodes(over=None):
        return operated(
            over, lambda _, link: members.roster(members.opened(link.leases(), sealer)[0], heartbeat_s=HEARTBEAT_S)
        )

    def leased(version, over=None):
        return operated(over, lambda _, link: link.leased(str(version)))

    return SimpleNamespace(put=put, reset=reset, nodes=nodes, leased=leased)
