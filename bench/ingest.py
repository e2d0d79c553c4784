"""Lines of other loggers into the spool: lines a second of one core, beside the floor of any program that reads JSON.

The floor reads the same file, parses each line, serialises it again and writes it to a file that is synced: what nobody
can do without who turns JSON lines into JSON lines.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from bench import progress
from clusterlog.encode.foreign.names import shipped
from clusterlog.encode.foreign.translation import Translator
from clusterlog.record.redact import Redactor
from clusterlog.ship.ingest.run import Ingest

LINES = int(os.environ.get("CLUSTERLOG_BENCH_LINES", "100000"))
ROUNDS = 5
WORDS = "order payment stock cart user session cache query retry timeout shipped refused placed loaded saved".split()

Cost = tuple[float, float]
"""Seconds of CPU and of wall time."""


def table() -> None:
    """Ingest ``CLUSTERLOG_BENCH_LINES`` (100,000) lines of each format, and all of them once more."""
    directory = Path(tempfile.mkdtemp(prefix="clusterlog-bench-"))
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {max(allowed)})
        files = {name: _written(directory / f"{name}.log", said) for name, said in FORMATS.items()}
        found = {name: _measured(name, file, directory) for name, file in files.items()}
    finally:
        os.sched_setaffinity(0, allowed)
        shutil.rmtree(directory, ignore_errors=True)
    print(f"\ningest, {LINES:,} lines of each format, one core, best of {ROUNDS} rounds; goal 100,000 lines/s")
    print(f"{'':16}{'bytes':>8}{'lines/s':>12}{'of CPU':>12}{'CPU/floor':>12}{'again, ms':>12}")
    for name, (size, floor, first, again) in found.items():
        lines, cpu, ratio = LINES / first[1], LINES / first[0], first[0] / floor[0]
        print(f"{name:16}{size:8.0f}{lines:12,.0f}{cpu:12,.0f}{ratio:12.2f}{again[1] * 1000:12.0f}")


def _measured(name: str, file: Path, directory: Path) -> tuple[float, Cost, Cost, Cost]:
    costs: dict[str, list[Cost]] = {"floor": [], "first": [], "again": []}
    home = directory / "home"
    for turn in range(ROUNDS):
        shutil.rmtree(home, ignore_errors=True)
        costs["floor"].append(_cost(lambda: _floor(file, directory / "copy")))
        costs["first"].append(_cost(lambda: _ingest(home, file, LINES)))
        costs["again"].append(_cost(lambda: _ingest(home, file, 0)))
        progress.say(f"ingest {name}: round {turn + 1} of {ROUNDS}", end=turn + 1 == ROUNDS)
    floor, first, again = ((min(cpu for cpu, _ in told), min(wall for _, wall in told)) for told in costs.values())
    return file.stat().st_size / LINES, floor, first, again


def _cost(work: Callable[[], None]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def _ingest(home: Path, file: Path, new: int) -> None:
    translator = Translator(shipped(), redactor=Redactor(), identity_hash=lambda text: ("0" * 64, "0" * 8))
    with Ingest(home, translator, environment="production") as run:
        (report,) = run.files([str(file)])
    assert (report.new, report.problem) == (new, ""), report


def _floor(file: Path, copy: Path) -> None:
    loads, dumps = orjson.loads, orjson.dumps
    with file.open("rb") as given, copy.open("wb") as made:
        for line in given:
            made.write(dumps(loads(line)) + b"\n")
        made.flush()
        os.fdatasync(made.fileno())


def _written(path: Path, said: Callable[[int, random.Random], dict[str, Any]]) -> Path:
    chance = random.Random(7)
    with path.open("wb") as file:
        for n in range(LINES):
            file.write(orjson.dumps(said(n, chance)) + b"\n")
    return path


def _message(n: int, chance: random.Random) -> str:
    return f"{' '.join(chance.choices(WORDS, k=5))} {n}"


def _own(n: int, chance: random.Random) -> dict[str, Any]:
    """What every line says in its own words: a request, and four fields."""
    request = {"request_id": f"{chance.getrandbits(128):032x}"}
    return {**request, "order": n, "amount": 12.9, "gift": n % 2 == 0, "city": chance.choice(WORDS)}


def _time(n: int) -> str:
    return f"2026-11-03T12:{n // 60_000 % 60:02}:{n // 1000 % 60:02}.{n % 1000:03}"


def _json_logger(n: int, chance: random.Random) -> dict[str, Any]:
    told = {"asctime": _time(n).replace("T", " ").replace(".", ","), "levelname": chance.choice(("INFO", "DEBUG"))}
    return {**told, "name": f"shop.{n % 12}", "message": _message(n, chance), **_own(n, chance)}


def _structlog(n: int, chance: random.Random) -> dict[str, Any]:
    told = {"event": chance.choice(WORDS), "level": "info", "timestamp": f"{_time(n)}000Z"}
    return {**_own(n, chance), "logger": f"shop.{n % 12}", **told}


def _ecs(n: int, chance: random.Random) -> dict[str, Any]:
    message = _message(n, chance)
    origin = {"file": {"line": n % 40, "name": "orders.py"}, "function": "place"}
    process = {"name": "MainProcess", "pid": 5232, "thread": {"id": 140717133810560, "name": "MainThread"}}
    told = {"@timestamp": f"{_time(n)}Z", "log.level": "info", "message": message, "ecs.version": "1.6.0"}
    log = {"logger": f"shop.{n % 12}", "origin": origin, "original": message}
    return {**told, "log": log, "process": process, **_own(n, chance)}


def _logstash(n: int, chance: random.Random) -> dict[str, Any]:
    told = {"@timestamp": f"{_time(n)}Z", "@version": "1", "host": "web-1", "level": "INFO", "pid": 5232}
    extra = {"logger_name": f"shop.{n % 12}", "line": n % 40, "func_name": "place", "thread_name": "MainThread"}
    return {**told, "message": _message(n, chance), "type": "python-logstash", "extra": {**extra, **_own(n, chance)}}


FORMATS = {"json-logger": _json_logger, "structlog": _structlog, "ecs": _ecs, "logstash": _logstash}
