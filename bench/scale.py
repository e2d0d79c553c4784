"""Commands over a large store: a cold process finds one request, or the first page of a search, among 10 M events."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from itertools import islice
from pathlib import Path

import orjson

from bench import progress
from bench.commands import row
from bench.events import deliveries
from clusterlog.store.embedded import EmbeddedStore

EVENTS = int(os.environ.get("BENCH_SCALE", "10000000"))
KEPT = os.environ.get("BENCH_HOME", "")
"""A home that is filled once and kept, for whoever measures again and again."""
BATCH = 5_000


def table() -> None:
    """Fill a home with ``BENCH_SCALE`` (10 M) events and ask it; filling takes minutes."""
    home = Path(KEPT) if KEPT else Path(tempfile.mkdtemp(prefix="clusterlog-bench-"))
    try:
        if not (home / "store").is_dir():
            _fill(home / "store")
        wanted = _request_in_the_middle()
        command = [sys.executable, "-m", "clusterlog"]
        asked = ("--home", str(home))
        print(f"\n{EVENTS:,} events stored, milliseconds (median)    wall         CPU")
        row("trace ID", [*command, "trace", wanted, *asked], goal=300)
        row("search, newest 100", [*command, "search", *asked], goal=300)
        row("search level: error, newest 100", [*command, "search", "level: error", *asked], goal=300)
        row("search two words, newest 100", [*command, "search", "timeout refused", *asked], goal=300)
        row("search a rare value", [*command, "search", "labels.order: 77777", *asked])
    finally:
        if not KEPT:
            shutil.rmtree(home, ignore_errors=True)


def _fill(path: Path) -> None:
    store = EmbeddedStore.open(path, "write")
    made, done = deliveries(EVENTS), 0
    while batch := list(islice(made, BATCH)):
        store.deliver(batch)
        done += len(batch)
        progress.say(f"large store: {done:,} of {EVENTS:,} events", end=done >= EVENTS)
    store.close()


def _request_in_the_middle() -> str:
    """Made as the store was filled: a request of the first thousands, which no cache of ours holds."""
    each = next(islice(deliveries(EVENTS), min(120_000, EVENTS // 2), None))
    return str(orjson.loads(each.body)["http"]["request"]["id"])
