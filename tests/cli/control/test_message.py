"""``clusterlog message``: said, asked and heard from a terminal (CP-18)."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterlog.control.bus.base import Changed, Link
from clusterlog.control.bus.sqlite import SqliteBus
from clusterlog.control.members import Report, Status, fields_of
from clusterlog.control.messages.envelope import Sender
from clusterlog.control.messages.switchboard import Switchboard
from clusterlog.control.signing.keys import Key, cluster_keys
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import BusUnreachable
from clusterlog.spool import liveness

PATIENCE_S = 30


class Host:
    """A home with a bus, and processes on it: those that speak, and those of which only a lease is known."""

    def __init__(self, home: Path) -> None:
        (home / "control").mkdir(mode=0o700, parents=True)
        self.home = home
        self.bus = SqliteBus(home / "control" / "bus.db", "development")
        self.sealer = Sealer(cluster_keys(home, "", True), "development")
        self.link = self.bus.open()
        self.ended = threading.Event()
        self.threads: list[threading.Thread] = []
        self.locks: list[tuple[Path, int]] = []

    def lease(self, node: str) -> Sender:
        """A living process that says that it is there."""
        sender = Sender(f"{len(self.locks):032x}", node, "shop", 4000 + len(self.locks))
        lock = self.home / "control" / f"{sender.instance}.lock"
        self.locks.append((lock, liveness.take(lock)))
        worker = Status(sender.pid, sender.instance, 1, level="INFO")
        report = Report(node, "shop", socket.gethostname(), workers=(worker,))
        self.link.lease(f"shop/{node}/{sender.instance}", self.sealer.seal(fields_of(report)), 30, "")
        return sender

    def application(self, node: str) -> Switchboard:
        """One that speaks and hears."""
        sender = self.lease(node)
        link = self.bus.open()
        board = Switchboard(link.wake, tuple)
        board.begin(sender, self.sealer)
        self.threads.append(threading.Thread(target=self._carry, args=(board, link), daemon=True))
        self.threads[-1].start()
        return board

    def _carry(self, board: Switchboard, link: Link) -> None:
        while not self.ended.is_set():
            while (body := board.outbox.first()) is not None:
                link.send(body)
                board.outbox.sent(body)
            for notice in link.wait(0.05):
                if not isinstance(notice, Changed):
                    board.receive(notice)
        link.close()

    def end(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()
        self.link.close()
        for lock, held in self.locks:
            liveness.release(lock, held)


@pytest.fixture
def host(home: object) -> Iterator[Host]:
    made = Host(Path(str(home)))
    yield made
    made.end()


def heard_by(board: Switchboard, topic: str) -> tuple[list[object], threading.Event]:
    said: list[object] = []
    came = threading.Event()
    board.client("cache").subscribe(topic, lambda data: (said.append(data), came.set()))
    return said, came


def test_a_message_from_the_terminal_is_heard_by_those_who_subscribe(run, host):
    said, came = heard_by(host.application("shop-1"), "flush")
    done = run("message", "send", "cache", "flush", '{"key": "a"}')
    assert (done.code, done.out) == (0, "")
    assert done.err == "sent cache flush: 1 worker of the cluster may hear it\n"
    assert came.wait(PATIENCE_S)
    assert said == [{"key": "a"}]


def test_what_was_sent_is_told_as_json(run, host):
    done = run("message", "send", "cache", "flush", "--json")
    told = json.loads(done.out)
    assert told.pop("sender")["service"] == "message"
    assert told == {
        "schema": "clusterlog.message/1",
        "kind": "event",
        "functionality": "cache",
        "topic": "flush",
        "data": None,
        "workers": 0,
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("flush", "'flush' is no JSON: Expecting value"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("NaN", "only plain data"),
        ('"' + "x" * (300 << 10) + '"', "a message may have 262144"),
        ('"\\ud800"', "only plain data"),
    ],
)
def test_what_is_no_json_or_too_much_of_it_is_a_usage_error_in_one_line(run, host, given, said):
    for verb in ("send", "request"):
        done = run("message", verb, "cache", "flush", given)
        assert (done.code, done.out) == (2, "")
        assert said in done.err
        assert "Traceback" not in done.err


def test_a_request_shows_each_answer_and_ends_with_the_last_one(run, host):
    for node in ("shop-1", "shop-2"):
        host.application(node).client("cache").subscribe("size", lambda data, node=node: {node: data})
    done = run("message", "request", "cache", "size", "5", "--wait", "60s", "--json")
    told = json.loads(done.out)
    assert done.code == 0
    assert (told["schema"], told["complete"], told["missing"]) == ("clusterlog.replies/1", True, [])
    assert sorted((each["node"], each["data"][each["node"]]) for each in told["replies"]) == [
        ("shop-1", 5),
        ("shop-2", 5),
    ]


def test_a_request_that_not_everybody_answered_names_who_is_missing_and_ends_with_6(run, host):
    host.lease("deaf-1")
    done = run("message", "request", "cache", "size", "5", "--wait", "0.1s")
    assert (done.code, done.out) == (6, "")
    assert "no answer from deaf-1 shop 4000" in done.err
    assert "1 have not answered, and 0 could not" in done.err


def test_a_worker_that_cannot_answer_says_why_and_is_not_waited_for(run, host):
    host.application("shop-1").client("cache").subscribe("size", lambda data: data)
    host.application("shop-2")
    done = run("message", "request", "cache", "size", "5", "--wait", "60s")
    assert done.code == 6
    assert "shop-1 shop 4000  5" in done.out.splitlines()
    assert "shop-2 shop 4001  failed: nobody subscribes to this topic there" in done.out.splitlines()
    assert "0 have not answered, and 1 could not" in done.err


def test_a_request_asks_only_the_nodes_it_names(run, host):
    host.application("shop-1").client("cache").subscribe("size", lambda data: data)
    host.lease("deaf-1")
    done = run("message", "request", "cache", "size", "7", "--node", "shop-*", "--wait", "60s")
    assert done.code == 0
    assert done.out == "shop-1 shop 4000  7\n"


def test_listening_shows_what_is_said_in_that_functionality_and_topic_and_ends_after_so_many(run, host, monkeypatch):
    speaker = host.application("shop-1").client
    say_when_listening(
        monkeypatch,
        lambda: [
            speaker("other").send("flush", 0),
            speaker("cache").send("noise", 1),
            speaker("cache").send("flush", {"key": "a\x1b[2J"}),
            speaker("cache").send("flush", 3),
        ],
    )
    done = run("message", "listen", "cache", "--topic", "fl*", "--limit", "2")
    assert done.code == 0
    first, second = done.out.splitlines()
    assert first.endswith('  shop-1 shop 4000  flush  {"key": "a\\u001b[2J"}')
    assert second.endswith("  shop-1 shop 4000  flush  3")
    assert done.err.startswith("listening to cache on ")


def test_listening_as_json_gives_each_message_as_a_line(run, host, monkeypatch):
    speaker = host.application("shop-1").client
    say_when_listening(monkeypatch, lambda: speaker("cache").send("flush", [1]))
    done = run("message", "listen", "cache", "--limit", "1", "--json")
    told = json.loads(done.out)
    assert (told["schema"], told["topic"], told["data"]) == ("clusterlog.message/1", "flush", [1])
    assert told["sender"]["node"] == "shop-1"
    assert told["received"].endswith("Z")


def test_listening_that_ends_before_enough_was_said_ends_with_7(run, host):
    done = run("message", "listen", "cache", "--limit", "1", "--wait", "0.1s")
    assert (done.code, done.out) == (7, "")
    assert "0 of 1 messages came in 0.1 s" in done.err
    assert run("message", "listen", "cache", "--wait", "0.1s").code == 0


def test_f15_a_forged_message_is_not_shown_but_said_to_have_come(run, host, monkeypatch):
    forger = Sealer((Key(b"x" * 32),), "development")
    speaker = host.application("shop-1").client

    def say() -> None:
        host.link.send(forger.seal({"schema": "clusterlog.message/1"}))
        speaker("cache").send("flush", 1)

    say_when_listening(monkeypatch, say)
    done = run("message", "listen", "cache", "--limit", "1")
    assert len(done.out.splitlines()) == 1
    assert "a message is passed over: it is signed with the key" in done.err


def test_a_connection_that_is_lost_is_made_again_and_what_may_have_been_missed_is_said(run, host, monkeypatch):
    from clusterlog.cli.control import message as module

    speaker = host.application("shop-1").client
    opened = type(host.link)
    lost = threading.Event()
    wait = opened.wait

    def once(self, timeout_s: float):
        if timeout_s == LISTENING_S and not lost.is_set():
            lost.set()
            raise BusUnreachable("the bus does not answer")
        if timeout_s == LISTENING_S:
            speaker("cache").send("flush", 1)
        return wait(self, timeout_s)

    monkeypatch.setattr(module, "LOOK_S", LISTENING_S)
    monkeypatch.setattr(opened, "wait", once)
    done = run("message", "listen", "cache", "--limit", "1")
    assert done.code == 0
    assert len(done.out.splitlines()) == 1
    assert "the bus does not answer: trying again" in done.err
    assert "connected again: messages may have been missed" in done.err


LISTENING_S = 0.123


def say_when_listening(monkeypatch: pytest.MonkeyPatch, say: Callable[[], object]) -> None:
    """Speak as soon as the command listens, which it does before it says so."""
    from clusterlog.cli import paint

    talk = paint.say

    def heard(text: str) -> None:
        talk(text)
        if text.startswith("listening"):
            say()

    monkeypatch.setattr(paint, "say", heard)


def test_a_node_that_only_receives_sends_nothing(run, host):
    (host.home / "clusterlog.toml").write_text('role = "receive"\n')
    done = run("message", "send", "cache", "flush")
    assert done.code == 4
    assert "a node whose role is receive sends no messages" in done.err


@pytest.mark.parametrize("arguments", [["", "flush"], ["cache", "a\nb"]])
def test_a_functionality_or_topic_that_is_no_word_is_a_usage_error(run, host, arguments):
    done = run("message", "send", *arguments)
    assert done.code == 2
    assert "a word such as cache" in done.err


def test_without_a_home_or_bus_the_answer_says_what_to_do(run, tmp_path):
    done = run("message", "send", "cache", "flush", "--home", tmp_path / "missing")
    assert done.code == 1
    assert "no home at" in done.err
