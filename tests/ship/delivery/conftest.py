"""A server that a test tells what to answer, a clock that goes when it is told to, and a dispatch between them."""

import json

import pytest

from clusterlog.errors import StoreUnavailable
from clusterlog.ship.delivery.batch import Limits
from clusterlog.ship.delivery.dispatch import Dispatch
from clusterlog.ship.delivery.sent import Sent
from clusterlog.store.base import DUPLICATE, STORED, Delivery, Outcome

INSTANCE = "0190aaaa0000700080000000000000a1"


def event(n, pad=0, **parts):
    id = f"{INSTANCE}-{n:011x}"
    body = {"@timestamp": "2026-11-03T12:00:00Z", "event": {"id": id, "sequence": n}, "message": "x" * pad, **parts}
    return Delivery(id, INSTANCE, n, json.dumps(body).encode())


class Server:
    """Stores what ``fault(batch)`` and ``verdict(delivery)`` do not hinder: one raises, the other gives an outcome."""

    def __init__(self):
        self.stored = {}
        self.requests = []
        self.fault = lambda batch: None
        self.verdict = lambda delivery: None
        self.lose_answer = lambda batch: False

    def deliver(self, batch):
        self.requests.append([each.sequence for each in batch])
        failure = self.fault(batch)
        if failure is not None:
            raise failure
        outcomes = [self._one(each) for each in batch]
        if self.lose_answer(batch):
            raise StoreUnavailable("the answer was lost")
        return outcomes

    def _one(self, delivery):
        outcome = self.verdict(delivery)
        if outcome is not None:
            return outcome
        if delivery.id in self.stored:
            return DUPLICATE
        self.stored[delivery.id] = delivery.body
        return STORED

    def numbers(self):
        return sorted(int(id[33:], 16) for id in self.stored)

    def flush(self):
        pass

    def close(self):
        pass


class Desk:
    """A dispatch to a server, with what it has settled."""

    def __init__(self, server, sink, path, limits):
        self.server, self.sink = server, sink
        self.now = 1000.0
        self.safe, self.dead, self.letters, self.unkept = [], [], [], False
        self.dispatch = Dispatch(
            sink,
            limits,
            self._settle,
            sent=Sent(path / "sent.json"),
            monotonic=lambda: self.now,
            wall=lambda: int(self.now * 1e9),
            chance=lambda: 0.5,
        )

    def _settle(self, batch, found):
        if self.unkept:
            return [dead.delivery for dead in found.dead]
        self.safe += [each.sequence for each in found.safe]
        self.letters += [dead.delivery for dead in found.dead]
        self.dead += [(dead.delivery.sequence, dead.cause, dead.reason) for dead in found.dead]
        return []

    def run(self, seconds=3600.0):
        """Go on until everything is settled, or so much time has passed; how long it took."""
        begun = self.now
        while not self.dispatch.is_empty() and self.now - begun < seconds:
            self.dispatch.turn()
            self.dispatch.collect(0.01)
            if not self.dispatch.in_flight:
                self.now += max(0.001, self.dispatch.due_in())
        return self.now - begun


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    """A desk before a server: one of its own, or one that stands before that."""

    def build(before=lambda server: server, **limits):
        server = Server()
        return Desk(server, before(server), tmp_path_factory.mktemp("desk"), Limits(**limits))

    return build


@pytest.fixture
def desk(stage):
    return stage()


@pytest.fixture
def server(desk):
    return desk.server


@pytest.fixture(scope="session")
def refused():
    """An outcome that nothing can be done about."""
    return lambda reason="no": Outcome("refused", reason)


@pytest.fixture(scope="session")
def make():
    return event
