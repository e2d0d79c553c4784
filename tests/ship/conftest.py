"""A home with writers, and a sink that remembers, can be told to fail, and refuses doubles as a store does."""

import json
import time

import pytest

from clusterlog.context.ids import new_entity_id
from clusterlog.errors import StoreUnavailable
from clusterlog.ship.shipper import Shipper
from clusterlog.spool import liveness
from clusterlog.spool.segment import STATE
from clusterlog.spool.writer import Writer
from clusterlog.store.base import DUPLICATE, STORED, Outcome


def writer_on(spool, **options):
    def head(instance):
        return lambda second: b'{"second":%d,"ns":%%d,"id":"%b-%%011x","sequence":%%d,' % (second, instance.encode())

    def rest(action, facts):
        return json.dumps({"event": {"action": action}, "clusterlog": {"state": facts}})[1:].encode()

    return Writer(spool, head=head, state=rest, **{"new_instance": new_entity_id, **options})


class Voice:
    """Says state events through a writer of its own, as the real one does."""

    def __init__(self, spool):
        self.id = new_entity_id()
        self.said = []
        self._writer = writer_on(spool, new_instance=lambda: self.id)
        self._rest = lambda action, facts: json.dumps({"event": {"action": action}, "clusterlog": {"state": facts}})[
            1:
        ].encode()

    def say(self, action, facts):
        self.said.append((action, dict(facts)))
        self._writer.append(True, time.time_ns(), self._rest(action, facts), STATE)

    def end(self):
        self._writer.close(time.time_ns())

    def die(self):
        """As the kernel ends it with its process."""
        if self._writer.instance:
            liveness.abandon(self._writer.spool / f"{self.id}.lock")
            self._writer._close_all()


class MemorySink:
    """A store in memory: one document per id. ``plan`` holds what the next deliveries do instead of storing."""

    def __init__(self):
        self.documents = {}
        self.plan = []
        self.batches = []
        self.flushed = 0
        self.refuse = lambda delivery: None

    def deliver(self, batch):
        self.batches.append(list(batch))
        fault = self.plan.pop(0) if self.plan else None
        if fault == "away":
            raise StoreUnavailable("nobody answers")
        outcomes = []
        for n, delivery in enumerate(batch):
            reason = self.refuse(delivery)
            if fault == "some" and n % 2:
                outcomes.append(Outcome("retry", "busy"))
            elif reason:
                outcomes.append(Outcome("refused", reason))
            elif delivery.id in self.documents:
                outcomes.append(DUPLICATE)
            else:
                self.documents[delivery.id] = delivery.body
                outcomes.append(STORED)
        if fault == "lost answer":
            raise StoreUnavailable("the answer was lost")
        return outcomes[:-1] if fault == "short" else outcomes

    def flush(self):
        self.flushed += 1

    def close(self):
        pass

    def said(self):
        """The numbers the application said, in order of delivery."""
        return [told["n"] for told in map(json.loads, self.documents.values()) if "n" in told]

    def states(self, action):
        told = [json.loads(body) for body in self.documents.values()]
        return [each["clusterlog"]["state"] for each in told if each.get("event", {}).get("action") == action]


class Home:
    def __init__(self, path):
        self.path = path
        self.spool = path / "spool"
        (path / "run").mkdir(parents=True)
        self.sink = MemorySink()
        self.now = 1000.0
        self.voice = None

    def writer(self, **options):
        return writer_on(self.spool, **options)

    def say(self, writer, *numbers, priority=False, pad=0):
        for n in numbers:
            writer.append(priority, time.time_ns(), b'"n":%d,"pad":"%s"}' % (n, b"x" * pad))

    def shipper(self, **options):
        options.setdefault("monotonic", lambda: self.now)
        self.voice = Voice(self.spool)
        return Shipper(self.path, self.sink, voice=self.voice, chance=lambda: 0.5, **options)

    def segments(self):
        return sorted(path.name for path in self.spool.glob("*.seg"))


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")
