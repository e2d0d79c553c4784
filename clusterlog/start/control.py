"""Introduces the cluster's hand to the road: what of settings, spool and process it needs, when it begins, and forks.

``start()`` reads what the home remembers, if it does, and leaves a thread asleep: files and the bus come a second
later, or when ``cluster`` is used first, and never in a process that only starts others.
"""

from __future__ import annotations

import _thread
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from clusterlog.context import ids
from clusterlog.errors import ClusterlogError, SettingError
from clusterlog.settings import Settings, without_credentials
from clusterlog.spool import filesystem, liveness
from clusterlog.spool.segment import STATE
from clusterlog.start import parents
from clusterlog.start.road import SpoolRoad

if TYPE_CHECKING:
    from clusterlog.control.applying.levels import InForce
    from clusterlog.control.node.agent import Agent
    from clusterlog.control.node.hand import Hand
    from clusterlog.control.node.seat import Seat
    from clusterlog.control.node.worker import Worker

DELAY_S: float | None = 1.0
"""How long after ``start()`` the bus is first asked; ``None``: not before ``cluster`` is used."""
_LEAVING_S = 0.5
_STALE_S = 60.0
"""What a shipper told longer ago tells nothing of now."""
_NETWORK = ("redis", "hub", "postgres")


def judge(settings: Settings) -> None:
    """Raises SettingError for a way between nodes that cannot be used as it is; touches nothing."""
    if settings.bus.startswith(_NETWORK) and not settings.control_key:
        raise SettingError(
            f"bus = {without_credentials(settings.bus)} needs a key: write one with `openssl rand -hex 32`, put the"
            " file on every node, and set control_key to its path"
        )


class Control:
    """This process's part in its cluster, from ``start()`` to ``stop()``; a forked child begins one of its own."""

    def __init__(self, road: SpoolRoad, dropped: Callable[[], Mapping[str, int]]) -> None:
        self._road = road
        self._settings = road.settings
        self._dropped = dropped
        self._directory = self._settings.home_path / "control"
        self._force: InForce | None = None
        self._reset()

    def _reset(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.RLock()
        self._hand: Hand | None = None
        self.worker: Worker | None = None
        self._left = False
        self._keepable = True
        self._complained = False

    @property
    def settings(self) -> Settings:
        """Those the road was opened with."""
        return self._settings

    @property
    def clustered(self) -> bool:
        """Whether this process has, or is about to have, a part in a cluster."""
        return not self._left and self._settings.bus != "off"

    def resume(self) -> None:
        """Put in force what the home remembers, and begin a second from now, in a thread that sleeps until then.

        Touches no network. Never raises: what the hand cannot do is no reason for an application not to start.
        """
        if not self.clustered:
            return
        if os.path.exists(self._directory / "state.json"):
            with suppress(Exception):
                self._made_hand().resume()
        if DELAY_S is not None and not parents.here():
            with suppress(RuntimeError):  # no thread to be had, or the interpreter ends
                _thread.start_new_thread(self._later, (DELAY_S, self.pid))

    def _later(self, delay_s: float, pid: int) -> None:
        time.sleep(delay_s)
        if pid == os.getpid() and not parents.here():
            with suppress(Exception):
                self.begin()

    def used(self) -> Worker | None:
        """As ``begin``; but a server's parent that has imported an application takes no part, its children will."""
        # Only while nothing has begun: frames of threads are not to be looked at once a fork without hooks runs some.
        return None if self.worker is None and parents.here() else self.begin()

    def begin(self) -> Worker | None:
        """Take part from now on; ``None`` where this process does not.

        Raises SettingError, NotAllowed and MissingExtra, each of which the road is told once.
        """
        with self._lock:
            if self.worker is None and self.clustered:
                try:
                    worker = self._made_worker()
                except (ClusterlogError, OSError) as error:
                    self._say_once(error)
                    raise
                worker.start()
                self.worker = worker
            return self.worker

    def forked(self) -> None:
        """First thing in a child: nothing of the parent's threads, locks and connections is here."""
        hand = self._hand
        self._reset()
        if hand is not None:
            cluster = sys.modules.get("clusterlog.control.cluster")
            if cluster is not None:
                cluster.cluster.forked()
            with suppress(Exception):
                self._made_hand(hand)
        self.resume()

    def leave(self) -> None:
        """Leave the cluster; levels go back to what the application configured."""
        if self.pid != os.getpid():
            return
        self._left = True
        with self._lock:
            worker, hand = self.worker, self._hand
        if worker is not None:
            worker.stop(_LEAVING_S)
            self._tell("leave", "", {}, {})
        if hand is not None:
            hand.end()

    def _say_once(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            self._road.line(logging.WARNING, "clusterlog.cluster", "no part in the cluster: %s", (str(error),), {})

    def _made_hand(self, before: Hand | None = None) -> Hand:
        """The hand; in a child it goes on where its parent's was."""
        if self._hand is not None:
            return self._hand
        from clusterlog.control.applying.levels import InForce
        from clusterlog.control.applying.token import Tokens
        from clusterlog.control.node.desired import Clock, Desired
        from clusterlog.control.node.hand import Hand
        from clusterlog.control.node.state import StateFile
        from clusterlog.control.rules.effective import Policy, ceilings
        from clusterlog.control.rules.rule import Member
        from clusterlog.control.signing.keys import cluster_keys
        from clusterlog.control.signing.sealing import Sealer

        settings = self._settings
        try:
            filesystem.make_private(self._directory)
            self._keepable = os.access(self._directory, os.W_OK | os.X_OK)
        except OSError:
            self._keepable = False
        self._keepable = self._keepable and not filesystem.unsuitable(settings.home_path)
        keys = cluster_keys(settings.home_path, settings.control_key, not self._networked)
        self._sealer = Sealer(keys, settings.environment)
        tokens = Tokens(keys, settings.environment)
        self._force = self._force or InForce(
            tokens, lambda user: self._road.identity(user)[0], self._tripped, self._ended
        )
        member = Member(settings.service, settings.node, _host(), settings.role, settings.tags, _version())
        policy = Policy(ceilings(settings.ceiling), int(settings.longest * 1e9), settings.role != "receive")
        desired = Desired(self._sealer, Clock()) if before is None else before.desired
        self._hand = Hand(desired, member, policy, self._force, self._tell, StateFile(self._directory / "state.json"))
        return self._hand

    def _tripped(self, rule: str, reason: str) -> None:
        if self._hand is not None:
            self._hand.tripped(rule, reason)

    def _ended(self, rule: str) -> bool:
        return self._hand is not None and self._hand.desired.ended(rule)

    def _made_worker(self) -> Worker:
        from clusterlog.control.bus.opening import bus_at, local_bus
        from clusterlog.control.cluster import cluster
        from clusterlog.control.members import Report
        from clusterlog.control.node import worker as node
        from clusterlog.control.rules.expiry import boot_id

        hand, settings = self._made_hand(), self._settings
        far = bus_at(settings.bus, settings)
        near = far if far.local or not self._keepable else local_bus(settings)
        report = Report(settings.node, settings.service, _host(), settings.role, settings.tags, _version(), boot_id())
        self._tell("join", "", {}, {})
        instance = str(getattr(self._road.writer, "instance", "")) or ids.new_entity_id()
        return node.Worker(
            node.Self(report, instance, os.getpid(), time.time_ns()),
            hand,
            near,
            far,
            self._sealer,
            node.Road(self._tell, lambda: sum(self._dropped().values()), self._lag_s),
            cluster.switchboard,
            lambda: self._seat(instance),
            self._agent if near is not far else lambda worker, seat: None,
            cluster.changed,
        )

    @property
    def _networked(self) -> bool:
        return self._settings.bus.startswith(_NETWORK)

    def _seat(self, instance: str) -> Seat | None:
        from clusterlog.control.node.seat import Seat

        if not self._keepable:
            return None
        return Seat(self._directory, liveness, instance, self._settings.service, self._settings.node)

    def _agent(self, worker: Worker, seat: Seat) -> Agent:
        from clusterlog.control.bus.opening import local_bus
        from clusterlog.control.node.agent import Agent
        from clusterlog.control.node.state import StateFile

        return Agent(
            worker.far,
            local_bus(self._settings),
            worker.sealer,
            StateFile(self._directory / "state.json"),
            os.path.realpath(self._settings.home),
            worker.me.instance,
            seat.lives,
            worker.tell_changes,
        )

    def _lag_s(self) -> float | None:
        """How long the oldest event waits that the home's shipper has not delivered; None where none runs."""
        try:
            told = json.loads((self._settings.home_path / "run" / "status.json").read_bytes())
            age_s, lag_s = (time.time_ns() - told["at_ns"]) / 1e9, float(told["delivery"]["oldest_age_s"])
        except (OSError, ValueError, TypeError, KeyError):
            return None
        if age_s > _STALE_S:
            return None
        return round(lag_s + max(0.0, age_s), 3) if lag_s else 0.0

    def _tell(self, action: str, message: str, facts: Mapping[str, object], control: Mapping[str, object]) -> None:
        """Say a state event on the road; a fault is counted there."""
        road = self._road
        try:
            instance = getattr(road.writer, "instance", "")
            named = {"instance": instance, **facts} if instance else facts
            rest = road.encoder.state(action, named, message, control)
            road.writer.append(action == "silence", time.time_ns(), rest, STATE)
        except Exception:
            road.writer.ledger.total["internal_error"] += 1


def _host() -> str:
    import socket

    return socket.gethostname()


def _version() -> str:
    import clusterlog

    return str(clusterlog.__version__)
