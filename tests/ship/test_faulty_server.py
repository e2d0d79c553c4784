"""Events that pass a proxy which does everything a network can do, to a real server, from a shipper that is killed."""

from __future__ import annotations

import faulthandler
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from faults import FAULTS, FaultProxy, drawn, wait_until

from clusterlog.ship.acknowledged import Acknowledged
from clusterlog.ship.dead.letters import letters
from clusterlog.ship.homelock import HomeLock
from clusterlog.ship.waiting import undelivered

ROOT = Path(__file__).parents[2]
PAGE = 10_000

WRITER = """
import sys, clusterlog
clusterlog.start("writer", home=sys.argv[1], node=f"node-{sys.argv[2]}")
log = clusterlog.get_logger("writer.say")
for n in range(int(sys.argv[3])):
    (log.warning if n % 10 == 9 else log.info)("event %d of a writer", n, writer=int(sys.argv[2]), text="x" * 100)
clusterlog.stop()
"""


@dataclass
class Run:
    """One home, its writers and its shipper, and where its events go."""

    home: Path
    engine: object
    environment: str = field(default_factory=lambda: f"c{secrets.token_hex(4)}")
    processes: list[subprocess.Popen] = field(default_factory=list)

    def start(self, *command: object) -> subprocess.Popen:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("CLUSTERLOG_", "PYTHON"))}
        process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            env={**environ, "PYTHONPATH": str(ROOT), "CLUSTERLOG_ENVIRONMENT": self.environment},
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def writers(self, count: int, events: int) -> list[subprocess.Popen]:
        share = [events // count + (1 if n < events % count else 0) for n in range(count)]
        return [self.start("-c", WRITER, self.home, n, many) for n, many in enumerate(share)]

    def ship(self, url: str, *options: str) -> subprocess.Popen:
        return self.start("-m", "clusterlog", "ship", "--home", self.home, "--sink", url, *options)

    def template(self) -> None:
        properties = {
            "@timestamp": {"type": "date_nanos"},
            "message": {"type": "text"},
            "labels": {"type": "flattened"},
            "event": {"properties": {"id": {"type": "keyword"}, "sequence": {"type": "long"}}},
        }
        made = {
            "index_patterns": [f"logs-clusterlog.*-{self.environment}"],
            "priority": 900,
            "data_stream": {},
            "template": {
                "mappings": {"dynamic": False, "properties": properties},
                "settings": {"number_of_replicas": 0, "refresh_interval": "60s"},
            },
        }
        status, answer = self.engine.call("PUT", f"/_index_template/{self.environment}", made)
        assert status == 200, answer

    def stored(self, dataset: str = "*") -> Counter:
        """How often each id lies in the backing indices of all streams."""
        where = f"/logs-clusterlog.{dataset}-{self.environment}"
        self.engine.call("POST", f"{where}/_refresh")
        found: Counter = Counter()
        asked = {"size": PAGE, "sort": ["_doc"], "_source": False}
        _, answer = self.engine.call("POST", f"{where}/_search?scroll=2m&allow_no_indices=true", asked)
        while hits := answer["hits"]["hits"]:
            found.update(hit["_id"] for hit in hits)
            _, answer = self.engine.call("POST", "/_search/scroll", {"scroll": "2m", "scroll_id": answer["_scroll_id"]})
        self.engine.call("DELETE", "/_search/scroll", {"scroll_id": [answer["_scroll_id"]]})
        return found

    def delivered(self) -> int:
        """How many events are acknowledged."""
        return Acknowledged.load(self.home).totals["shipped"]

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def through(tmp_path, elasticsearch):
    run = Run(tmp_path / "home", elasticsearch)
    run.template()
    yield run
    run.end()


def survive(run, *, events, writers, kills, seed, share=0.3, patience_s=120.0, tell=lambda text: None):
    """Log, ship through faults, kill the shipper, and compare what is stored with what was said."""
    chance = random.Random(seed)
    with FaultProxy(run.engine.url, drawn(seed, share), seconds=0.3) as proxy:
        run.home.mkdir()
        saying = run.writers(writers, events)
        for number in range(kills):
            # Once in each of as many parts of the way, at no particular point of a request.
            goal = int(events * (number + chance.random()) / (kills + 1))
            shipper = run.ship(proxy.url)
            wait_until(lambda: run.delivered() > goal or shipper.poll() is not None, "events", patience_s)  # noqa: B023
            time.sleep(chance.random() * 0.2)
            assert shipper.poll() is None, shipper.stderr.read()
            os.kill(shipper.pid, signal.SIGKILL)
            shipper.wait()
            tell(f"kill {number + 1} with {run.delivered():,} events acknowledged, after {proxy.requests:,} requests")
        for process in saying:
            process.wait()
            assert process.returncode == 0, process.stderr.read()
        shipper = run.ship(proxy.url)
        wait_until(lambda: HomeLock.holder(run.home) == shipper.pid, "the shipper is there to be asked to end")
        wait_until(lambda: not undelivered(run.home), "everything is acknowledged", patience_s)
        shipper.send_signal(signal.SIGTERM)
        assert shipper.wait(60) == 0, shipper.stderr.read()
        proxy.script = lambda path: "none"
        last = run.ship(proxy.url, "--once")
        assert last.wait(120) == 0, last.stderr.read()
        tell(f"{proxy.requests:,} requests; met: " + ", ".join(f"{proxy.counts[each]} {each}" for each in FAULTS))
    return proxy.counts


def assert_each_once(run, events):
    """By id over all backing indices; and no process lacks a number."""
    assert list(letters(run.home / "dead")) == []
    application = run.stored("app")
    assert len(application) == events
    assert set(application.values()) == {1}
    everything = run.stored()
    assert set(everything.values()) == {1}
    numbers: dict[str, list[int]] = {}
    for id in everything:
        numbers.setdefault(id[:32], []).append(int(id[33:], 16))
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in numbers.values())


def test_faults_and_kills_neither_lose_nor_double_an_event(through):
    met = survive(through, events=5000, writers=3, kills=2, seed=11, share=0.6)
    assert_each_once(through, 5000)
    assert sum(met[fault] for fault in FAULTS) >= 2


@pytest.mark.campaign
def test_a_million_events_through_everything_a_network_can_do_are_each_stored_once(through):
    events = int(os.environ.get("CAMPAIGN_EVENTS", "1000000"))
    seed = int(os.environ.get("CAMPAIGN_SEED", "20261103"))
    faulthandler.cancel_dump_traceback_later()  # it may take longer than a test that hangs
    begun = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {text}", flush=True)

    tell(f"{events:,} events, seed {seed}")
    met = survive(through, events=events, writers=6, kills=10, seed=seed, patience_s=3600, tell=tell)
    assert all(met[fault] > 10 for fault in FAULTS)
    assert_each_once(through, events)
    tell(f"each of {events:,} is stored once: none is missing, none is doubled, none is a dead letter")
