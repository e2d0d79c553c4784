"""Watching one request: `clusterlog trace --follow` and `--wait`, and the stream of events beneath them."""

from __future__ import annotations

import json
import signal
from functools import partial

import pytest

from clusterlog.cli.find import feed, follow
from clusterlog.cli.find.feed import Feed
from clusterlog.cli.find.follow import Picture, of_request
from clusterlog.cli.home.delivery import deliver
from clusterlog.errors import SettingError, TimedOut
from clusterlog.settings import load
from clusterlog.ship.watch import spools

ONE, TWO = "a" * 24 + "00000001", "b" * 24 + "00000001"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """A request is quiet as soon as nothing new comes."""
    monkeypatch.setattr(feed.Feed, "quiet_s", 0.0)


def told(result):
    return [" ".join(line.split()[5:]) for line in result.lines]


def goes_on(home, request=ONE, status=200):
    """What happens to a request, step by step, in two processes."""
    shop, orders = home.speaker(), home.speaker("orders", "orders-1")
    return [
        partial(shop.say, "order received", request=request),
        partial(orders.say, "reserve stock", request=request),
        partial(shop.say, "of no request"),
        partial(shop.answer, request, status),
    ]


EVENTS = ["order received", "reserve stock", "GET /orders → 200 in 5 ms"]


def test_events_are_shown_as_they_come_until_the_request_was_answered(run, home, turns):
    turns(*goes_on(home), lambda: pytest.fail("it has ended"))
    result = run("trace", ONE, "--follow")
    assert (result.code, told(result)) == (0, EVENTS)
    assert result.lines[0].split()[:4] == ["2026-11-03T12:00:01.000Z", "shop-1", "I", ONE]
    assert result.err.splitlines()[-1] == "finished: 3 events"


def test_a_request_that_goes_on_already_is_shown_from_its_beginning(run, home, turns):
    first, *others = goes_on(home)
    first()
    deliver(load({"home": str(home)}))
    turns(*others)
    result = run("trace", ONE, "--follow")
    assert (result.code, told(result), result.err) == (0, EVENTS, "finished: 3 events\n")


def test_a_request_that_has_ended_is_shown_and_nothing_is_waited_for(run, home, turns):
    for step in goes_on(home):
        step()
    turns(lambda: pytest.fail("there is nothing to wait for"))
    result = run("trace", ONE, "--follow")
    assert (result.code, sorted(told(result))) == (0, sorted(EVENTS))


def test_what_goes_on_after_the_answer_is_waited_for_as_long_as_something_comes(run, home, turns, monkeypatch):
    monkeypatch.setattr(feed.Feed, "quiet_s", 3600.0)
    shop = home.speaker()
    shop.say("order received", request=ONE)
    steps = [partial(shop.answer, ONE, 200), partial(shop.say, "receipt mailed", request=ONE)]
    turns(*steps, lambda: monkeypatch.setattr(feed.Feed, "quiet_s", 0.0))
    assert told(run("trace", ONE, "--follow")) == ["order received", "GET /orders → 200 in 5 ms", "receipt mailed"]


@pytest.mark.parametrize("given", [f"..{ONE[-10:]}", f"{ONE[:12]}..", f"X-Request-ID: {ONE}", TRACE])
def test_an_abbreviation_means_the_first_request_that_fits(run, home, turns, given):
    home.path.mkdir()
    other = home.speaker(node="shop-9")
    steps = goes_on(home)
    turns(steps[0], partial(other.say, "of another", request="c" * 16 + ONE[-10:]), *steps[1:])
    result = run("trace", given, "--follow")
    expected = EVENTS if given != TRACE else [EVENTS[0], "of another", *EVENTS[1:]]  # they are one trace
    assert told(result) == expected


def test_several_that_fit_already_are_told_and_not_waited_for(run, home, turns):
    for request in (ONE, TWO):
        for step in goes_on(home, request):
            step()
    turns(lambda: pytest.fail("which one is to be waited for?"))
    result = run("trace", "..00000001", "--follow")
    assert result.code == 1
    assert "2 requests fit 00000001" in result.err


@pytest.mark.parametrize(
    "words", [["--follow", "nothing that is an id"], ["--wait", "5s", "?"], ["--wait", "soon", ONE]]
)
def test_what_cannot_be_is_refused_before_anything_is_waited_for(run, home, words):
    result = run("trace", *words)
    assert (result.code, result.out) == (2, "")


def test_the_id_of_an_event_is_no_request_to_wait_for():
    with pytest.raises(SettingError, match="is an event's id: give that of its request"):
        of_request(f"{ONE}-{1:011x}")


def test_documents_come_one_a_line_as_they_are_written(run, home, turns):
    turns(*goes_on(home))
    found = run("trace", ONE, "--follow", "--ndjson").lines
    assert [json.loads(line)["message"] for line in found] == [*EVENTS[:2], "GET /orders 200"]


def test_one_document_is_given_at_the_end(run, home, turns):
    turns(*goes_on(home, status=500))
    result = run("trace", ONE, "--follow", "--json")
    told = json.loads(result.out)
    assert (told["schema"], told["request"]["events"], told["request"]["status"]) == ("clusterlog.trace/1", 3, 500)


def test_waiting_ends_with_the_request_and_shows_it_as_ever(run, home, turns):
    turns(*goes_on(home))
    result = run("trace", ONE, "--wait", "1h", "--json")
    assert (result.code, json.loads(result.out)["request"]["events"]) == (0, 3)
    assert "finished" not in result.err
    again = run("trace", ONE, "--json")
    assert json.loads(again.out)["events"] == json.loads(result.out)["events"]


def test_waiting_and_checking_tell_a_script_how_it_ended(run, home, turns):
    turns(*goes_on(home, status=500))
    result = run("trace", ONE, "--wait", "1h", "--check", "--json")
    assert (result.code, json.loads(result.out)["state"]) == (10, "failed")


def test_a_wait_that_runs_out_says_what_there_is(run, home, turns):
    home.path.mkdir()
    turns(lambda: None)
    result = run("trace", ONE, "--wait", "0.0s")
    assert (result.code, result.out, result.err) == (7, "", f"clusterlog: no request {ONE} after 0 s\n")
    goes_on(home)[0]()
    turns(lambda: None)
    result = run("trace", ONE, "--wait", "0s")
    assert (result.code, result.out) == (7, "")
    assert result.err.startswith(f"clusterlog: request {ONE} has not ended after 0 s: 1 event so far, the newest ")


def test_a_home_that_does_not_come_is_not_waited_for_longer(run, home, turns):
    result = run("trace", ONE, "--wait", "0s")
    assert result.code == 7
    assert result.err.splitlines()[-1] == f"clusterlog: no home at {home} came meanwhile"


def test_a_person_is_told_that_there_is_nothing_yet(run, home, turns, on_terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    home.path.mkdir()
    turns(*goes_on(home))
    result = run("trace", ONE, "--follow")
    assert result.err.splitlines()[0] == f"no request {ONE} yet: waiting for it; Ctrl-C ends"


def test_what_comes_of_a_store_and_of_spools_comes_once(home, monkeypatch):
    monkeypatch.setattr(spools, "STALL_S", -1.0)
    monkeypatch.setattr(feed, "Watch", partial(spools.Watch, wall=lambda: 0))
    settings = load({"home": str(home)})
    speaker = home.speaker()
    speaker.say("before")
    seen = []
    with Feed(settings) as looked:
        for number in range(5):
            speaker.say(f"line {number}")
            seen += looked.arrivals()
            deliver(settings)
            seen += looked.arrivals()
    ids = [json.loads(each)["event"]["id"] for each in seen]
    assert len(ids) == len(set(ids))
    assert sum(b'"line ' in each for each in seen) == 5


OTHER, FIRST = b"\x1b[?1049h", b"\x1b[?1049l"


def test_a_terminal_is_repainted_and_keeps_the_last_picture(on_pty, home):
    home.path.mkdir()
    received, reserved, _, answered = goes_on(home)
    terminal = on_pty("trace", ONE, "--follow", "--home", home, columns=100, lines=40)
    terminal.see(f"no request {ONE} yet")
    received()
    terminal.see("order received")
    assert OTHER in terminal.raw
    assert FIRST not in terminal.raw
    reserved()
    terminal.see("reserve stock")
    answered()
    assert terminal.ended() == 0
    before, _, after = terminal.raw.partition(FIRST)
    assert b"finished: 3 events" in after
    for shown in (before, after):
        assert b"reserve stock" in shown
    assert before.count(OTHER) == 1


def test_ctrl_c_leaves_what_was_seen_on_the_terminal(on_pty, home):
    received, *_ = goes_on(home)
    received()
    terminal = on_pty("trace", ONE, "--follow", "--home", home, columns=100, lines=40)
    terminal.see("order received")
    terminal.press("\x03")
    assert terminal.ended() == 130
    assert b"order received" in terminal.raw.partition(FIRST)[2]
    assert b"Traceback" not in terminal.raw


class Screen:
    """What a picture painted, and how often."""

    def __init__(self, monkeypatch):
        self.painted = []
        self.now = 0.0
        self.cost = 0.0
        monkeypatch.setattr("clusterlog.cli.find.follow.time.monotonic", lambda: self.now)
        self.picture = Picture(self.draw)

    def draw(self, documents):
        self.painted.append(len(documents))
        self.now += self.cost

    def show(self, count, after):
        self.now += after
        self.picture(["new"] * bool(count), ["old"] * count)


def test_a_picture_is_painted_when_something_is_new_and_not_too_often(monkeypatch, capsys):
    screen = Screen(monkeypatch)
    screen.show(0, 1.0)
    screen.show(1, 1.0)
    screen.show(2, 0.05)
    assert screen.painted == [1]
    screen.picture([], ["old"] * 2)
    screen.now += follow.REDRAW_S
    screen.picture([], ["old"] * 2)
    assert screen.painted == [1, 2]


def test_a_picture_that_takes_long_to_paint_is_painted_less_often(monkeypatch, capsys):
    screen = Screen(monkeypatch)
    screen.cost = 1.0
    screen.show(1, 0.0)
    screen.show(2, 2.5)
    assert screen.painted == [1]
    screen.show(3, 1.0)
    assert screen.painted == [1, 3]


def test_a_picture_that_was_never_painted_leaves_the_terminal_alone(monkeypatch, capsys):
    with pytest.raises(TimedOut), Screen(monkeypatch).picture:
        raise TimedOut("nothing came")
    assert capsys.readouterr().out == ""


def test_a_node_that_the_request_has_not_reached_yet_is_no_error(run, on_pty, home):
    received, reserved, _, answered = goes_on(home)
    received()
    terminal = on_pty("trace", ONE, "--follow", "--node", "orders-1", "--home", home, columns=100, lines=40)
    while OTHER not in terminal.raw:
        terminal.look()
    reserved()
    terminal.see("reserve stock")
    answered()
    assert terminal.ended() == 0


def test_it_ends_with_the_signal_s_code_in_a_pipe(process, home):
    for step in goes_on(home)[:2]:
        step()
    begun = process("trace", ONE, "--follow", "--home", home)
    assert b"order received" in begun.stdout.readline()
    begun.send_signal(signal.SIGINT)
    assert begun.wait(30) == 130
