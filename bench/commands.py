"""How long a command takes to answer, from the start of its process to its end."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.requests import ID, large_request
from clusterlog.store.embedded import EmbeddedStore

RUNS = 15
EVENTS = 10_000
"""Of the request that is drawn."""


def table() -> None:
    """``clusterlog --help`` beside a bare interpreter, and a request of 10,000 events drawn."""
    clusterlog = [sys.executable, "-m", "clusterlog"]
    print("\ncommands, milliseconds (median)                 wall         CPU")
    row("clusterlog --help", [*clusterlog, "--help"], goal=150)
    row("python -c pass", [sys.executable, "-c", "pass"])
    directory = Path(tempfile.mkdtemp(prefix="clusterlog-bench-"))
    try:
        _fill(directory / "store")
        trace = [*clusterlog, "trace", ID, "--home", str(directory)]
        shown = ("--format", "human", "--width", "120", "--color", "always")
        row(f"trace, {EVENTS:,} events, picture", [*trace, *shown], goal=1000)
        row(f"trace, {EVENTS:,} events, tree", [*trace, *shown, "--tree"], goal=1000)
        row(f"trace, {EVENTS:,} events, plain", [*trace, "--format", "plain"])
        row(f"trace, {EVENTS:,} events, JSON", [*trace, "--json"])
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _fill(path: Path) -> None:
    store = EmbeddedStore.open(path, "write")
    store.deliver(list(large_request(EVENTS)))
    store.close()


def row(what: str, command: Sequence[str], goal: int | None = None) -> None:
    """One line of the table: a command, run several times."""
    times = [_time(command) for _ in range(RUNS)]
    wall, cpu = (statistics.median(each) for each in zip(*times, strict=True))
    print(f"{what:40}{wall:12.0f}{cpu:12.0f}" + (f"   goal {goal}" if goal else ""))


def _time(command: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU milliseconds of one run, to which no setting is told from outside."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLUSTERLOG_")}
    before, used = time.perf_counter(), _used()
    subprocess.run(command, stdout=subprocess.DEVNULL, env=environ, check=True)
    return (time.perf_counter() - before) * 1000, (_used() - used) * 1000


def _used() -> float:
    """CPU seconds of all children so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
