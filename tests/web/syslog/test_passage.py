"""Syslog that `ship --syslog` takes in: made into events here, delivered elsewhere, each under one id however often."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clusterlog.errors import StoreUnavailable
from clusterlog.settings import load
from clusterlog.store.base import Outcome
from clusterlog.web.intake.bulk import Item
from clusterlog.web.syslog.passage import Passage

PATIENCE = 30.0
EDGE = b'{"event":{"dataset":"clusterlog.edge"},"@timestamp":"2026-11-03T12:00:00Z","http":{"request":{"id":"r1"}}}'


class Far:
    """A sink that answers what it is told to."""

    def __init__(self, *answers):
        self.answers, self.sent = list(answers), []

    def deliver(self, batch):
        self.sent.append([each.id for each in batch])
        answer = self.answers.pop(0) if self.answers else "stored"
        if isinstance(answer, Exception):
            raise answer
        statuses = [answer] * len(batch) if isinstance(answer, str) else answer
        return [Outcome(each) for each in statuses]


def items(*texts):
    return [Item("create", "", None, text) for text in texts]


def passage(tmp_path, far):
    return Passage(far, load({"home": str(tmp_path)}, environ={}))


def test_events_are_numbered_one_after_the_other_and_bear_the_id_they_are_sent_under(tmp_path):
    far = Far()
    judged = passage(tmp_path, far).take(items(EDGE, b'{"message":"text"}'), "10.0.0.1")
    assert [each.fate for each in judged] == ["created", "created"]
    (ids,) = far.sent
    assert [int(id[33:], 16) for id in ids] == [1, 2] and [each.id for each in judged] == ids


@pytest.mark.parametrize("first", [StoreUnavailable("away"), ["retry", "retry"], ["blocked", "blocked"]])
def test_what_is_sent_again_has_the_number_that_it_had_so_that_none_is_missing(tmp_path, first):
    far = Far(first)
    road, batch = passage(tmp_path, far), items(EDGE, EDGE)
    if isinstance(first, Exception):
        with pytest.raises(StoreUnavailable):
            road.take(batch, "p")
    else:
        assert [each.fate for each in road.take(batch, "p")] == ["busy", "busy"]
    assert [each.fate for each in road.take(batch, "p")] == ["created", "created"]
    assert far.sent[0] == far.sent[1]
    road.take(items(EDGE), "p")
    assert [int(id[33:], 16) for id in far.sent[2]] == [3]


@pytest.mark.parametrize(
    ("status", "fate"), [("duplicate", "same"), ("refused", "refused"), ("failure_store", "refused")]
)
def test_what_the_far_end_says_is_what_is_counted(tmp_path, status, fate):
    assert [each.fate for each in passage(tmp_path, Far(status)).take(items(EDGE), "p")] == [fate]


def test_what_can_be_no_event_is_refused_and_the_others_go(tmp_path):
    far = Far()
    own = b'{"event":{"id":"a-1","dataset":"clusterlog.app"},"labels":%b1%b}' % (b'{"a":' * 150, b"}" * 150)
    batch = [*items(b"[1]"), Item("create", "", "a-1", own), *items(EDGE)]
    judged = passage(tmp_path, far).take(batch, "p")
    assert [each.fate for each in judged] == ["refused", "refused", "created"]
    assert [int(id[33:], 16) for id in far.sent[0]] == [1]


class Shipping:
    """`clusterlog ship --syslog` as a process."""

    def __init__(self, home, store, token):
        (home / "spool").mkdir(parents=True)
        argv = ["ship", "--home", str(home), "--store", store, "--token-file", str(token), "--syslog", "127.0.0.1:0"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "clusterlog", *argv],
            stderr=subprocess.PIPE,
            env={**env, "PYTHONPATH": str(Path(__file__).parents[3])},
            cwd=home.parent,
        )
        self.begun = self.process.stderr.readline().decode()
        self.port = int(re.search(r"syslog\+udp://127\.0\.0\.1:(\d+)", self.begun)[1])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        _, told = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, told.decode().splitlines()


def test_a_shipper_delivers_what_a_balancer_beside_it_logs(serve, tmp_path):
    store = serve()
    shipping = Shipping(tmp_path / "near", store.url, store.home / "run" / "serve.json")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(b"<134>1 2026-11-03T12:00:00Z - haproxy 1 - - " + EDGE, ("127.0.0.1", shipping.port))
        end = time.monotonic() + PATIENCE
        while not (found := [e for e in store.ask.found() if e["event"]["dataset"] == "clusterlog.edge"]):
            assert time.monotonic() < end
            time.sleep(0.02)
    assert found[0]["http"]["request"]["id"] == "r1"
    code, told = shipping.end()
    assert code == 0 and "syslog: 1 line, 1 stored" in told


@pytest.mark.engines
def test_what_comes_while_the_store_is_away_arrives_when_it_is_back(serve, tmp_path):
    store = serve()
    shipping = Shipping(tmp_path / "near", store.url, store.home / "run" / "serve.json")
    store.kill()
    with socket.create_connection(("127.0.0.1", shipping.port), PATIENCE) as stream:
        stream.sendall(b"".join(b"<134>1 - - app 1 - - line %d\n" % number for number in range(100)))
    store.begin()
    end = time.monotonic() + PATIENCE
    while len(messages := [e["message"] for e in store.ask.found() if e["message"].startswith("line ")]) < 100:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert sorted(messages) == sorted(f"line {number}" for number in range(100))
    assert shipping.end()[0] == 0
