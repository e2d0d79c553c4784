"""A running cluster is steered from the command line: levels with proof, over every bus, whatever becomes of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from bus_sites import SITES

from clusterlog.cli.demo.plan import GOOD_CARD
from clusterlog.errors import NotFound
from clusterlog.search.instant import instant
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import And, Match, Query

PATIENCE = 90.0
WORKERS = {"orders-1": 2, "orders-2": 2, "payments-1": 1, "shop-1": 1, "shop-2": 1}
ALL = sum(WORKERS.values())


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.1)
    return found


@dataclass
class Demo:
    """A demo that goes on, in a home; ``server`` is that of its bus, where it is one."""

    home: Path
    environ: dict[str, str]
    server: Any = None

    def call(self, *words: object, code: int | None = 0) -> dict[str, Any]:
        """What a command tells as JSON, in a process of its own, as whoever works at a terminal calls it."""
        command = [sys.executable, "-m", "clusterlog", *map(str, words), "--json", "--home", str(self.home)]
        done = subprocess.run(command, capture_output=True, env=self.environ, timeout=PATIENCE, check=False)
        assert code is None or done.returncode == code, done.stderr.decode() + done.stdout.decode()
        found: dict[str, Any] = json.loads(done.stdout or b"{}")
        return found

    def events(self, *where: tuple[str, str]) -> list[dict[str, Any]]:
        """What is stored of this, the oldest first."""
        with suppress(NotFound, FileNotFoundError):
            store = EmbeddedStore.open(self.home / "store", "read")
            try:
                asked = And(tuple(Match(name, value) for name, value in where))
                return [json.loads(found.body) for found in store.find(Query(asked, order="oldest", limit=None))]
            finally:
                store.close()
        return []

    def joined(self) -> bool:
        """Whether all workers are there."""
        found = self.call("nodes", code=None).get("nodes", [])
        return {node["node"]: len(node["workers"]) for node in found if node["state"] == "up"} == WORKERS

    def levels(self, logger: str) -> Counter[str]:
        """The level of a logger by what each worker says of itself: its own, or else the root's."""
        found: Counter[str] = Counter()
        for node in self.call("level")["nodes"]:
            workers: dict[int, dict[str, str]] = {}
            for row in node["workers"]:
                workers.setdefault(row["pid"], {})[row["logger"]] = row["effective"]
            found.update(told.get(logger, told["root"]) for told in workers.values())
        return found

    def shop(self) -> str:
        """Where the shop listens."""
        lines = (self.home / "clusterlog.toml").read_text().splitlines()
        return next(line.split()[2] for line in lines if line.startswith("# shop-1 "))


@contextmanager
def running(home: Path, *words: str, server: Any = None, **environ: str) -> Iterator[Demo]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("CLUSTERLOG_")}
    known |= environ
    command = [sys.executable, "-m", "clusterlog", "demo", "--keep", "--requests", "3", "--home", str(home), *words]
    with (home.parent / "demo.log").open("wb") as log:
        begun = subprocess.Popen(command, stdout=log, stderr=log, env=known)
        try:
            demo = Demo(home, known, server)
            until(lambda: begun.poll() is not None or (home / "clusterlog.toml").exists(), "the demo has begun")
            until(lambda: begun.poll() is not None or demo.joined(), "all workers are in the cluster")
            assert begun.poll() is None, (home.parent / "demo.log").read_text()
            yield demo
        finally:
            begun.send_signal(signal.SIGTERM)
            try:
                begun.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                begun.kill()
                raise


def workers_of(found: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {node["node"]: node["workers"] for node in found["nodes"]}


def debug_of(demo: Demo, logger: str) -> set[str]:
    """The nodes of which DEBUG lines of a logger are stored."""
    return {event["service"]["node"]["name"] for event in demo.events(("log.logger", logger), ("log.level", "debug"))}


def audited(demo: Demo, rule: str, change: str) -> dict[str, dict[str, Any]]:
    """By worker: what was audited of a rule."""
    found = demo.events(("event.action", "audit"), ("clusterlog.control.rule", rule))
    return {each["process"]["entity_id"]: each for each in found if each["clusterlog"]["control"]["change"] == change}


def assert_proven(found: dict[str, Any]) -> None:
    """Every worker of the whole cluster says itself that it is in force."""
    assert (found["applied"], found["expected"]) == (ALL, ALL)
    assert {node["node"]: len(node["workers"]) for node in found["nodes"]} == WORKERS
    assert {node["state"] for node in found["nodes"]} == {"applied"}
    assert {worker["effective"] for node in found["nodes"] for worker in node["workers"]} == {found["rule"]["level"]}


def test_cp_01_cp_15_a_level_is_set_on_every_worker_of_a_running_cluster_audited_and_taken_back(tmp_path):
    with running(tmp_path / "home") as demo:
        found = demo.call("level", "set", "DEBUG", "--logger", "orders.stock", "--for", "1h")
        assert_proven(found)
        until(lambda: debug_of(demo, "orders.stock") == {"orders-1", "orders-2"}, "both nodes of the orders say more")
        assert not debug_of(demo, "shop.api")
        assert demo.call("level", "reset", found["rule"]["id"])["applied"] == ALL
        assert demo.levels("orders.stock") == {"INFO": ALL}
        for change in ("set", "reset"):
            until(lambda: len(audited(demo, found["rule"]["id"], change)) == ALL, f"cp-15: all audit the {change}")  # noqa: B023


@contextmanager
def cluster_over(bus: str, home: Path) -> Iterator[Demo]:
    """A demo over a bus, and what is behind it where that is a server."""
    if bus == "sqlite":
        with running(home) as demo:
            yield demo
        return
    with SITES[bus]() as site:
        at = f"127.0.0.1:{site.server.port}"
        urls = {"redis": f"redis://:{site.secret}@{at}", "hub": f"hub+http://{at}"}
        token = {"CLUSTERLOG_TOKEN_FILE": str(site.server.token_file)} if bus == "hub" else {}
        with running(home, "--bus", urls.get(bus) or site.server.url(), server=site.server, **token) as demo:
            yield demo


@pytest.mark.engines
@pytest.mark.parametrize("bus", ["sqlite", *SITES])
def test_a_cluster_is_steered_through_all_that_happens_to_it(bus, tmp_path):
    with cluster_over(bus, tmp_path / "home") as demo:
        ends_by_itself(demo)
        is_found_by_who_comes_back(demo)
        is_of_one_request(demo)


def ends_by_itself(demo: Demo) -> None:
    """CP-06, CP-07: what is set ends on every worker in time, also where the bus is away by then."""
    life = 12
    begun = time.time()
    found = demo.call("level", "set", "DEBUG", "--logger", "orders.stock", "--for", f"{life}s")
    assert_proven(found)
    until(lambda: debug_of(demo, "orders.stock") == {"orders-1", "orders-2"}, "both nodes of the orders say more")
    if demo.server is not None:
        demo.server.kill()
    ended = until(
        lambda: len(told := audited(demo, found["rule"]["id"], "expired")) == ALL and told,
        "the rule is over everywhere",
    )
    for event in ended.values():
        after = (instant(event["@timestamp"]) or 0) / 1e9 - begun
        assert life - 2 < after < life + 15, event
    if demo.server is not None:
        demo.server.start()
    until(lambda: demo.levels("orders.stock") == {"INFO": ALL}, "all report their base again")
    assert demo.call("level")["rules"] == []


def is_found_by_who_comes_back(demo: Demo) -> None:
    """CP-10: a process that is killed and started again comes up with the rule."""
    found = until(
        lambda: (
            (told := demo.call("level", "set", "DEBUG", "--logger", "orders.stock", code=None)).get("applied") == ALL
            and told
        ),
        "all follow again",
    )
    nodes = {node["node"]: node for node in found["nodes"]}
    before = {worker["instance"] for worker in nodes["orders-1"]["workers"]}
    os.kill(nodes["orders-1"]["workers"][0]["pid"], signal.SIGKILL)

    def fresh() -> set[str]:
        here = next(node for node in demo.call("nodes")["nodes"] if node["node"] == "orders-1")
        living = {each["instance"]: each["loggers"] for each in here["workers"] if each["state"] == "up"}
        return {each for each in living.keys() - before if living[each].get("orders.stock") == "DEBUG"}

    (instance,) = until(fresh, "the node has a process again, which follows the rule")
    served = until(
        lambda: demo.events(("process.entity_id", instance), ("event.dataset", "clusterlog.access")), "it serves"
    )
    first = served[0]["http"]["request"]["id"]
    said = demo.events(("process.entity_id", instance), ("http.request.id", first), ("log.level", "debug"))
    assert said, "its very first request is told of in full"
    assert demo.call("level", "reset", "--all", "--wait", "60s")["rule"]["id"] == found["rule"]["id"]


def is_of_one_request(demo: Demo) -> None:
    """What is set for a request before it comes holds on every service it goes through, and for no other."""
    wanted = f"steered-{time.time_ns()}"
    rule = demo.call("level", "set", "DEBUG", "--request", wanted)["rule"]["id"]
    now = time.time_ns()
    answer = httpx.post(
        f"{demo.shop()}/orders",
        json={"number": 4711, "sku": "lantern", "quantity": 1, "warehouse": "near", "card": GOOD_CARD},
        headers={"X-Request-ID": wanted, "X-User": "alice"},
        timeout=PATIENCE,
    )
    assert answer.headers["X-Request-ID"] == wanted

    def services() -> set[str]:
        return {event["service"]["name"] for event in demo.events(("http.request.id", wanted), ("log.level", "debug"))}

    until(lambda: services() == {"shop", "orders", "payments"}, "all three services say more about it")
    assert demo.call("level", "reset", rule)["applied"] == ALL
    others = [
        event
        for event in demo.events(("log.level", "debug"))
        if (instant(event["@timestamp"]) or 0) > now and event["http"]["request"]["id"] != wanted
    ]
    assert not others
