"""Shipping into a search server beside the official client's ``parallel_bulk``: events a second, CPU per event.

Both send the same events into the same server, in turns: the shipper from a spool that an application wrote, the
client from dictionaries that are made already. What the server does is the same for both, and most of the time.
"""

from __future__ import annotations

import gc
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elastic_transport import Urllib3HttpNode
from elasticsearch import Elasticsearch, helpers

from bench import progress
from bench.server import running
from clusterlog.cli.home.delivery import shipper_of
from clusterlog.settings import Settings, load
from clusterlog.ship.homelock import HomeLock
from clusterlog.spool.reader import instances, records
from clusterlog.spool.segment import Record

EVENTS = int(os.environ.get("BENCH_BULK", "20000"))
ROUNDS = 5
COMMAND_GC = (100_000, 50, 50)
"""How often a command of ours, such as ``ship``, has the collector look (``cli.main``)."""
MAPPINGS = {
    "dynamic_templates": [{"texts": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}],
    "properties": {"@timestamp": {"type": "date_nanos"}, "message": {"type": "text"}, "labels": {"type": "flattened"}},
}
_APPLICATION = """\
import sys, clusterlog
clusterlog.start("shop", home=sys.argv[1], environment=sys.argv[2], disk_limit="4GiB")
log = clusterlog.get_logger("shop.orders")
for n in range(int(sys.argv[3])):
    log.info("order %d placed", n, customer=f"c-{n % 1841}", city="Helsinki", amount=12.9, gift=n % 2 == 0)
clusterlog.stop()
"""

Figures = tuple[float, float]
"""Events a second, and microseconds of CPU per event."""


class _OfTheServersAge(Urllib3HttpNode):
    """The client tells its own version with every request, which an older server refuses: it is told the server's."""

    def perform_request(self, method: str, target: str, body: Any = None, headers: Any = None, **options: Any) -> Any:
        """The same request in words of version 8."""
        told = {name: value.replace("compatible-with=9", "compatible-with=8") for name, value in headers.items()}
        return super().perform_request(method, target, body, type(headers)(told), **options)


def table() -> None:
    """Ship ``BENCH_BULK`` (20,000) events several times each way; the best round of each counts."""
    with running() as (url, name):
        ours, theirs = _measured(url, name)
    print(f"\nbulk requests into {name}, {EVENTS:,} events a round, best of {ROUNDS}")
    print(f"{'':28}{'events/s':>12}{'CPU µs/event':>15}")
    for who, (rate, cpu) in (("clusterlog ship", ours), ("parallel_bulk", theirs)):
        print(f"{who:28}{rate:12,.0f}{cpu:15.1f}")
    ratios = (("events a second", ours[0] / theirs[0], 1.0), ("CPU per event", ours[1] / theirs[1], 1 / 3))
    print("\nratio   goal  reached")
    for what, ratio, goal in ratios:
        reached = ratio >= goal if goal == 1.0 else ratio <= goal
        print(f"{ratio:5.2f}  {goal:5.2f}  {'yes' if reached else 'NO ':4} {what}, ship / parallel_bulk")


def _measured(url: str, name: str) -> tuple[Figures, Figures]:
    environment = f"bench{secrets.token_hex(4)}"
    older = {"node_class": _OfTheServersAge} if name.startswith("Elasticsearch 8") else {}
    ours, theirs = [], []
    with Elasticsearch(url, request_timeout=60, **older) as client:  # type: ignore[arg-type]
        _prepare(client, environment)
        for done in range(ROUNDS + 1):  # the first makes the streams, and warms the server
            home = Path(tempfile.mkdtemp(prefix="clusterlog-bench-"))
            try:
                _log(home, environment)
                theirs.append(_parallel_bulk(client, home, f"logs-clusterlog.peer-{environment}"))
                ours.append(_ship(_settings(home, sink=url, environment=environment)))
            finally:
                shutil.rmtree(home, ignore_errors=True)
            progress.say(f"bulk: {done} of {ROUNDS} rounds", end=done == ROUNDS)
    return _best(ours[1:]), _best(theirs[1:])


def _log(home: Path, environment: str) -> None:
    arguments = [sys.executable, "-c", _APPLICATION, str(home), environment, str(EVENTS)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLUSTERLOG_")}
    subprocess.run(arguments, check=True, env=environ)


def _settings(home: Path, **given: str) -> Settings:
    return load({"home": str(home), **given}, environ={})


def _best(found: list[Figures]) -> Figures:
    return max(rate for rate, _ in found), min(cpu for _, cpu in found)


def _documents(home: Path) -> Iterator[dict[str, Any]]:
    for instance in instances(home / "spool"):
        for _, item in records(home / "spool", instance):
            if isinstance(item, Record):
                yield json.loads(item.payload)


def _ship(settings: Settings) -> Figures:
    with HomeLock.take(settings.home_path):
        shipper, _ = shipper_of(settings)
        gc.collect()
        before = gc.get_threshold()
        gc.set_threshold(*COMMAND_GC)
        wall, cpu = time.perf_counter(), time.process_time()
        report = shipper.once()
        figures = _figures(EVENTS, wall, cpu)
        gc.set_threshold(*before)
    assert report.stored >= EVENTS, report
    return figures


def _parallel_bulk(client: Elasticsearch, home: Path, stream: str) -> Figures:
    documents = list(_documents(home))
    gc.collect()
    gc.freeze()  # what is made before costs its collector nothing
    actions = (
        {"_op_type": "create", "_index": stream, "_id": each["event"]["id"], "_source": each} for each in documents
    )
    wall, cpu = time.perf_counter(), time.process_time()
    stored = sum(ok for ok, _ in helpers.parallel_bulk(client, actions, raise_on_error=False))
    figures = _figures(len(documents), wall, cpu)
    assert stored == len(documents)
    gc.unfreeze()
    return figures


def _figures(events: int, wall: float, cpu: float) -> Figures:
    return events / (time.perf_counter() - wall), (time.process_time() - cpu) / events * 1e6


def _prepare(client: Elasticsearch, environment: str) -> None:
    client.indices.put_index_template(
        name=environment,
        index_patterns=[f"logs-clusterlog.*-{environment}"],
        priority=900,
        data_stream={},
        template={"settings": {"number_of_replicas": 0}, "mappings": MAPPINGS},
    )
