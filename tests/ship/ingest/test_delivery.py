"""What was ingested is delivered like any other events, and nobody takes a file for a process."""

from __future__ import annotations

import json

import pytest

from clusterlog.context.ids import new_entity_id
from clusterlog.ship.ingest import lines as cutting
from clusterlog.ship.ingest import passage
from clusterlog.ship.shipper import Shipper
from clusterlog.store.base import DUPLICATE, STORED


class Sink:
    """A store in memory."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.delivered = 0

    def deliver(self, batch):
        self.delivered += len(batch)
        outcomes = [DUPLICATE if each.id in self.bodies else STORED for each in batch]
        self.bodies |= {each.id: each.body for each in batch}
        return outcomes

    def flush(self):
        pass

    def close(self):
        pass


class Voice:
    """Remembers what the shipper says."""

    def __init__(self) -> None:
        self.id = new_entity_id()
        self.said = []

    def say(self, action, facts):
        self.said.append((action, facts))

    def end(self):
        pass


@pytest.fixture
def shipper(home):
    """A shipper on the home, whose clock goes on by two seconds at every look."""
    clock = iter(range(0, 10_000_000, 2))
    (home.path / "run").mkdir(parents=True)
    sink, voice = Sink(), Voice()
    made = Shipper(home.path, sink, voice=voice, monotonic=lambda: float(next(clock)))
    made.sink, made.voice = sink, voice
    return made


def test_events_are_delivered_under_their_ids_whoever_made_them(home, lines, shipper):
    own = {"event.id": "abc", "message": "hi"}
    (report,) = home.ingest(home.log("shop.log", lines(1)[0], own, b"broken", b""))
    shipper.once()
    i = report.instance
    assert shipper.sink.bodies.keys() == {*(f"{i}-{n:011x}" for n in (1, 3, 4)), "abc"}
    assert all(json.loads(body)["event"]["id"] == id for id, body in shipper.sink.bodies.items())
    assert shipper.report.stored == 4


def test_a_file_has_no_end_and_none_is_told_of_it(home, lines, shipper):
    home.ingest(home.log("shop.log", *lines(3)))
    shipper.once()
    assert shipper.voice.said == []
    assert not list(home.spool.glob("*.seg"))


def test_an_unreadable_line_counts_as_dropped_and_an_empty_one_does_not(home, lines, shipper):
    home.ingest(home.log("shop.log", lines(1)[0], b"broken", b"", b"broken"))
    shipper.once()
    assert shipper.report.dropped == {"not_json": 2}


def test_a_shipper_that_runs_takes_every_piece_of_a_file_once(home, lines, shipper, monkeypatch):
    """Each flush is shipped, acknowledged and removed before the next one is there, and the file grows in between."""
    monkeypatch.setattr(passage, "FLUSH_BYTES", 2_000)
    monkeypatch.setattr(cutting, "CHUNK", 1_000)
    real = passage.segments.write

    def write(*about):
        real(*about)
        shipper.step()

    monkeypatch.setattr(passage.segments, "write", write)
    log = home.log("shop.log", *lines(100))
    home.ingest(log)
    for n in range(3):
        with log.open("ab") as file:
            file.write(home.text(*lines(20, 100 + 20 * n)))
        home.ingest(log)
        shipper.step()
    shipper.once()
    said = [json.loads(body)["message"] for body in shipper.sink.bodies.values()]
    assert sorted(said) == sorted(f"line {n}" for n in range(160))
    assert shipper.sink.delivered == 160
    assert shipper.voice.said == []
    assert not list(home.spool.glob("*.seg"))
