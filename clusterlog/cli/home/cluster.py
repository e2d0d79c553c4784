"""The cluster that a command speaks to: its bus, opened, its key, and who is there."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clusterlog.cli import paint
from clusterlog.cli.line import escaped
from clusterlog.control.bus.base import Bus, Lease, Link
from clusterlog.control.members import Node, Report, Status
from clusterlog.control.operator.change import Operator
from clusterlog.control.operator.present import Lives, Reports, acknowledged, present
from clusterlog.control.rules.document import Version
from clusterlog.control.signing.keys import cluster_keys
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import NotFound
from clusterlog.settings import Settings
from clusterlog.spool.liveness import holder

OPTIONS = ("home", "bus", "token_file")
"""Settings by which commands find their cluster."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """An open link, what seals what goes over it, and whoever asks."""

    settings: Settings
    bus: Bus
    link: Link
    sealer: Sealer
    reports: Reports

    @property
    def operator(self) -> Operator:
        """Who changes levels here. A role that was given to this home on purpose holds for people, too."""
        role = "" if self.settings.origins.get("role", "default") == "default" else self.settings.role
        return Operator(self.link, self.sealer, actor(), self._acknowledged, role)

    def _acknowledged(self, leases: Iterable[Lease]) -> tuple[Version, ...]:
        return acknowledged(leases, self.sealer, self.reports)

    def nodes(self, leases: tuple[Lease, ...] | None = None) -> tuple[Node, ...]:
        """Who is there. Raises BusUnreachable."""
        known = self.link.leases() if leases is None else leases
        lives = living_in(self.settings.home_path) if self.bus.local else everybody
        return present(known, self.sealer, lives, reports=self.reports)


@contextmanager
def reached(settings: Settings) -> Iterator[Cluster]:
    """The cluster of these settings, as long as the block lasts.

    Raises NotFound where there is no home, SettingError for a bus or a key that cannot be right, BusUnreachable.
    """
    from clusterlog.control.bus.opening import bus_at

    home = settings.home_path
    if settings.bus == "off":
        raise NotFound("the setting bus is off: nobody here is in a cluster; --bus URL names one")
    if not settings.bus and not home.is_dir():
        raise NotFound(f"no home at {home}: nothing has run there; --home DIR names another, --bus URL a cluster")
    bus = bus_at(settings.bus, settings)
    sealer = Sealer(cluster_keys(home, settings.control_key, bus.local), settings.environment)
    link = bus.open()
    try:
        yield Cluster(settings, bus, link, sealer, Reports(sealer))
    finally:
        link.close()


def living_in(home: Path) -> Lives:
    """Whether a worker's process can be alive, by the lock it holds in this home while it is."""
    here = socket.gethostname()

    def lives(report: Report, worker: Status) -> bool:
        lock = home / "control" / f"{worker.instance}.lock"
        return report.host != here or holder(lock) != 0

    return lives


def everybody(_report: Report, _worker: Status) -> bool:
    """Of other hosts only their silence tells."""
    return True


def actor() -> str:
    """Who asks, for rules and audit events: the person behind ``sudo``, too, and the machine."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def warn(text: str) -> None:
    """One line to whoever asked, which changes nothing about the answer."""
    paint.say(f"clusterlog: {escaped(text)}")
