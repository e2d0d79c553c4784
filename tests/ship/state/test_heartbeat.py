"""A living instance is told of once a minute or every ten thousand events, as it is seen on disk."""

import os
import signal
import time

import pytest

from clusterlog.ship.acknowledged import Acknowledged
from clusterlog.ship.state.heartbeat import EVERY_EVENTS, INTERVAL_NS, SPACING_NS, Pulse
from clusterlog.spool.budget import Budget

AT = 1_793_707_200_000_000_000


@pytest.mark.parametrize(
    ("since", "more", "due"),
    [
        (0, 0, False),
        (INTERVAL_NS - 1, EVERY_EVENTS - 1, False),
        (INTERVAL_NS, 0, True),
        (SPACING_NS, EVERY_EVENTS, True),
        (SPACING_NS - 1, EVERY_EVENTS * 100, False),
        (-1, 0, True),
    ],
)
def test_a_heartbeat_is_due_after_a_minute_or_ten_thousand_events_or_where_the_clock_was_set_back(since, more, due):
    assert Pulse(AT, 500).is_due(AT + since, 500 + more) is due


def test_an_instance_that_was_never_told_of_is_due():
    assert Pulse().is_due(AT, 1)


class Wall:
    """The wall clock, turned by hand."""

    def __init__(self):
        self.ns = time.time_ns()

    def __call__(self):
        return self.ns

    def later(self, seconds):
        self.ns += int(seconds * 1e9)


@pytest.fixture
def wall():
    return Wall()


def beats(home, instance=None):
    told = home.sink.states("heartbeat")
    return [each for each in told if instance is None or each["instance"] == instance]


def test_a_living_instance_that_says_nothing_is_told_of_once_a_minute(home, wall):
    writer = home.writer()
    home.say(writer, 1, 2)
    shipper = home.shipper(wall=wall)
    for _ in range(5):
        shipper.step()
        wall.later(59)
        shipper.step()
        shipper.step()
        wall.later(1)
    told = beats(home)
    assert len(told) == 5 - 1 + 1  # the last one lies in the spool until the next pass
    assert {each["instance"] for each in told} == {writer.instance}
    assert told[0] == {
        "instance": writer.instance,
        "last_seq": 3,
        "backlog_events": 0,
        "backlog_bytes": 0,
        "oldest_age_s": 0.0,
        "dropped": {},
    }


def test_an_instance_that_says_much_is_told_of_every_ten_thousand_events(home, wall, monkeypatch):
    monkeypatch.setattr("clusterlog.ship.state.heartbeat.EVERY_EVENTS", 100)
    writer = home.writer()
    shipper = home.shipper(wall=wall)
    for turn in range(4):
        home.say(writer, *range(turn * 50, turn * 50 + 50))
        shipper.step()
        wall.later(2)
    shipper.step()
    assert [each["last_seq"] for each in beats(home)] == [51, 151]


def test_of_the_dead_and_of_itself_a_shipper_tells_no_heartbeat(home, wall):
    gone = home.writer()
    home.say(gone, 1)
    gone.close(1)
    alive = home.writer()
    home.say(alive, 1)
    shipper = home.shipper(wall=wall)
    for _ in range(6):
        shipper.step()
        wall.later(61)
    shipper.finish()
    assert {each["instance"] for each in beats(home)} == {alive.instance}
    assert shipper.report.stored == len(home.sink.documents)


def test_a_shipper_without_anything_new_falls_silent(home, wall):
    home.say(home.writer(), 1)
    shipper = home.shipper(wall=wall)
    for _ in range(3):
        shipper.step()
    delivered = len(home.sink.documents)
    for _ in range(10):
        assert shipper.step() == 0
    assert len(home.sink.documents) == delivered


def test_once_tells_of_every_living_instance_before_it_ends_and_not_again_within_the_minute(home, wall):
    writers = [home.writer() for _ in range(3)]
    for writer in writers:
        home.say(writer, 1)
    home.shipper(wall=wall).once()
    assert {each["instance"] for each in beats(home)} == {writer.instance for writer in writers}
    for _ in range(4):  # as commands do that look into the store
        wall.later(10)
        home.say(writers[0], 2)
        home.shipper(wall=wall).once()
    assert len(beats(home)) == 3
    wall.later(30)
    home.shipper(wall=wall).once()
    assert len(beats(home)) == 6
    assert beats(home, writers[0].instance)[-1]["last_seq"] == 6


def test_a_shipper_that_ends_tells_of_who_came_since_it_last_looked(home, wall):
    shipper = home.shipper(wall=wall)
    shipper.step()
    writer = home.writer()
    home.say(writer, 1)
    shipper.finish()
    assert [each["last_seq"] for each in beats(home, writer.instance)] == [2]


def test_what_waits_is_told_with_its_bytes_and_the_age_of_the_oldest(home, wall, monkeypatch):
    monkeypatch.setattr("clusterlog.ship.shipper.PASS_BYTES", 1)
    monkeypatch.setattr("clusterlog.ship.shipper.READ_BYTES", 1)
    writer = home.writer(budget=Budget(limit=4 << 20))
    home.say(writer, 0)
    writer.append(False, wall.ns, b'"pad":"%s"}' % (b"x" * (2 << 20)))  # larger than any event may be: dropped
    home.say(writer, *range(1, 3000), pad=1000)  # some segments, of which one pass reads a single one's beginning
    wall.later(5)
    shipper = home.shipper(wall=wall)
    shipper.step()
    shipper._look()
    (told,) = [facts for action, facts in home.voice.said if action == "heartbeat"]
    read = len(home.sink.documents)
    assert 0 < read < 3000
    assert told["dropped"] == {"oversize": 1}
    assert told["last_seq"] == 3003  # with its open and its drop event
    assert told["backlog_events"] == 3003 - 1 - read
    assert told["backlog_bytes"] > (3000 - read) * 1000
    assert 4 < told["oldest_age_s"] < 60


def test_a_record_that_is_still_being_written_is_not_counted(home, wall):
    writer = home.writer()
    home.say(writer, 1, 2)
    (segment,) = home.spool.glob("*.seg")
    with segment.open("ab") as file:
        file.write(b"clog half a record")
    home.shipper(wall=wall).step()
    (told,) = [facts for action, facts in home.voice.said if action == "heartbeat"]
    assert (told["last_seq"], told["backlog_events"]) == (3, 0)


def test_losses_are_told_by_reason_also_by_the_next_shipper(home, wall):
    writer = home.writer()
    home.say(writer, 1)
    writer.append(False, wall.ns, b'"n":2,"pad":"%s"}' % (b"x" * (2 << 20)))  # larger than any event may be
    home.say(writer, 3)
    home.shipper(wall=wall).once()
    assert beats(home)[-1]["dropped"] == {"oversize": 1}
    wall.later(61)
    home.shipper(wall=wall).once()
    assert beats(home)[-1]["dropped"] == {"oversize": 1}
    assert beats(home)[-1]["backlog_events"] == 0


def test_while_the_sink_takes_nothing_no_heartbeat_fills_the_spool(home, wall):
    home.say(home.writer(), 1)
    home.sink.plan = ["away"] * 3
    shipper = home.shipper(wall=wall)
    for _ in range(3):
        shipper.step()
        home.now += 100
        wall.later(100)
    assert home.voice.said == []
    shipper.step()
    assert [action for action, _ in home.voice.said] == ["heartbeat"]


def test_a_refused_word_of_the_shipper_causes_no_other_word(home, wall):
    home.say(home.writer(), 1)
    home.sink.refuse = lambda delivery: "never" if delivery.instance == home.voice.id else None
    shipper = home.shipper(wall=wall)
    for _ in range(5):
        shipper.step()
    said = len(home.voice.said)
    assert said == 1
    assert shipper.report.dead == 2  # its open event and its heartbeat, both kept in dead/


def test_what_was_told_is_forgotten_with_the_instance(home, wall):
    writer = home.writer()
    home.say(writer, 1)
    home.shipper(wall=wall).once()
    assert Acknowledged.load(home.path).pulses[writer.instance].last_seq == 2
    writer.close(1)
    home.shipper(wall=wall).once()
    home.shipper(wall=wall).once()  # what was removed is written down by the next save
    assert Acknowledged.load(home.path).pulses == {}


def test_a_state_file_of_before_there_were_heartbeats_is_read(home):
    home.say(home.writer(), 1)
    home.shipper().once()
    found = Acknowledged.load(home.path)
    path = home.path / "run" / "acknowledged.json"
    path.write_bytes(path.read_bytes().replace(b'"pulses"', b'"other"'))
    again = Acknowledged.load(home.path)
    assert again.instances == found.instances and again.totals == found.totals and again.pulses == {}


def test_a_process_of_its_own_is_seen_to_live_and_then_to_have_died(home, wall):
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        home.say(home.writer(), 1, 2)
        os.write(tell, b"x")
        signal.pause()
    os.read(ready, 1)
    home.shipper(wall=wall).once()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wall.later(100)
    home.shipper(wall=wall).once()
    assert [each["last_seq"] for each in beats(home)] == [3]
    assert [each["last_seq"] for each in home.sink.states("crash-close")] == [3]
