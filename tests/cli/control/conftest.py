"""A cluster written by hand: workers that say what a test has them say, over the real bus of a home."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from clusterlog.control.bus.base import Link, Message
from clusterlog.control.bus.sqlite import SqliteBus
from clusterlog.control.members import HEARTBEAT_S, Report, RuleReport, Status, fields_of
from clusterlog.control.messages.envelope import Envelope, Sender, read, sealed
from clusterlog.control.node.membership import FUNCTIONALITY
from clusterlog.control.rules.document import MOST_BYTES, SCHEMA, document_of
from clusterlog.control.rules.effective import Levels, Policy
from clusterlog.control.rules.rule import level_name
from clusterlog.control.rules.selecting import meant
from clusterlog.control.signing.keys import cluster_keys
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import BusUnreachable, Rejected
from clusterlog.spool import liveness

CALM = {
    "exists": True,
    "base": "INFO",
    "effective": "INFO",
    "steps": [{"source": "base", "rule": "", "level": "INFO"}],
    "stops": [],
    "requests": [],
}
"""What a worker answers where nothing is the matter."""


@dataclass
class Puppet:
    """A worker of a node that applies documents as the rules say, unless it is told to be mute, or to say otherwise."""

    service: str
    node: str
    pid: int
    number: int = 1
    host: str = field(default_factory=socket.gethostname)
    role: str = "apply"
    tags: tuple[str, ...] = ()
    version: str = "1.0"
    policy: Policy = field(default_factory=Policy)
    mute: bool = False
    knows: tuple[str, ...] = ("orders.stock", "shop.api")
    says: Callable[[Status], Status] = lambda status: status
    answers: Callable[[dict[str, Any]], dict[str, Any]] = lambda asked: dict(CALM)
    status: Status = field(init=False)

    def __post_init__(self) -> None:
        self.status = Status(self.pid, f"{self.pid:032x}", self.number, level="INFO")

    @property
    def report(self) -> Report:
        """What its lease says."""
        return Report(self.node, self.service, self.host, self.role, self.tags, self.version, "b", 0.1, (self.status,))


class Stage:
    """The home's bus, and the puppets on it, which follow what is written by a thread of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bus = SqliteBus(home / "control" / "bus.db", "development")
        self.puppets: list[Puppet] = []
        self._locks: list[tuple[Path, int]] = []
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "control").mkdir(mode=0o700, exist_ok=True)
        self.sealer = Sealer(cluster_keys(home, "", True), "development")
        self.link = self.bus.open()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def add(self, service: str, node: str, **more: object) -> Puppet:
        """Another worker; it says at once what it knows."""
        puppet = Puppet(service, node, 4000 + len(self.puppets), **more)  # type: ignore[arg-type]
        lock = self.home / "control" / f"{puppet.status.instance}.lock"
        self._locks.append((lock, liveness.take(lock)))
        with self._lock:
            self.puppets.append(puppet)
        with closing(self.bus.open()) as link:
            self._apply(puppet, link.read().document)
            self._say(puppet, link)
        return puppet

    def kill(self, puppet: Puppet) -> None:
        """Its process is gone, and nobody has said good-bye."""
        puppet.mute = True
        for lock, fd in [each for each in self._locks if puppet.status.instance in each[0].name]:
            liveness.release(lock, fd)
            self._locks.remove((lock, fd))

    def _say(self, puppet: Puppet, link: Link) -> None:
        body = self.sealer.seal(fields_of(puppet.report))
        key = f"{puppet.service}/{puppet.node}/{puppet.status.instance}"
        link.lease(key, body, 3 * HEARTBEAT_S, puppet.status.applied)

    def _follow(self) -> None:
        with closing(self.bus.open()) as link, suppress(BusUnreachable):
            while not self._ended.is_set():
                notices = link.wait(0.05)
                with self._lock:
                    puppets = [each for each in self.puppets if not each.mute]
                for body in [each.body for each in notices if isinstance(each, Message)]:
                    self._answer(puppets, body, link)
                if notices:
                    document = link.read().document
                    for puppet in puppets:
                        if self._apply(puppet, document):
                            self._say(puppet, link)

    def _answer(self, puppets: list[Puppet], body: bytes, link: Link) -> None:
        try:
            asked = read(body, self.sealer)
        except Rejected:
            return
        ours = asked.kind == "request" and asked.functionality == FUNCTIONALITY
        for puppet in puppets if ours else []:
            sender = Sender(puppet.status.instance, puppet.node, puppet.service, puppet.pid)
            data = puppet.answers(asked.data)
            reply = Envelope(
                asked.functionality, asked.topic, sender, 1, data, "reply", asked.id, asked.sender.instance
            )
            link.send(sealed(reply, self.sealer))

    def _apply(self, puppet: Puppet, raw: bytes | None) -> bool:
        if raw is None:
            return False
        try:
            document = document_of(self.sealer.opened(raw, SCHEMA, MOST_BYTES))
        except Rejected:
            return False
        member = puppet.report.member(puppet.status)
        levels = Levels(document.rules, member, puppet.policy)
        rules = {
            rule.id: RuleReport(
                "applied", "" if self._known(puppet, rule.logger) else f"no logger {rule.logger} here yet"
            )
            for rule in document.rules
            if meant(rule.selector, member)
        }
        rules |= {name: RuleReport("rejected", why.text) for name, why in levels.refusals.items()}
        loggers = {name: level_name(levels.of(name, 20).level) for name in levels.loggers() if name}
        root = level_name(levels.of("", 20).level)
        status = replace(puppet.status, applied=str(document.version), rules=rules, loggers=loggers, level=root)
        puppet.status = puppet.says(status)
        return True

    @staticmethod
    def _known(puppet: Puppet, logger: str) -> bool:
        return not logger or any(name == logger or name.startswith(f"{logger}.") for name in puppet.knows)

    def document(self) -> bytes | None:
        """What is kept."""
        return self.link.read().document

    def end(self) -> None:
        """Let everything go."""
        self._ended.set()
        self._thread.join()
        self.link.close()
        for lock, fd in self._locks:
            liveness.release(lock, fd)


@pytest.fixture
def stage(home: object) -> Iterator[Stage]:
    """An empty cluster in the test's home."""
    made = Stage(Path(str(home)))
    yield made
    made.end()


@pytest.fixture
def cluster(stage: Stage) -> Stage:
    """Five nodes, seven workers: the cluster of the demo."""
    for service, node, workers in (
        ("payments", "payments-1", 1),
        ("orders", "orders-1", 2),
        ("orders", "orders-2", 2),
        ("shop", "shop-1", 1),
        ("shop", "shop-2", 1),
    ):
        for number in range(1, workers + 1):
            stage.add(service, node, number=number)
    return stage


@pytest.fixture(autouse=True)
def _nobody_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of whoever runs the tests."""
    for name in [each for each in os.environ if each.startswith("CLUSTERLOG_")]:
        monkeypatch.delenv(name)
