"""Processes that speak to each other over a bus of a few lines, which can be cut, reordered and made to repeat."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from clusterlog.control.bus.base import Gap, Message
from clusterlog.control.members import Report, Seen, Status, roster
from clusterlog.control.messages.envelope import Sender
from clusterlog.control.messages.switchboard import Switchboard
from clusterlog.control.signing.keys import Key
from clusterlog.control.signing.sealing import Sealer

PATIENCE_S = 30


class Air:
    """Carries whatever any board puts in its outbox to every board, its own included, as a bus does."""

    def __init__(self) -> None:
        self.sealer = Sealer((Key(b"k" * 32),), "c")
        self.boards: dict[str, Switchboard] = {}
        self.there: list[Seen] = []
        self.troubles: list[tuple[str, BaseException]] = []
        self.heard: list[bytes] = []
        self.cut = False
        self._lock = threading.RLock()

    def process(self, instance: str, node: str = "", service: str = "shop", may_send: bool = True) -> Switchboard:
        board = Switchboard(self.carry, lambda: roster(self.there), lambda *what: self.troubles.append(what))
        board.begin(Sender(instance, node or instance, service, 7), self.sealer, may_send)
        self.boards[instance] = board
        report = Report(node or instance, service, instance, workers=(Status(7, instance),))
        self.there.append(Seen(report, 0.0))
        return board

    def carry(self) -> None:
        with self._lock:
            for board in list(self.boards.values()):
                while (body := board.outbox.first()) is not None:
                    board.outbox.sent(body)
                    self.heard.append(body)
                    if not self.cut:
                        self.deliver(body)

    def deliver(self, body: bytes) -> None:
        for board in self.boards.values():
            board.receive(Message(body))

    def gap(self) -> None:
        for board in self.boards.values():
            board.receive(Gap())


class Ear:
    """A subscriber that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.gaps = 0
        self._changed = threading.Condition()

    def __call__(self, data: object) -> None:
        with self._changed:
            self.heard.append(data)
            self._changed.notify_all()

    def gap(self) -> None:
        with self._changed:
            self.gaps += 1
            self._changed.notify_all()

    def wait(self, heard: int = 0, gaps: int = 0) -> None:
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.heard) >= heard and self.gaps >= gaps, PATIENCE_S)
        assert came, f"heard {self.heard!r} and {self.gaps} gaps"


@pytest.fixture
def air() -> Air:
    return Air()


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def ears() -> type[Ear]:
    return Ear


@pytest.fixture
def settled() -> Iterator[object]:
    """Waits until the handler thread of a board has done all that waited for it."""

    def wait(board: Switchboard) -> None:
        done = threading.Event()
        board.handlers.call(done.set)
        assert done.wait(PATIENCE_S)

    return wait
