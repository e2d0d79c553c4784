"""A level change from the operator's hand to the last worker's word, beside the time that the bus takes there and back.

First with real processes of one home; then with a thousand simulated nodes on Redis, each with a link of its own that
opens the document, and says so in a signed lease: what a node does, without the application around it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from clusterlog.control.bus.base import Changed, Link, Message
from clusterlog.control.bus.opening import bus_at
from clusterlog.control.bus.sqlite import POLL_S
from clusterlog.control.members import Report, RuleReport, Status, fields_of
from clusterlog.control.operator.change import Operator, Wish
from clusterlog.control.operator.present import Reports, acknowledged, present
from clusterlog.control.operator.proof import Meant, Proof
from clusterlog.control.operator.waiting import SOONEST_S, awaited, live
from clusterlog.control.rules.document import MOST_BYTES, SCHEMA, document_of
from clusterlog.control.rules.rule import ROOT
from clusterlog.control.signing.keys import cluster_keys, make_key
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import BusUnreachable
from clusterlog.settings import Settings, load

WORKERS = 4
NODES = int(os.environ.get("BENCH_NODES", "1000"))
HELPERS = 4
"""Processes among which simulated nodes are spread."""
PATIENCE_S = 120.0
_TTL_S = 300.0


def table() -> None:
    """Measure over every bus whose server is here."""
    rounds = 8 if "--short" in sys.argv else 25
    print("\na level set until all have proven it, milliseconds (median)")
    print(f"{'':42}there and back   set to proven   ratio   goal  reached")
    with _scratch() as home:
        _processes_row("sqlite", home, "", rounds)
    if shutil.which("redis-server") is None:
        print("redis: no redis-server on this machine")
        return
    with _redis() as url, _scratch() as home:
        _processes_row("redis", home, url, rounds)
    for count in (WORKERS, NODES):
        with _redis() as url, _scratch() as home:
            _nodes_row(home, url, count, rounds if count < 100 else max(3, rounds // 4))


def _processes_row(name: str, home: Path, url: str, rounds: int) -> None:
    """Processes of one home: what they say goes by the home's own bus, whose round trip is the interval of its poll."""
    settings = _settings(home, url)
    with _processes(["workers", str(home), url], WORKERS), _opened(settings) as (link, sealer):
        operator = _operator(link, sealer)
        _await(lambda: len(_living(link, sealer)) == WORKERS, "the workers")
        back = POLL_S + (statistics.median(_there_and_back(settings, home, url, rounds)) if url else 0.0)
        taken = statistics.median(_set(operator, link, sealer, WORKERS) for _ in range(rounds))
    _told(f"{name}, {WORKERS} processes of a home", back, taken)


def _nodes_row(home: Path, url: str, count: int, rounds: int) -> None:
    """Simulated nodes on Redis: there and back is a word that all hear, and a lease that each of them writes for it."""
    helpers = min(HELPERS, count)
    each = count // helpers
    settings = _settings(home, url)
    with _processes(["nodes", str(home), url, str(each)], helpers), _opened(settings) as (link, sealer):
        operator = _operator(link, sealer)
        _await(lambda: len(link.leases()) == each * helpers, f"{count} nodes")
        back = statistics.median(_all_back(link, number, each * helpers) for number in range(rounds))
        taken = statistics.median(_set(operator, link, sealer, each * helpers) for _ in range(rounds))
    _told(f"redis, {each * helpers:,} simulated nodes", back, taken)


def _told(what: str, back: float, taken: float) -> None:
    ratio, goal = taken / back, 2.0
    reached = "yes" if ratio <= goal else "NO"
    print(f"{what:42}{back * 1e3:14.1f} {taken * 1e3:15.1f} {ratio:7.2f} {goal:6.2f}  {reached}")


def _all_back(link: Link, number: int, expected: int) -> float:
    begun = time.perf_counter()
    link.send(b"ping/%d" % number)
    while link.leased(f"ping/{number}") < expected:
        link.wait(SOONEST_S)
    return time.perf_counter() - begun


def _set(operator: Operator, link: Link, sealer: Sealer, expected: int) -> float:
    """Seconds from the wish to the last word."""
    reports = Reports(sealer)
    begun = time.perf_counter()
    operator.acknowledged = lambda leases: acknowledged(leases, sealer, reports)
    change = operator.put(Wish("bench", 10, 600.0))
    nodes = present(change.seen.leases, sealer, reports=reports)
    about = Meant(change.document.version, change.rules, True, "bench", nodes)
    found: Proof = awaited(
        link,
        about,
        lambda leases: present(leases, sealer, reports=reports),
        PATIENCE_S,
        leases=live(change.seen.leases),
    )
    taken = time.perf_counter() - begun
    assert found.applied == expected, f"{found.applied} of {expected}"
    operator.reset()
    time.sleep(0.3)  # the reset is not part of the next round
    return taken


def _there_and_back(settings: Settings, home: Path, url: str, rounds: int) -> list[float]:
    """Seconds that a message and its echo take between two processes, each."""
    taken = []
    with _processes(["echo", str(home), url], 1), closing(_echo_link(settings)) as link:
        _await(lambda: _echoed(link, b"ping", 0.5), "the echo")
        for number in range(rounds):
            begun = time.perf_counter()
            _echoed(link, b"ping %d" % number, PATIENCE_S)
            taken.append(time.perf_counter() - begun)
            time.sleep(0.05)
    return taken


def _echoed(link: Link, word: bytes, patience_s: float) -> bool:
    link.send(word)
    end = time.monotonic() + patience_s
    while (left := end - time.monotonic()) > 0:
        if any(isinstance(notice, Message) and notice.body == b"echo " + word for notice in link.wait(left)):
            return True
    return False


def _await(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)


def _settings(home: Path, url: str) -> Settings:
    key = home / "shared.key"
    if url and not key.exists():
        make_key(key)
    more = {"bus": url, "control_key": str(key)} if url else {}
    return load({"home": str(home), "service": "bench", **more}, environ={})


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Link, Sealer]]:
    sealer = _sealer(settings)
    with closing(bus_at(settings.bus, settings).open()) as link:
        yield link, sealer


def _sealer(settings: Settings) -> Sealer:
    return Sealer(cluster_keys(settings.home_path, settings.control_key, not settings.bus), settings.environment)


def _echo_link(settings: Settings) -> Link:
    """In a name space of its own, so that no worker is disturbed."""
    return bus_at(settings.bus, load({**_given(settings), "environment": "echo"}, environ={})).open()


def _given(settings: Settings) -> dict[str, str]:
    return {name: value for name in ("home", "bus", "control_key", "service") if (value := getattr(settings, name))}


def _operator(link: Link, sealer: Sealer) -> Operator:
    return Operator(link, sealer, "bench", lambda leases: acknowledged(leases, sealer))


def _living(link: Link, sealer: Sealer) -> list[int]:
    nodes = present(link.leases(), sealer)
    return [worker.status.pid for node in nodes for worker in node.workers if worker.state == "up"]


@contextmanager
def _scratch() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="clusterlog-bench-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _redis() -> Iterator[str]:
    """A Redis of its own, in memory alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with _scratch() as directory:
        command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(directory), "--maxclients", "10000"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await(lambda: _listens(port), "redis-server")
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def _processes(arguments: list[str], count: int) -> Iterator[None]:
    command = [sys.executable, "-m", "bench.control", *arguments]
    begun = [subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE) for number in range(count)]
    try:
        yield
    finally:
        for each in begun:
            each.kill()
            each.communicate()


def _work(home: str, url: str, number: str) -> None:
    """An application that does nothing but belong to its cluster."""
    import clusterlog

    clusterlog.start("bench", node=f"bench-{number}", **_given(_settings(Path(home), url)) | {"service": "bench"})
    clusterlog.cluster.on_change(lambda change: None)
    time.sleep(2 * PATIENCE_S)


def _echo(home: str, url: str, number: str) -> None:
    link = _echo_link(_settings(Path(home), url))
    while True:
        for notice in link.wait(1.0):
            if isinstance(notice, Message) and not notice.body.startswith(b"echo "):
                link.send(b"echo " + notice.body)


def _nodes(home: str, url: str, count: str, number: str) -> None:
    settings = _settings(Path(home), url)
    threading.stack_size(256 << 10)
    for each in range(int(count)):
        name = f"node-{number}-{each}"
        threading.Thread(target=_simulated, args=(settings, name), daemon=True).start()
    time.sleep(10 * PATIENCE_S)


def _simulated(settings: Settings, name: str) -> None:
    """A node: what changes is opened and judged, and said to be in force."""
    sealer = _sealer(settings)
    status = Status(os.getpid(), secrets.token_hex(16), 1, level="INFO")
    with closing(bus_at(settings.bus, settings).open()) as link, suppress(BusUnreachable):
        _say(link, sealer, name, status)
        while True:
            for notice in link.wait(30.0):
                if isinstance(notice, Message):
                    _say(link, sealer, name, replace(status, applied=notice.body.decode()))
                if not isinstance(notice, Changed):
                    continue
                raw = notice.document or link.read().document
                document = document_of(sealer.opened(raw or b"", SCHEMA, MOST_BYTES))
                rules = {rule.id: RuleReport("applied") for rule in document.rules}
                levels = {rule.logger: "DEBUG" for rule in document.rules if rule.logger != ROOT}
                told = Status(status.pid, status.instance, 1, 0, str(document.version), "INFO", levels, rules)
                _say(link, sealer, name, told)


def _say(link: Link, sealer: Sealer, name: str, status: Status) -> None:
    report = Report(name, "bench", name, workers=(status,))
    link.lease(f"bench/{name}@{name}", sealer.seal(fields_of(report)), _TTL_S, status.applied)


if __name__ == "__main__":
    {"workers": _work, "echo": _echo, "nodes": _nodes}[sys.argv[1]](*sys.argv[2:])
