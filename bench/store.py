"""The embedded store: ingest on one core, look-up by request id, disk."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import orjson

from bench import progress
from bench.events import deliveries
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Match, Query

EVENTS = int(os.environ.get("CLUSTERLOG_BENCH_EVENTS", "1000000"))
BATCH = 5_000
LOOKUPS = 300


def table() -> None:
    """Fill a store with ``CLUSTERLOG_BENCH_EVENTS`` (1 M) events and ask it."""
    directory = Path(tempfile.mkdtemp(prefix="clusterlog-bench-"))
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {max(allowed)})
        wall, cpu, raw, wanted = _ingest(directory / "store")
        disk = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        times = _lookups(directory / "store", wanted)
    finally:
        os.sched_setaffinity(0, allowed)
        shutil.rmtree(directory, ignore_errors=True)
    print(f"\nembedded store, {EVENTS:,} events of {raw / EVENTS:.0f} bytes, one core")
    print(f"{'ingest, durable and indexed':40}{EVENTS / wall:12,.0f} events/s   goal 40,000")
    print(f"{'ingest, CPU seconds per million':40}{cpu / EVENTS * 1e6:12.1f}")
    print(f"{'disk / raw':40}{disk / raw:12.2f}            goal 0.31")
    p99 = statistics.quantiles(times, n=100)[98]
    print(f"{'request look-up, p50':40}{statistics.median(times):12.2f} ms")
    print(f"{'request look-up, p99':40}{p99:12.2f} ms         goal 5")


def _ingest(path: Path) -> tuple[float, float, int, list[str]]:
    store = EmbeddedStore.open(path, "write")
    made, raw, wall, cpu, wanted = deliveries(EVENTS), 0, 0.0, 0.0, []
    done = 0
    while batch := list(islice(made, BATCH)):
        raw += sum(len(each.body) for each in batch)
        if len(wanted) < LOOKUPS:
            wanted.append(orjson.loads(batch[len(wanted) % len(batch)].body)["http"]["request"]["id"])
        wall_before, cpu_before = time.perf_counter(), time.process_time()
        store.deliver(batch)
        wall, cpu = wall + time.perf_counter() - wall_before, cpu + time.process_time() - cpu_before
        done += len(batch)
        progress.say(f"embedded store: {done:,} of {EVENTS:,} events", end=done >= EVENTS)
    wall_before, cpu_before = time.perf_counter(), time.process_time()
    store.close()
    return wall + time.perf_counter() - wall_before, cpu + time.process_time() - cpu_before, raw, wanted


def _lookups(path: Path, wanted: list[str]) -> list[float]:
    store = EmbeddedStore.open(path, "read")
    times = []
    for request in wanted:
        before = time.perf_counter()
        found = list(store.find(Query(Match("http.request.id", request), order="oldest", limit=None)))
        times.append((time.perf_counter() - before) * 1000)
        assert len(found) == 12 or request == wanted[-1], f"{request}: {len(found)} events"
    store.close()
    return times
