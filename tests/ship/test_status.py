"""What is known of a home's delivery comes from its files alone."""

import os
import signal
import time

import pytest

from clusterlog.errors import HomeBusy, TimedOut
from clusterlog.settings import load
from clusterlog.ship.homelock import HomeLock
from clusterlog.ship.status import publish, status
from clusterlog.ship.waiting import wait_delivered


def status_of(home):
    return status(load({"home": str(home.path)}, environ={}, directory=home.path))


def test_an_empty_home_has_the_whole_shape(home):
    told = status_of(home)
    assert told["schema"] == "clusterlog.status/1" and told["home"] == str(home.path)
    assert told["shipper"] == {"state": "absent", "pid": None}
    assert told["backlog"] == {"events": 0, "bytes": 0, "oldest_age_s": None}
    assert (told["accepted"], told["shipped"], told["dead"], told["dropped"], told["instances"]) == (0, 0, 0, {}, [])


def test_what_lies_in_the_spools_is_backlog_with_its_age(home):
    writer = home.writer()
    writer.append(False, time.time_ns() - 5_000_000_000, b'"n":1}')
    told = status_of(home)
    assert told["backlog"]["events"] == 2 and told["backlog"]["bytes"] > 0
    assert 5 <= told["backlog"]["oldest_age_s"] < 60
    assert told["accepted"] == 2
    (instance,) = told["instances"]
    assert (instance["id"], instance["state"], instance["pid"], instance["sequence"]) == (
        writer.instance,
        "alive",
        os.getpid(),
        2,
    )


def test_delivered_events_are_no_backlog_and_stay_counted(home):
    writer = home.writer()
    home.say(writer, 1, 2)
    home.shipper().once()
    home.say(writer, 3)
    told = status_of(home)
    own = 3  # of the shipper: that it began, a heartbeat, and that it ended
    assert (told["accepted"], told["shipped"], told["backlog"]["events"]) == (4 + own, 3 + own, 1)


def test_the_holder_and_its_trouble_are_named(home):
    with HomeLock.take(home.path):
        publish(home.path, "http://user:secret@es", "nobody answers")
        told = status_of(home)
    assert told["shipper"] == {"state": "running", "pid": os.getpid()}
    assert told["store"] == {"url": "http://es", "state": "unreachable", "error": "nobody answers", "promise": "stored"}
    assert status_of(home)["store"] == {
        "url": str(home.path / "store"),
        "state": "unknown",
        "error": None,
        "promise": "stored",
    }


def shipping_child(home, delay):
    """A process that holds the home's lock and ships into a file after a while."""
    from clusterlog.ship.sinks.file import FileSink

    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        with HomeLock.take(home.path):
            os.write(tell, b"x")
            time.sleep(delay)
            home.sink = FileSink(home.path / "out.jsonl")
            shipper = home.shipper()
            shipper.step()
            shipper.save()
            signal.pause()
    os.read(ready, 1)
    return pid


def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_waiting_ends_when_somebody_else_has_delivered_what_was_there(home):
    home.say(home.writer(), 1, 2)
    pid = shipping_child(home, 0.1)
    try:
        assert wait_delivered(home.path, 20) == 3
        assert (home.path / "out.jsonl").read_bytes().count(b"\n") == 3
    finally:
        end(pid)


def test_waiting_ends_with_the_number_left_when_time_runs_out(home):
    home.say(home.writer(), 1)
    pid = shipping_child(home, 60)
    try:
        with pytest.raises(TimedOut, match="2 of 2 events"):
            wait_delivered(home.path, 0.1)
    finally:
        end(pid)


def test_waiting_for_a_holder_that_died_says_so(home):
    home.say(home.writer(), 1)
    end(shipping_child(home, 60))
    with pytest.raises(HomeBusy):
        wait_delivered(home.path, 20)
