"""Killed at any moment, a server has lost nothing it had answered for, and a sender that goes on doubles nothing."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from itertools import count, islice
from pathlib import Path

import pytest

from clusterlog.errors import StoreUnavailable
from clusterlog.settings import load
from clusterlog.store.base import Delivery
from clusterlog.store.elasticsearch.bulk import ElasticsearchSink
from clusterlog.store.elasticsearch.transport import Client

INSTANCE = "0190aaaa0000700080000000000000f0"
SAFE = ("stored", "duplicate")

SPEAKER = """
import sys
import clusterlog
clusterlog.start("neighbour", home=sys.argv[1])
log = clusterlog.get_logger("neighbour")
sys.stdout.write("begun\\n")
sys.stdout.flush()
for number, _ in enumerate(sys.stdin):
    log.info("said", number=number)
"""


class Sender:
    """Sends batch after batch from a thread, each until every event of it is safe."""

    def __init__(self, url, token):
        settings = load({"store": url, "token": token})
        self.sink = ElasticsearchSink(Client.of(settings), settings)
        self.safe = {}
        self.again = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        numbers = count(1)
        while not self._stop.is_set():
            batch = []
            for sequence in islice(numbers, 40):
                id = f"{INSTANCE}-{sequence:011x}" if sequence % 10 else f"foreign/{sequence}"
                event = {"@timestamp": "2026-11-03T12:00:00Z", "event": {"id": id}, "n": sequence, "x": "x" * 300}
                batch.append(Delivery(id, INSTANCE, sequence, json.dumps(event).encode()))
            while batch:
                try:
                    outcomes = self.sink.deliver(batch)
                except StoreUnavailable:
                    self.again += 1
                    time.sleep(0.01)
                    continue
                self.safe |= {
                    each.id: each.body for each, outcome in zip(batch, outcomes, strict=True) if outcome.status in SAFE
                }
                batch = [each for each in batch if each.id not in self.safe]

    def end(self):
        self._stop.set()
        self._thread.join()
        self.sink.close()


def kill_again_and_again(serve, tmp_path, times, seed):
    chance = random.Random(seed)
    served = serve()
    sender = Sender(served.url, served.ask.tokens.write)
    neighbour = subprocess.Popen(
        [sys.executable, "-c", SPEAKER, str(served.home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        text=True,
    )
    try:
        assert neighbour.stdout.readline() == "begun\n"
        spoken = 0
        for _ in range(times):
            before = len(sender.safe)
            while len(sender.safe) == before:
                neighbour.stdin.write("again\n")
                neighbour.stdin.flush()
                spoken += 1
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.3))
            served.kill()
            served.begin()
    finally:
        sender.end()
        neighbour.communicate()
    assert served.end() == 0
    return served, sender, spoken


def check(served, sender, spoken):
    served.begin()
    found = served.ask.search({"limit": None}).content.splitlines()[:-1]
    sent, said = {}, []
    for body in found:
        event = json.loads(body)
        if "n" in event:
            assert event["event"]["id"] not in sent
            sent[event["event"]["id"]] = body
        elif event.get("message") == "said":
            said.append(event["labels"]["number"])
    assert {id: sent.get(id) for id in sender.safe} == sender.safe
    assert sorted(said) == list(range(spoken))


@pytest.mark.parametrize("kills", [4, pytest.param(10, marks=pytest.mark.engines)])
def test_kills_lose_and_double_nothing_of_senders_nor_of_the_home_s_own(serve, tmp_path, kills):
    served, sender, spoken = kill_again_and_again(serve, tmp_path, kills, 20)
    check(served, sender, spoken)
    assert sender.again >= kills
    assert len(sender.safe) > 40 * kills


def test_what_was_answered_is_stored_by_a_server_that_ended_in_order_while_it_was_sent_to(serve):
    served = serve()
    sender = Sender(served.url, served.ask.tokens.write)
    try:
        for _ in range(3):
            before = len(sender.safe)
            while len(sender.safe) < before + 200:
                time.sleep(0.01)
            assert served.end() == 0
            served.begin()
    finally:
        sender.end()
    assert served.end() == 0
    check(served, sender, 0)
    assert served.console.read_text().count("\n") == 5 + 4, served.console.read_text()  # begun five times, ended four


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(5))
def test_two_hundred_kills_lose_and_double_nothing(serve, tmp_path, seed):
    served, sender, spoken = kill_again_and_again(serve, tmp_path, 40, seed)
    check(served, sender, spoken)
    print(f"seed {seed}: 40 kills, {len(sender.safe)} events answered for")
