"""Dead letters keep the event byte for byte with the reason, in bounded space."""

import errno
import os

import pytest

from clusterlog.context.ids import new_entity_id
from clusterlog.ship.dead import quarantine
from clusterlog.ship.dead.letters import REASON_LIMIT, letters
from clusterlog.ship.dead.quarantine import Quarantine
from clusterlog.spool.segment import MAX_EVENT
from clusterlog.store.base import Delivery


def delivery(n, body):
    return Delivery(f"id-{n}", "i", n, body)


@pytest.fixture
def kept(tmp_path):
    made = Quarantine(tmp_path / "dead", new_entity_id(), "http://store")
    yield made
    made.close()


BODIES = [b"{}", b"not json\nat all", b"\xff\xfe\x00", '{"ä": "\\ud800"}'.encode(), b'"' * MAX_EVENT]


def test_an_event_is_kept_byte_for_byte_with_the_reason(kept, tmp_path):
    for n, body in enumerate(BODIES):
        kept.keep(delivery(n, body), "mapping conflict", 7)
    found = list(letters(tmp_path / "dead"))
    assert [letter.body for letter in found] == BODIES
    first = found[0]
    assert (first.id, first.instance, first.sequence, first.sink) == ("id-0", "i", 0, "http://store")
    assert (first.reason, first.wall_ns) == ("mapping conflict", 7)


def test_a_reason_is_cut_and_nothing_else_is(kept, tmp_path):
    kept.keep(delivery(1, b"{}"), "x" * 10_000, 7)
    assert [len(letter.reason) for letter in letters(tmp_path / "dead")] == [REASON_LIMIT]


def test_without_a_letter_there_is_no_directory(kept, tmp_path):
    assert list(letters(tmp_path / "dead")) == []
    assert not (tmp_path / "dead").exists()


def test_a_letter_that_does_not_fit_is_an_error_and_leaves_no_half_of_it(kept, tmp_path, monkeypatch):
    kept.keep(delivery(1, b"{}"), "no", 7)
    real = os.write
    with monkeypatch.context() as broken:
        broken.setattr("clusterlog.ship.dead.quarantine.os.write", lambda fd, data: real(fd, data[:20]))
        with pytest.raises(OSError, match="short write") as told:
            kept.keep(delivery(2, b"{}"), "no", 7)
    assert told.value.errno == errno.ENOSPC
    kept.keep(delivery(3, b"{}"), "no", 7)
    assert [letter.sequence for letter in letters(tmp_path / "dead")] == [1, 3]


def test_the_oldest_letters_make_room_beyond_the_limit_and_are_named(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(quarantine, "SEGMENT_BYTES", 1000)
    monkeypatch.setattr(quarantine, "DISK_LIMIT", 5000)
    for n in range(60):
        kept.keep(delivery(n, b"x" * 200), "no", 7)
    found = [letter.sequence for letter in letters(tmp_path / "dead")]
    assert found == list(range(found[0], 60))
    assert 0 < found[0] < 55
    assert kept.take_dropped() == [("i", 0, found[0] - 1)]
    assert kept.take_dropped() == []


def test_the_name_of_a_new_file_is_as_durable_as_the_letters_in_it(kept, tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(quarantine, "sync_directory", synced.append)
    kept.keep(delivery(1, b"{}"), "because", 7)
    kept.keep(delivery(2, b"{}"), "because", 7)
    assert synced == [tmp_path / "dead", tmp_path]
