"""What became of every number is told exactly, and of a running cluster nothing is called lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from clusterlog.spool import writer as writer_module
from clusterlog.store.base import Delivery
from clusterlog.store.document import id_of, parse
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.embedded.raw import partition
from clusterlog.store.query import Query


def verified(run, *arguments):
    result = run("verify", "--json", *arguments)
    return result.code, json.loads(result.out)


def numbers(told, fate):
    return [(each["instance"], each["first_seq"], each["last_seq"]) for each in told[fate]]


def forget(home, *ids):
    """Make the store again without some of its events."""
    store = EmbeddedStore.open(home.path / "store", "read")
    with closing(store):
        bodies = [found.body for found in store.find(Query(order="oldest", limit=None))]
    shutil.rmtree(home.path / "store")
    kept = [body for body in bodies if id_of(parse(body)) not in ids]
    assert len(kept) == len(bodies) - len(ids)
    with closing(EmbeddedStore.open(home.path / "store", "write")) as fresh:
        fresh.deliver([Delivery(id_of(parse(body)), "", 0, body) for body in kept])


@pytest.fixture
def shipped(home, run):
    """Two processes that said 20 lines each and ended, in the store one after the other."""
    for service, node in (("shop", "shop-1"), ("orders", "orders-1")):
        speaker = home.speaker(service, node)
        for number in range(20):
            speaker.say(f"line {number}")
        speaker.end()
        assert run("ship", "--once").code == 0
    return home


def test_a_home_of_which_all_is_stored_is_complete(shipped, run):
    code, told = verified(run)
    assert code == 0
    assert told["schema"] == "clusterlog.verify/1" and told["complete"] is True
    assert (told["accepted"], told["stored"]) == (44, 44)
    assert all(told[fate] == [] for fate in ("explained", "pending", "unexplained", "duplicates"))
    assert [(each["service"], each["node"], each["last_seq"], each["tail"]) for each in told["instances"]] == [
        ("shop", "shop-1", 22, "closed"),
        ("orders", "orders-1", 22, "closed"),
    ]


def test_an_event_that_is_not_in_the_store_any_more_is_unexplained(shipped, run):
    shop, orders = (speaker.id for speaker in shipped.speakers)
    forget(shipped, f"{shop}-{5:011x}", f"{shop}-{6:011x}", f"{orders}-{22:011x}")
    code, told = verified(run)
    assert code == 5 and told["complete"] is False
    assert (told["accepted"], told["stored"]) == (43, 41)
    assert told["unexplained"] == [
        {"instance": shop, "first_seq": 5, "last_seq": 6, "count": 2, "reason": None, "event_id": None}
    ]
    # The close event of the other is what told of its last number: it lacks nothing that is known of.
    assert {each["id"]: each["tail"] for each in told["instances"]}[orders] == "unknown"


def test_events_of_a_frame_that_cannot_be_read_are_unexplained(shipped, run):
    (directory,) = partition.directories(shipped.path / "store")
    data = bytearray((directory / partition.RAW).read_bytes())
    data[-20] ^= 0xFF
    (directory / partition.RAW).write_bytes(data)
    code, told = verified(run)
    missing = sum(each["count"] for each in told["unexplained"])
    assert code == 5 and missing and told["stored"] + missing == told["accepted"] == 44
    assert {each["reason"] for each in told["unexplained"]} == {"unreadable"}
    assert any(line.startswith("some events cannot be read: ") for line in run("verify").lines)


def test_what_a_writer_dropped_is_explained_by_reason(home, run, monkeypatch):
    speaker = home.speaker()
    speaker.say("before")
    real, disk = os.write, {"full": True}
    monkeypatch.setattr(writer_module.os, "write", lambda fd, data: 5 if disk["full"] else real(fd, data))
    for _ in range(3):
        speaker.say("while the disk is full")
    disk["full"] = False
    speaker._moments = count(speaker._now + 5_000_000_000, 1_000_000)  # a lane in trouble rests for a second
    speaker.writer.append(False, speaker._next(), b'"message":"%b"}' % (b"x" * (2 << 20)))
    speaker.say("after", "warning")
    speaker.end()
    run("ship", "--once")
    code, told = verified(run)
    assert code == 0 and told["complete"]
    assert [(each["reason"], each["count"]) for each in told["explained"]] == [("disk_full", 3), ("oversize", 1)]
    assert told["accepted"] == told["stored"] + 4
    assert all(each["event_id"].startswith(speaker.id) for each in told["explained"])
    assert run("verify").lines[0] == (
        f"accounted for: {told['accepted']} events of 1 process: {told['stored']} stored, "
        "4 lost (3 disk_full, 1 oversize)"
    )


def test_a_loss_whose_drop_event_still_waits_is_explained_by_it(home, run):
    speaker = home.speaker()
    speaker.say("before")
    run("ship", "--once")
    speaker.writer.append(False, speaker._next(), b'"message":"%b"}' % (b"x" * (2 << 20)))
    code, told = verified(run)
    assert code == 0
    assert numbers(told, "explained") == [(speaker.id, 3, 3)]
    assert numbers(told, "pending") == [(speaker.id, 4, 4)]
    speaker.end()


def test_an_event_the_store_refused_is_explained_by_its_letter(home, run):
    speaker = home.speaker()
    speaker.say("before")
    speaker.writer.append(False, speaker._next(), b'"no": "end"')
    speaker.say("after")
    speaker.end()
    run("ship", "--once")
    code, told = verified(run)
    (letter,) = told["explained"]
    assert code == 0
    assert (letter["instance"], letter["first_seq"]) == (speaker.id, 3)
    assert letter["reason"].startswith("dead_letter: not JSON")
    shutil.rmtree(home.path / "dead")  # the notice in the store is enough
    assert verified(run)[1]["explained"] == [letter]


def test_what_a_killed_process_left_waits_until_somebody_ships_it(shipped, run):
    gone = shipped.speaker("payments", "payments-1")
    for number in range(5):
        gone.say(f"last words {number}")
    gone.die()
    code, told = verified(run)
    assert (code, told["complete"], told["accepted"], told["stored"]) == (0, True, 50, 44)
    assert numbers(told, "pending") == [(gone.id, 1, 6)]
    assert told["instances"][-1]["tail"] == "killed" and told["instances"][-1]["service"] == "payments"
    assert shipped.segments()  # nothing was delivered
    run("ship", "--once")
    code, told = verified(run)
    assert code == 0 and told["pending"] == [] and told["unexplained"] == []
    assert {each["id"]: each["tail"] for each in told["instances"]}[gone.id] == "killed"


def test_a_living_process_is_known_up_to_what_lies_in_its_spool(home, run):
    speaker = home.speaker()
    speaker.say("one")
    run("ship", "--once")
    speaker.say("two")
    speaker.say("three", "error")
    code, told = verified(run)
    assert code == 0
    assert numbers(told, "pending") == [(speaker.id, 3, 4)]
    (alive,) = (each for each in told["instances"] if each["id"] == speaker.id)
    assert (alive["tail"], alive["last_seq"], alive["stored"]) == ("alive", 4, 2)
    speaker.end()


def test_from_the_store_alone_the_last_heartbeat_bounds_what_is_known(home, run):
    speaker, gone = home.speaker(), home.speaker("orders", "orders-1")
    speaker.say("one")
    gone.say("bye")
    gone.end()
    run("ship", "--once")
    for name in ("run", "dead", "spool"):
        shutil.rmtree(home.path / name, ignore_errors=True)
    code, told = verified(run)
    assert code == 0
    assert {each["id"]: each["tail"] for each in told["instances"] if each["service"] != "clusterlog"} == {
        speaker.id: "heartbeat",
        gone.id: "closed",
    }
    shown = run("verify")
    assert "1 process known to a heartbeat: what was said since is not known here" in shown.out
    speaker.writer.after_fork()


def test_an_event_behind_the_last_stored_one_is_missed_thanks_to_a_heartbeat(home, run):
    speaker = home.speaker()
    speaker.say("one")
    speaker.say("two")
    run("ship", "--once")
    forget(home, f"{speaker.id}-{3:011x}")
    shutil.rmtree(home.path / "spool")
    code, told = verified(run)
    assert code == 5
    assert numbers(told, "unexplained") == [(speaker.id, 3, 3)]
    speaker.writer.after_fork()


def test_a_second_copy_of_an_event_is_named(shipped, run):
    (directory,) = partition.directories(shipped.path / "store")
    shutil.copytree(directory, directory.with_name("20990101-000009"))
    code, told = verified(run)
    assert code == 0 and told["stored"] == 44
    assert [each["count"] for each in told["duplicates"]] == [22, 22]
    assert "44 stored twice" in run("verify").lines[0]


def test_processes_are_chosen_by_service_node_and_time(shipped, run):
    assert [each["node"] for each in verified(run, "--service", "orders")[1]["instances"]] == ["orders-1"]
    assert [each["service"] for each in verified(run, "--node", "shop-1")[1]["instances"]] == ["shop"]
    assert len(verified(run, "--since", "2026-11-03")[1]["instances"]) == 2
    assert len(verified(run, "--since", "2026-11-03", "--until", "2026-11-04")[1]["instances"]) == 2
    result = run("verify", "--until", "2026-11-03")
    assert (result.code, result.err) == (1, f"clusterlog: no such process in the store of {shipped}\n")
    assert run("verify", "--service", "nobody").code == 1


def test_where_nothing_is_stored_it_says_what_waits(home, run):
    result = run("verify")
    assert (result.code, result.err) == (
        1,
        f"clusterlog: no home at {home}: nothing has logged there; --home DIR names another\n",
    )
    speaker = home.speaker()
    speaker.say("one")
    result = run("verify")
    assert (result.code, result.err) == (
        1,
        f"clusterlog: nothing is stored in {home} yet; 2 events not delivered yet\n",
    )
    speaker.end()


def test_people_read_the_verdict_first_then_trouble_then_what_is_well(shipped, run):
    shop, orders = (speaker.id for speaker in shipped.speakers)
    forget(shipped, f"{orders}-{7:011x}")
    result = run("verify")
    assert result.code == 5
    assert result.lines == [
        "incomplete: 1 of 44 events of 2 processes cannot be explained; 43 stored",
        "",
        f"STATE       INSTANCE{' ' * 24}  SERVICE  NODE      NUMBERS  STORED  LOST  WAITING  UNEXPLAINED  KNOWN",
        f"incomplete  {orders}  orders   orders-1       22      21     -        -            1  to its end",
        f"complete    {shop}  shop     shop-1         22      22     -        -            -  to its end",
        "",
        "UNEXPLAINED                       NUMBERS  HOW MANY  REASON",
        f"{orders}  7        1 event   -",
    ]


def test_on_a_terminal_complete_processes_beyond_twenty_are_counted(home, run, on_terminal):
    for number in range(25):
        speaker = home.speaker("shop", f"shop-{number}")
        speaker.say("hello")
        speaker.end()
    run("ship", "--once")
    lines = run("verify", "--no-pager").lines
    assert lines[0] == "complete: 75 events of 25 processes: 75 stored"
    assert len(lines) == 2 + 1 + 20 + 1 and lines[-1] == "and 5 more, complete"


def test_names_of_strangers_cannot_steer_the_terminal(home, run):
    speaker = home.speaker("sh\x1b[31mop", "no\nde")
    speaker.say("hello")
    speaker.end()
    run("ship", "--once")
    assert "sh\\x1b[31mop" in run("verify").out and "\x1b[31m" not in run("verify").out


WRITER = """
import sys, time, clusterlog
clusterlog.start("busy", home=sys.argv[1], node="busy-1", disk_limit="64M")
log = clusterlog.get_logger("busy")
print("ready", flush=True)
number = 0
while True:
    number += 1
    (log.warning if number % 7 == 0 else log.info)("line", number=number)
    if number % 20 == 0:
        time.sleep(0.005)
"""


@pytest.fixture
def busy(home, tmp_path):
    """Start another process that logs in both lanes until it is killed."""
    begun = []

    def begin():
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        argv = [sys.executable, "-c", WRITER, str(home)]
        begun.append(subprocess.Popen(argv, stdout=subprocess.PIPE, env=environ, cwd=tmp_path))
        assert begun[-1].stdout.readline() == b"ready\n"
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()
        each.communicate()


def test_while_processes_log_and_a_shipper_ships_nothing_is_called_lost(home, run, process, until, busy):
    """Numbers are everywhere at once then: in both lanes, on their way, stored; and processes come and go."""
    home.path.mkdir()
    shipper = process("ship", "--home", home)
    writers = [busy(), busy()]
    until(lambda: run("verify", "--json").code == 0, "something is stored")
    for _ in range(4):
        code, told = verified(run)
        assert told["unexplained"] == [] and code == 0
        writers[0].send_signal(signal.SIGKILL)
        writers = [writers[1], busy()]
    for each in writers:
        each.kill()
        each.wait()
    shipper.send_signal(signal.SIGTERM)
    shipper.communicate(timeout=60)
    code, told = verified(run)
    assert code == 0 and told["pending"] == [] and told["unexplained"] == []
    assert told["accepted"] == told["stored"] > 500
    assert {each["tail"] for each in told["instances"] if each["service"] == "busy"} == {"killed"}
