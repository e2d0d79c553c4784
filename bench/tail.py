"""From a log call to the terminal: how late ``clusterlog tail`` shows an event, and what it says of a flood."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

SECONDS = 8
WARM_UP_S = 1.0
STEADY, FLOOD = 500, 5_000  # events a second

_APPLICATION = """
import sys, time
import clusterlog
home, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
clusterlog.start("bench", home=home, node="bench-1", console="off")
log = clusterlog.get_logger("bench.app")
begun = time.monotonic()
for number in range(int(rate * seconds)):
    wait = begun + number / rate - time.monotonic()
    if wait > 0:
        time.sleep(wait)
    log.info("order placed", order=number, at=time.time_ns())
"""
_AT = re.compile(rb"\bat=(\d+)")
_SKIPPED = re.compile(rb"showing ([\d,]+) of ([\d,]+)/s")


@dataclass(slots=True)
class Seen:
    """What a terminal got: how late each event was (ms), the accounts of what was left out, a processor's share."""

    late: list[float] = field(default_factory=list)
    skipped: list[bytes] = field(default_factory=list)
    processor: float = 0.0


def table() -> None:
    """Event → screen at a steady rate, with a shipper at work, and in a flood."""
    print("\ntail, from the log call to the terminal, milliseconds")
    steady = _measure(STEADY)
    p99 = statistics.quantiles(steady.late, n=100)[98]
    print(f"{f'{STEADY} events/s, p50':40}{statistics.median(steady.late):12.0f}")
    print(f"{f'{STEADY} events/s, p99':40}{p99:12.0f}            goal 100")
    print(f"{f'{STEADY} events/s, shown':40}{len(steady.late) / (STEADY * SECONDS):12.0%}")
    print(f"{f'{STEADY} events/s, one processor':40}{steady.processor:12.0%}")
    flood = _measure(FLOOD)
    print(f"{f'{FLOOD} events/s, p99 of what is shown':40}{statistics.quantiles(flood.late, n=100)[98]:12.0f}")
    print(f"{'  and it says':40}  {flood.skipped[len(flood.skipped) // 2].decode() if flood.skipped else 'nothing'}")


def _measure(rate: int) -> Seen:
    home = Path(tempfile.mkdtemp(prefix="clusterlog-bench-")) / "home"
    command = [sys.executable, "-m", "clusterlog"]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
    running: list[subprocess.Popen[bytes]] = []
    master, terminal = pty.openpty()
    try:
        home.mkdir(mode=0o700)
        shipper = subprocess.Popen([*command, "ship", "--home", home], stderr=subprocess.DEVNULL)
        tail = subprocess.Popen([*command, "tail", "--home", home], stdin=terminal, stdout=terminal, stderr=terminal)
        running += [shipper, tail]
        time.sleep(WARM_UP_S)
        running.append(
            subprocess.Popen([sys.executable, "-c", _APPLICATION, home, str(rate), str(SECONDS)], env=environ)
        )
        return _watch(master, running[-1], tail.pid)
    finally:
        for each in running:
            each.send_signal(signal.SIGINT)
            each.wait(10)
        os.close(master)
        os.close(terminal)
        shutil.rmtree(home.parent, ignore_errors=True)


def _watch(master: int, application: subprocess.Popen[bytes], tail: int) -> Seen:
    """Read the terminal until a second after the application has ended."""
    seen, rest, begun, before = Seen(), b"", time.monotonic(), _processor_s(tail)
    end: float | None = None
    while end is None or time.monotonic() < end:
        if select.select([master], [], [], 0.05)[0]:
            *lines, rest = (rest + os.read(master, 1 << 16)).split(b"\n")
            now = time.time_ns()
            for line in lines:
                if at := _AT.search(line):
                    seen.late.append((now - int(at[1])) / 1e6)
                elif skipped := _SKIPPED.search(line):
                    seen.skipped.append(skipped[0])
        if end is None and application.poll() is not None:
            end = time.monotonic() + 1
    seen.processor = (_processor_s(tail) - before) / (time.monotonic() - begun)
    return seen


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
