"""Delivering from the command line, alone or beside another shipper, and what `clusterlog status` tells of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from clusterlog.cli import paint
from clusterlog.cli.deliver.ship import Asked, Teller
from clusterlog.cli.home.delivery import deliver
from clusterlog.settings import load
from clusterlog.ship.delivery.batch import Limits
from clusterlog.ship.homelock import HomeLock

HOLDER = (
    "import sys, pathlib\n"
    "from clusterlog.ship.homelock import HomeLock\n"
    "lock = HomeLock.take(pathlib.Path(sys.argv[1]))\n"
    "print('held', flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture
def held(home):
    """Another process holds the lock of the home, and does nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        yield other
        other.communicate()


@pytest.fixture
def shipping(process, home, until):
    """`clusterlog ship` runs, and holds the lock."""
    home.path.mkdir()
    started = process("ship", "--home", home)
    until(lambda: HomeLock.holder(home.path) == started.pid, "the shipper holds the lock")
    return started


def test_once_delivers_what_lies_there_and_says_how_much(run, said):
    result = run("ship", "--once")
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith(f"shipped 5 events to {said.path / 'store'} in ")
    assert not said.segments()
    assert run("ship", "--once").err.startswith("shipped 0 events to ")


def test_once_tells_machines_what_it_did(run, said):
    assert json.loads(run("ship", "--once", "--json").out) == {
        "schema": "clusterlog.ship/1",
        "home": str(said.path),
        "sink": str(said.path / "store"),
        "stored": 5,
        "duplicates": 0,
        "dead": 0,
        "dropped": {},
    }


def test_a_file_can_be_the_end_of_the_road(run, said, tmp_path):
    result = run("ship", "--once", "--sink", f"file:{tmp_path / 'events.ndjson'}")
    assert result.code == 0
    messages = [json.loads(line)["message"] for line in (tmp_path / "events.ndjson").read_text().splitlines()]
    assert messages[1:4] == ["line 0", "line 1", "line 2"]


def test_a_sink_that_takes_nothing_is_3_and_nothing_is_lost(run, said):
    result = run("ship", "--once", "--sink", "file:/dev/full")
    assert result.code == 3
    assert result.err.startswith("clusterlog: cannot ")
    assert run("ship", "--once").err.startswith("shipped 5 events")


def test_once_beside_a_shipper_waits_until_that_one_has_delivered(run, home, shipping):
    speaker = home.speaker()
    speaker.say("while it runs")
    result = run("ship", "--once")
    assert result.code == 0
    assert result.err.startswith("delivered by the shipper of this home in ")
    assert run("search", "--count", "message: runs").out == "1\n"
    speaker.end()


def test_once_beside_a_shipper_that_does_not_deliver_is_7_after_the_timeout(run, said, held):
    result = run("ship", "--once", "--timeout", "0.2")
    assert result.code == 7
    assert result.err == "clusterlog: 5 of 5 events are not delivered yet: see `clusterlog status`\n"


def test_once_takes_over_from_a_shipper_that_dies_while_it_waits(run, said, held):
    threading.Timer(0.3, held.kill).start()
    result = run("ship", "--once")
    assert result.code == 0
    assert result.err.startswith("shipped 5 events")


def test_a_second_shipper_ends_with_3_and_names_the_first(run, said, held):
    result = run("ship")
    assert result.code == 3
    assert result.err == (
        f"clusterlog: {said} is being shipped by process {held.pid}: "
        "stop it, or wait for it with `clusterlog ship --once`\n"
    )


def test_an_answer_beside_a_shipper_that_hangs_comes_all_the_same(run, said, held, monkeypatch):
    monkeypatch.setattr("clusterlog.cli.home.stored.OTHERS_SHIPPER_S", 0.1)
    result = run("search")
    assert result.code == 1
    assert "the newest events may be missing: 5 of 5 events are not delivered yet" in result.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_shipping_in_order(said, process, run, until, number):
    shipping = process("ship", "--home", said)
    until(lambda: HomeLock.holder(said.path) == shipping.pid, "the shipper holds the lock")
    shipping.send_signal(number)
    _, err = shipping.communicate(timeout=30)
    assert shipping.returncode == 0
    begun, ended = err.decode().splitlines()
    assert begun == f"shipping {said} to {said.path / 'store'}; Ctrl-C ends it"
    assert ended.startswith("shipped 5 events to ")
    assert HomeLock.holder(said.path) == 0
    assert run("search", "--count", "message: line").out == "3\n"


def test_shipping_until_the_end_of_input_says_nothing_and_ends_with_it(process, home, until):
    home.path.mkdir()
    started = process("ship", "--until-eof", "--home", home, stdin=subprocess.PIPE)
    until(lambda: HomeLock.holder(home.path) == started.pid, "the shipper holds the lock")
    assert started.communicate(timeout=30) == (b"", b"")
    assert started.returncode == 0


def test_trouble_with_the_sink_is_said_once_and_its_end_as_well(process, said, until):
    started = process("ship", "--sink", "file:/dev/full", "--home", said)
    until((said.path / "run" / "status.json").exists, "the shipper has tried")
    status = until(lambda: _published(said) and _published(said)["error"] and _published(said), "trouble is published")
    assert status["error"].startswith("cannot write /dev/full")
    started.send_signal(signal.SIGTERM)
    _, err = started.communicate(timeout=30)
    told = [line for line in err.decode().splitlines() if line.startswith("not delivered: ")]
    assert len(told) == 1
    assert told[0].endswith("; events wait in the spool")


def test_what_the_sink_says_is_told_when_it_changes_and_published_now_and_then(said, capsys):
    now = [0.0]
    teller = Teller(load({"home": str(said)}), "the sink", monotonic=lambda: now[0])
    (said.path / "run").mkdir()
    warnings = []
    shipper = SimpleNamespace(error="", told=lambda: {"warnings": list(warnings)})

    def told(error, after):
        shipper.error, now[0] = error, now[0] + after
        (said.path / "run" / "status.json").unlink(missing_ok=True)
        teller.tell(shipper)
        published = _published(said)
        return capsys.readouterr().err, published and published["error"]

    assert told("", 0) == ("", "")
    assert told("", 1) == ("", None)
    assert told("away", 1) == ("not delivered: away; events wait in the spool\n", "away")
    assert told("away", 1) == ("", None)
    assert told("away", 5) == ("", "away")
    assert told("", 0) == ("the sink takes events again\n", "")
    for _ in range(10):  # what comes and goes is said once a minute, and its end only if it was said
        assert told("away", 1) == ("", "away")
        assert told("", 1) == ("", "")
    assert told("away", 60) == ("not delivered: away; events wait in the spool\n", "away")
    assert told("too much", 1) == ("not delivered: too much; events wait in the spool\n", "too much")
    warnings.append("3 events are odd")
    assert told("too much", 1)[0] == "3 events are odd\n"
    warnings[0] = "4 events are odd"
    assert told("too much", 1)[0] == ""
    assert told("too much", 60)[0] == "4 events are odd\n"
    assert told("too much", 60)[0] == ""


def test_a_handler_may_ask_at_any_moment_and_the_second_signal_is_deadly(monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda number, handler: set_to.append((number, handler)))
    set_to = []
    stop = Asked()
    assert not stop.wait(0)
    with stop._cond:  # as if the handler had interrupted the library's own wait
        stop.by_signal(signal.SIGTERM, None)
    assert stop.is_set()
    assert set_to == [(signal.SIGTERM, signal.SIG_DFL)]
    begun = time.monotonic()
    assert stop.wait(60)
    assert time.monotonic() - begun < 30


def test_status_tells_what_waits_and_what_was_shipped(run, said):
    speaker = said.speaker("orders", "orders-1")
    speaker.say("more")
    before = run("status")
    assert before.code == 0
    lines = before.lines
    assert lines[:3] == [
        f"home      {said}",
        "shipper   none: `clusterlog ship` delivers what waits; trace and search deliver it first",
        f"store     {said.path / 'store'}",
    ]
    assert lines[3].startswith("waiting   7 events, ")
    assert lines[4:7] == ["events    7 accepted, 0 shipped", "lost      nothing", "refused   nothing"]
    assert [line.split()[1:3] for line in lines[9:]] == [["orders", "orders-1"], ["shop", "shop-1"]]  # who lives first
    assert [line.split()[-1] for line in lines[9:]] == ["2", "5"]
    run("ship", "--once")
    after = run("status").lines
    assert after[3:5] == ["waiting   nothing waits", "events    10 accepted, 10 shipped"]  # 3 of the shipper
    speaker.end()


@pytest.mark.parametrize("arguments", [["--once"], [], ["--once", "--json"]])
def test_a_home_that_is_not_there_is_not_made_by_who_ships_it(run, home, arguments):
    result = run("ship", *arguments)
    assert (result.code, result.out) == (1, "")
    assert result.err == f"clusterlog: no home at {home}: nothing has logged there; --home DIR names another\n"
    assert not home.path.exists()


def test_a_directory_of_something_else_is_no_home(run, home):
    home.path.mkdir()
    (home.path / "photographs").mkdir()
    assert run("ship", "--once").code == 1
    assert [path.name for path in home.path.iterdir()] == ["photographs"]
    (home.path / "clusterlog.toml").touch()
    assert run("ship", "--once").code == 0


def test_an_empty_directory_made_for_it_becomes_a_home(run, home):
    home.path.mkdir()
    assert run("ship", "--once").err.startswith("shipped 0 events")


def test_status_says_when_each_process_was_seen_and_how_much_of_it_waits(run, home):
    speaker = home.speaker()
    speaker.say("one")
    (told,) = json.loads(run("status", "--json").out)["instances"]
    assert told["waiting"] == 2 and told["state"] == "alive" and told["seen_s"] >= 0
    run("ship", "--once")
    (told,) = json.loads(run("status", "--json").out)["instances"]
    assert (told["waiting"], told["sequence"]) == (0, 2)
    assert run("status").lines[-1].split()[-1] == "-"
    speaker.end()


def test_status_of_a_home_that_is_not_there_says_so_and_makes_none(run, home):
    result = run("status", "--json")
    assert (result.code, json.loads(result.out)["accepted"]) == (0, 0)
    assert result.err == f"clusterlog: no home at {home}: nothing has logged there; --home DIR names another\n"
    assert not home.path.exists()


def test_a_timeout_without_once_is_refused(run, home):
    result = run("ship", "--timeout", "5s")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("clusterlog: --timeout goes with --once")


def test_status_for_machines_is_the_contract_s(run, said):
    told = json.loads(run("status", "--json").out)
    assert told["schema"] == "clusterlog.status/1"
    assert (told["shipper"], told["backlog"]["events"]) == ({"state": "absent", "pid": None}, 5)
    assert [each["state"] for each in told["instances"]] == ["dead"]


def test_status_of_a_shipper_that_runs_names_its_process(run, home, shipping):
    assert f"shipper   running, process {shipping.pid}" in run("status").lines


def test_status_tells_what_a_server_has_taken_in_by_syslog(run, said):
    from clusterlog.ship.homelock import HomeLock
    from clusterlog.ship.status import publish

    counts = {"received": 1200, "stored": 1190, "known": 3, "unparsed": 4, "losses": {"cut": 5, "handshakes": 2}}
    with HomeLock.take(said.path):
        publish(said.path, "", "", syslog=counts)
        assert json.loads(run("status", "--json").out)["syslog"] == counts
        told = "1,200 lines, 1,190 stored; 3 there already; 4 only as text; 2 TLS handshakes failed, 5 cut"
        assert f"syslog    {told}" in run("status").lines
    assert json.loads(run("status", "--json").out)["syslog"] is None  # of a server that has ended


def test_losses_are_told_by_reason(run, home):
    speaker = home.speaker()
    speaker.say("kept")
    speaker.say("x" * (2 << 20))
    speaker.writer.append(False, 1_793_707_200_000_000_000, b'"kind":"event"}' + b" " * (2 << 20))
    speaker.end()
    result = run("ship", "--once")
    assert result.err.rstrip("\n").endswith("dropped by their writers: 1 oversize")
    assert "lost      1 oversize" in run("status").lines


def test_progress_is_told_in_bytes_batch_by_batch_and_ends_full(said, monkeypatch):
    monkeypatch.setattr("clusterlog.ship.sinks._LARGE", Limits(events=1))
    total = sum(path.stat().st_size for path in said.segments())
    told = []
    monkeypatch.setattr(paint, "progress", lambda label, unit: nullcontext(lambda *pair: told.append(pair)))
    deliver(load({"home": str(said)}))
    done = [done for done, _ in told]
    assert {total for _, total in told} == {total}
    assert (done[0], done[-1]) == (0, total)
    assert done == sorted(done)
    assert len(set(done)) >= 6


def _published(home):
    try:
        return json.loads((home.path / "run" / "status.json").read_text())
    except (OSError, ValueError):
        return None
