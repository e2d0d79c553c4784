"""Looking on: what `clusterlog tail` shows of what was logged, and of what is logged while it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import pytest

from clusterlog.cli.find import feed
from clusterlog.cli.home.delivery import deliver
from clusterlog.encode.identity import hashes, key_file, rotate
from clusterlog.errors import StoreUnavailable
from clusterlog.settings import load
from clusterlog.ship.homelock import HomeLock
from clusterlog.ship.watch import spools
from clusterlog.store.embedded import EmbeddedStore

ONE, TWO = "a" * 24 + "00000001", "b" * 24 + "00000002"


@pytest.fixture
def speaker(home):
    """A process that has said twelve lines; nothing is delivered yet."""
    speaker = home.speaker()
    for number in range(12):
        speaker.say(f"line {number}", request=ONE if number % 2 else TWO)
    return speaker


def ship(home):
    deliver(load({"home": str(home)}))


def told(result):
    """What the lines say, without their columns."""
    return [" ".join(line.split()[5:]) for line in result.lines]


def lines(*numbers):
    return [f"line {number}" for number in numbers]


def test_the_newest_ten_come_first_and_then_what_is_logged(run, home, speaker, turns):
    turns(partial(speaker.say, "then"), partial(speaker.say, "and then", level="error", sku="a9"))
    result = run("tail")
    assert (result.code, result.err) == (130, "")
    assert told(result) == [*lines(*range(2, 12)), "then", "and then sku=a9"]
    assert result.lines[-1] == f"2026-11-03T12:00:01.013Z  shop-1  E  {'-':32}  shop.api    and then  sku=a9"


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["-n", "0"], []),
        (["-n", "3"], lines(9, 10, 11)),
        (["--lines", "100"], lines(*range(12))),
        (["--since"], lines(*range(12))),
        (["--since", "2026-11-03T12:00:01.010Z"], lines(10, 11)),
        (["--since", "2026-11-03", "-n", "2"], lines(10, 11)),
        (["--since", "2026-11-03T12:00:01.010Z", "-n", "5"], lines(10, 11)),
        (["--since", "2026-11-04"], []),
    ],
)
@pytest.mark.parametrize("state", ["waiting", "waiting for somebody else", "delivered"])
def test_it_begins_with_as_much_as_is_asked_for(run, home, speaker, turns, options, shown, state):
    if state == "delivered":
        ship(home)
    turns()
    with HomeLock.take(home.path) if state == "waiting for somebody else" else nullcontext():
        assert told(run("tail", *options)) == shown


def test_what_waits_in_the_spools_is_delivered_at_the_beginning_if_nobody_does(run, home, speaker, turns):
    speaker.end()
    turns()
    assert told(run("tail", "-n", "1")) == lines(11)
    assert home.segments() == []


def test_where_somebody_ships_nothing_is_delivered_and_everything_shown(run, home, speaker, turns):
    with HomeLock.take(home.path):
        turns(partial(speaker.say, "then"))
        result = run("tail", "-n", "2")
        assert (told(result), result.err) == ([*lines(10, 11), "then"], "")
        assert not (home.path / "store").exists()
        assert len(home.segments()) == 1


def test_what_is_stored_already_and_what_is_not_come_together_in_order(run, home, speaker, turns):
    ship(home)
    other = home.speaker(node="shop-2")
    other.say("of another process")
    speaker.say("line 12")
    with HomeLock.take(home.path):
        turns()
        assert told(run("tail", "-n", "3")) == [*lines(11, 12), "of another process"]
        assert told(run("tail", "--since")) == [*lines(*range(13)), "of another process"]


def test_what_is_stored_and_waits_all_the_same_is_shown_once(run, home, speaker, turns):
    ship(home)
    (home.path / "run" / "acknowledged.json").unlink()
    turns()
    with HomeLock.take(home.path):
        assert told(run("tail", "--since")) == lines(*range(12))


def test_every_event_is_shown_once_whoever_delivers_it_meanwhile(run, home, speaker, turns):
    def say(number):
        speaker.say(f"line {number}")

    turns(*[step for number in range(12, 18) for step in (partial(say, number), partial(ship, home))])
    assert told(run("tail", "-n", "1")) == lines(*range(11, 18))


def test_what_was_delivered_and_removed_before_anybody_looked_is_taken_from_the_store(run, home, speaker, turns):
    def end_of_it():
        speaker.say("last words", level="error")  # in a file that was not there before
        speaker.die()
        ship(home)
        assert home.segments() == []

    turns(end_of_it)
    result = run("tail", "-n", "1")
    assert told(result)[:2] == [*lines(11), "last words"]


def test_a_process_that_came_and_went_while_nobody_looked_is_shown_too(run, home, speaker, turns, monkeypatch):
    monkeypatch.setattr(spools, "STALL_S", 0.0)
    monkeypatch.setattr(feed, "Watch", partial(spools.Watch, wall=lambda: 0))  # before all these events

    def come_and_go():
        other = home.speaker(node="shop-2")
        other.say("here and gone")
        other.end()
        ship(home)
        speaker.say("line 12")

    turns(come_and_go)
    assert sorted(told(run("tail", "-n", "1", "message: *"))) == sorted([*lines(11, 12), "here and gone"])


def test_events_come_in_the_order_of_time_or_as_they_came(run, home, turns):
    home.path.mkdir()
    early, late = home.speaker(), home.speaker(node="shop-2")

    def say():
        late.say("late", level="error")
        early.say("early")

    turns(say)
    assert told(run("tail", "-n", "0")) == ["early", "late"]
    turns(say)
    assert told(run("tail", "-n", "0", "--order", "arrival")) == ["late", "early"]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (["level:", "error"], ["broken"]),
        (["level >= warning"], ["odd", "broken"]),
        (["--request", ONE], ["odd"]),
        (["--request", f"..{ONE[-8:]}"], ["odd"]),
        (["--request", f"X-Request-ID: {ONE}", "level: error"], []),
        (["since: 1m or message: odd"], ["odd"]),
    ],
)
def test_only_what_matches_is_shown(run, home, turns, query, shown):
    speaker = home.speaker()

    def say():
        speaker.say("fine")
        speaker.say("odd", level="warning", request=ONE)
        speaker.say("broken", level="error", request=TWO)

    turns(say)
    assert told(run("tail", *query)) == shown


def test_a_user_is_found_by_name_under_every_key_of_the_home(run, home, keep, turns):
    settings = load({"home": str(home)})
    home.path.mkdir()
    rotate(key_file(settings))
    (old,) = hashes(settings, "alice")
    rotate(key_file(settings))
    new = hashes(settings, "alice")[0]
    instance = "0190aaaa0000700080000000000000a1"
    keep(
        *(
            {
                "@timestamp": f"2026-11-03T12:00:0{number}.000000000Z",
                "event": {"id": f"{instance}-{number:011x}", "sequence": number},
                "process": {"entity_id": instance},
                "user": {"hash": user},
                "clusterlog": {"session": {"hash": user}},
            }
            for number, user in enumerate((old, new, "f" * 64), 1)
        )
    )
    turns()
    for option in ("--user", "--session"):
        found = run("tail", option, "alice", "--ndjson").lines
        assert [json.loads(line)["user"]["hash"] for line in found] == [old, new]


def test_what_processes_say_of_themselves_is_shown_where_it_is_asked_for(run, home, speaker, turns):
    turns(speaker.end)
    assert told(run("tail", "-n", "100")) == lines(*range(12))
    states = run("tail", "-n", "100", "dataset: clusterlog.state")
    assert {line.split()[2] for line in states.lines} == {"S"}
    assert {f"open {speaker.id}", f"close {speaker.id}"} <= set(told(states))


def test_a_crash_is_always_shown(run, home, speaker, turns):
    speaker.die()
    turns()
    assert "crash-close" in run("tail", "-n", "1").out


def test_documents_come_as_they_were_written_one_a_line(run, home, speaker, turns):
    speaker.say("\u202e\x7f ü")
    written = run("spool", "cat", "--json").lines[1:]
    turns(partial(speaker.say, "then"))
    result = run("tail", "--ndjson", "-n", "100")
    assert result.lines[:-1] == written
    assert json.loads(result.lines[-1])["message"] == "then"
    turns()
    assert run("tail", "--json", "-n", "100").lines == result.lines


def test_more_than_the_limit_is_left_out_and_said(run, home, speaker, turns, monkeypatch):
    clock = SimpleNamespace(now=time.time_ns())
    monkeypatch.setattr("clusterlog.cli.find.tail.time", SimpleNamespace(time_ns=lambda: clock.now))

    def say():
        for number in range(2130):
            speaker.say(f"line {number}")

    def a_second_passes():
        clock.now += 1_000_000_000

    turns(say, a_second_passes, a_second_passes)
    result = run("tail", "-n", "0", "--limit-rate", "480")
    assert told(result) == lines(*range(480))
    assert result.err == "showing 480 of 2,130/s; --limit-rate 0 shows all\n"


@pytest.mark.parametrize(("options", "shown"), [([], 500), (["--limit-rate", "0"], 700), (["--format", "plain"], 700)])
def test_a_terminal_is_given_what_eyes_can_follow(run, home, speaker, turns, on_terminal, options, shown):
    def say():
        for number in range(700):
            speaker.say(f"line {number}")

    turns(say)
    assert len(run("tail", "-n", "0", *options).lines) == shown


def test_a_pipe_is_given_everything(run, home, speaker, turns):
    def say():
        for number in range(700):
            speaker.say(f"line {number}")

    turns(say)
    result = run("tail", "-n", "0")
    assert (len(result.lines), result.err) == (700, "")


def test_hostile_text_reaches_a_terminal_escaped(run, home, turns, on_terminal):
    hostile = "\x1b[2J\u202e<b>\x00\n\x9b31m"
    speaker = home.speaker(node=hostile)
    for options in ([], ["--ndjson"]):
        turns(partial(speaker.say, hostile, request=ONE, key=hostile))
        text = run("tail", *options).out
        assert "<b>" in text
        assert not [c for c in text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e")]


def test_a_home_that_is_not_there_yet_is_waited_for(run, home, turns):
    turns(lambda: None, lambda: home.speaker().say("at last"), lambda: home.speakers[0].say("and on"))
    result = run("tail")
    assert told(result) == ["at last", "and on"]
    first, second = result.err.splitlines()
    assert first == f"no home at {home} yet: waiting for it; Ctrl-C ends, --home DIR names another"
    assert second == f"{home} is there now"


def test_a_query_or_an_id_that_cannot_be_is_refused_before_anything_is_waited_for(run, home, turns):
    for words in (
        ["level: error and"],
        ["--request", "x" * 99],
        ["--since", "yesterday"],
        ["--request", f"{ONE}-{1:011x}"],
    ):
        assert run("tail", *words).code == 2


def test_a_store_that_cannot_be_read_is_said_once_and_the_spools_are_shown(run, home, speaker, turns, monkeypatch):
    ship(home)

    def broken(*arguments, **options):
        raise StoreUnavailable("it is broken")

    monkeypatch.setattr(EmbeddedStore, "open", broken)
    monkeypatch.setattr(spools, "STALL_S", 0.0)
    turns(partial(speaker.say, "then"), partial(speaker.say, "and then"))
    result = run("tail")
    assert told(result) == ["then", "and then"]
    assert result.err == "clusterlog: the store cannot be asked: it is broken\n"


PROBE = """
import sys
from clusterlog.cli import commands
from clusterlog.cli.find import follow
from clusterlog.encode.identity import hashes, key_file, rotate
def leave(reader, seconds):
    raise KeyboardInterrupt
follow.Reader.wait = leave
code = commands.call(["tail", *sys.argv[1:]])
print(code, *(name for name in ("rich", "tantivy", "lark", "zstandard") if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("options", "loaded"),
    [(["-n", "0"], "130"), (["-n", "0", "level: error"], "130 lark"), ([], "130 tantivy zstandard")],
)
def test_nothing_is_loaded_that_is_not_needed(home, speaker, options, loaded):
    ship(home)
    command = [sys.executable, "-c", PROBE, *options, "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == f"{loaded}\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_it_ends_without_a_word_when_it_is_told_to(process, home, speaker, number, code):
    begun = process("tail", "--home", home, "--lines", "1")
    assert b"line 11" in begun.stdout.readline()
    begun.send_signal(number)
    out, err = begun.communicate(timeout=30)
    assert (begun.returncode, out, err) == (code, b"", b"")


def test_it_ends_when_nobody_reads_any_more_although_nothing_is_logged(process, home, speaker):
    begun = process("tail", "--home", home, "--lines", "1")
    assert b"line 11" in begun.stdout.readline()
    begun.stdout.close()
    assert begun.wait(30) == 141
    assert begun.stderr.read() == b""


def test_standard_output_that_is_a_file_or_nothing_is_no_reader_that_left(process, home, speaker, tmp_path, until):
    with (tmp_path / "out").open("wb") as out:
        begun = process("tail", "--home", home, stdout=out)
        until(lambda: (tmp_path / "out").read_bytes().count(b"\n") == 10, "the newest are written")
        speaker.say("then")
        until(lambda: b"then" in (tmp_path / "out").read_bytes(), "what is logged is written at once")
        assert begun.poll() is None


def test_a_person_sees_short_ids_colours_and_new_events_at_once(on_pty, home, speaker):
    terminal = on_pty("tail", "--home", home, "-n", "1", columns=120)
    terminal.see("line 11")
    assert f"..{ONE[-8:]}" in terminal.shown[0]
    speaker.say("it broke", level="error")
    terminal.see("it broke")
    assert b"\x1b[1;31m" in terminal.raw
    terminal.press("\x03")
    assert terminal.ended() == 130


def test_without_rights_on_the_spools_it_says_so(run, home, speaker, turns, monkeypatch):
    def refused(path, *arguments):
        raise PermissionError(13, os.strerror(13), str(path))

    turns()
    ship(home)
    monkeypatch.setattr(spools, "instances", refused)
    result = run("tail")
    assert result.code == 4
    assert "Permission denied; run as its owner" in result.err
