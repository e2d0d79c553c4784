"""One run of the demo that several tests look at, and what they look with."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from clusterlog.ship.homelock import HomeLock
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Query

pytest.importorskip("flask", reason='the demo needs an extra: pip install "clusterlog[demo]"')

DEMO = (sys.executable, "-m", "clusterlog", "demo", "--seed", "7")
PATIENCE_S = 120.0

Event = Mapping[str, Any]


@pytest.fixture(scope="session")
def events_of() -> Callable[[Path], list[Event]]:
    """Every event in the store of a home."""

    def read(home: Path) -> list[Event]:
        store = EmbeddedStore.open(home / "store", "read")
        try:
            return [json.loads(found.body) for found in store.find(Query(order="oldest", limit=None))]
        finally:
            store.close()

    return read


@pytest.fixture(scope="session")
def by_request() -> Callable[[list[Event]], dict[str, list[Event]]]:
    """The events of each request, without state events."""

    def sort(events: list[Event]) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = defaultdict(list)
        for event in events:
            if event["event"]["kind"] != "state" and "http" in event:
                found[event["http"]["request"]["id"]].append(event)
        return found

    return sort


@pytest.fixture(scope="session")
def deviations(events_of, by_request) -> Callable[[Mapping[str, Any]], list[str]]:
    """Where a home does not hold exactly what its demo says: requests with other events, events there twice."""

    def compare(told: Mapping[str, Any]) -> list[str]:
        events = events_of(Path(told["home"]))
        stored = by_request(events)
        found = []
        for request in told["requests"]:
            nodes = Counter(event["service"]["node"]["name"] for event in stored[request["id"]])
            if nodes != request["events_by_node"]:
                found.append(f"{request}: stored are {dict(nodes)}")
        ids = Counter(event["event"]["id"] for event in events)
        return found + [f"{id} is there {count} times" for id, count in ids.items() if count > 1]

    return compare


@pytest.fixture(scope="session")
def left() -> Callable[..., list[psutil.Process]]:
    """Those of the processes that still run after so many seconds; a zombie whose parent does not look is none."""

    def wait(processes: list[psutil.Process], patience: float = 20.0) -> list[psutil.Process]:
        deadline = time.monotonic() + patience
        while (running := [each for each in processes if _runs(each)]) and time.monotonic() < deadline:
            time.sleep(0.02)
        return running

    return wait


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="session")
def kept_demo() -> Callable[[Path], Any]:
    """A demo whose traffic goes on, as a context that waits for the traffic; gives it and every process it has."""

    @contextmanager
    def run(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[psutil.Process]]]:
        command = [*DEMO, "--requests", "3", "--keep", "--home", str(home)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as demo:
            try:
                assert demo.stderr is not None
                while (line := demo.stderr.readline()) and b"traffic goes on" not in line:
                    continue
                assert line, demo.wait()
                yield demo, psutil.Process(demo.pid).children(recursive=True)
            finally:
                demo.kill()

    return run


@pytest.fixture(scope="session")
def killing_demo() -> Callable[..., tuple[dict[str, Any], int]]:
    """Run a demo whose shipper is killed ``kills`` times, at most ``apart`` seconds from one time to the next.

    Gives what the demo says of itself, and how often that was done.
    """

    def run(home: Path, requests: int, kills: int, apart: float, **environ: str) -> tuple[dict[str, Any], int]:
        chance = random.Random(7)
        due = 0.0
        command = [*DEMO, "--requests", str(requests), "--json", "--home", str(home)]
        killed: set[int] = set()
        said = home.with_suffix(".json")
        with (
            open(said, "wb") as out,  # what it says is more than a pipe holds that nobody reads meanwhile
            subprocess.Popen(command, stdout=out, env={**os.environ, **environ}) as demo,
        ):
            while demo.poll() is None:
                holder = HomeLock.holder(home)
                mine = 0 < holder != demo.pid and holder not in killed
                if mine and len(killed) < kills and time.monotonic() > due:
                    os.kill(holder, signal.SIGKILL)
                    killed.add(holder)
                    due = time.monotonic() + chance.uniform(0, apart)
                try:
                    demo.wait(0.005)
                except subprocess.TimeoutExpired:
                    continue
        assert demo.returncode == 0
        return json.loads(said.read_bytes()), len(killed)

    return run


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a demo of 24 requests says of itself, one object on standard output and nothing else."""
    home = tmp_path_factory.mktemp("demo") / "home"
    command = [*DEMO, "--requests", "24", "--json", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document
