"""What waits in the spools is known by number, whoever writes or removes meanwhile."""

import json

import pytest

from clusterlog.ship.dead.quarantine import Quarantine
from clusterlog.ship.inventory import inventory, kept_aside
from clusterlog.spool import reader
from clusterlog.spool.budget import Budget
from clusterlog.store.base import Delivery


def test_a_home_without_a_spool_holds_nothing(home):
    assert inventory(home.path) == {} and kept_aside(home.path) == {}


def test_numbers_of_both_lanes_are_one_row(home):
    writer = home.writer()
    home.say(writer, 1, 2)
    home.say(writer, 3, priority=True)
    home.say(writer, 4)
    (remains,) = inventory(home.path).values()
    assert (remains.numbers, remains.until, remains.alive) == (((1, 5),), 5, True)
    writer.close(1)
    (remains,) = inventory(home.path).values()
    assert (remains.numbers, remains.until, remains.alive) == (((1, 6),), 6, False)
    assert [json.loads(each)["event"]["action"] for each in remains.states] == ["open", "close"]


def test_what_a_writer_dropped_is_no_number_and_its_drop_event_is_seen(home):
    writer = home.writer()
    home.say(writer, 1)
    writer.append(False, 1, b'"pad":"%s"}' % (b"x" * (2 << 20)))
    home.say(writer, 2)
    (remains,) = inventory(home.path).values()
    assert remains.numbers == ((1, 2), (4, 5))
    states = [json.loads(each) for each in remains.states]
    told = [each["clusterlog"]["state"] for each in states if each["event"]["action"] == "drop"]
    assert [(each["first_seq"], each["last_seq"], each["reason"]) for each in told] == [(3, 3, "oversize")]


def test_a_record_that_is_still_being_written_and_a_damaged_one_are_no_numbers(home):
    writer = home.writer()
    home.say(writer, 1, 2, 3)
    (segment,) = home.spool.glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[-5] ^= 0xFF
    segment.write_bytes(data)
    (remains,) = inventory(home.path).values()
    assert remains.numbers == ((1, 3),)


def test_of_a_living_writer_only_the_numbers_given_before_the_look_are_promised(home, monkeypatch):
    """It goes on between the looks; what was given before the first must be there, whichever file it is in."""
    writer = home.writer()
    home.say(writer, 1, 2)
    home.say(writer, 3, priority=True)
    real, looks = reader.LaneReader.read, []

    def read(self, snapshot, *arguments):
        found = real(self, snapshot, *arguments)
        if self.lane == "bulk" and not found:  # read to its end, as far as was looked
            looks.append(snapshot)
            home.say(writer, 4)
            home.say(writer, 5, priority=True)
        return found

    monkeypatch.setattr(reader.LaneReader, "read", read)
    (remains,) = inventory(home.path).values()
    assert len(looks) == 2
    assert remains.until == 4  # the sizes were looked at before the first of them was read
    assert remains.numbers == ((1, 6),)


def test_of_a_writer_that_began_between_the_looks_only_what_has_no_gap_is_promised(home, monkeypatch):
    from clusterlog.ship import inventory as module

    real, calls = module.instances, []

    def instances(spool):
        calls.append(1)
        if len(calls) == 2:
            writer = home.writer()
            home.say(writer, 1, 2)
            writer.append(False, 1, b'"pad":"%s"}' % (b"x" * (2 << 20)))
            home.say(writer, 3)
        return real(spool)

    monkeypatch.setattr(module, "instances", instances)
    (remains,) = inventory(home.path).values()
    assert (remains.until, remains.numbers) == (3, ((1, 3), (5, 6)))


def test_how_far_it_is_is_told_in_bytes(home):
    writer = home.writer(budget=Budget(limit=4 << 20))
    home.say(writer, *range(500), pad=1000)
    seen = []
    inventory(home.path, lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen) and len({total for _, total in seen}) == 1
    assert 0 < seen[-1][0] <= seen[-1][1]


def test_files_that_vanish_meanwhile_are_no_trouble(home, monkeypatch):
    writer = home.writer()
    home.say(writer, 1)
    writer.close(1)
    real = reader.scan

    def gone(path, *arguments):
        path.unlink(missing_ok=True)
        return real(path, *arguments)

    monkeypatch.setattr(reader, "scan", gone)
    (remains,) = inventory(home.path).values()
    assert remains.numbers == ()


@pytest.mark.parametrize("times", [1, 2])
def test_letters_are_known_by_number_and_reason(home, times):
    kept = Quarantine(home.path / "dead", "f" * 32, "store")
    for _ in range(times):
        kept.keep(Delivery("i-2", "a" * 32, 2, b"{}"), "no object", 5)
    kept.close()
    assert kept_aside(home.path) == {"a" * 32: [(2, "no object")] * times}
