"""The price of a log call: every peer alive at once on one CPU, asked one at a time, round by round.

Many short rounds, and of each peer's the lowest tenth: who else uses the machine makes calls dearer, never cheaper.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench import progress
from bench.peers import PEERS

CASES = {
    "enabled": 4_000,
    "varying": 4_000,
    "secret": 4_000,
    "disabled": 20_000,
    "disabled-bare": 20_000,
    "exception": 200,
}
ROUNDS, SHORT = 30, 8
SLOW = {"python-logstash-async": 10, "loguru": 4, "OpenTelemetry handler": 4, "ecs-logging": 4}
"""So many times fewer calls are made of these, or a round would be theirs alone."""


class Peer:
    """One peer's process."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        directory.mkdir()
        command = [sys.executable, "-m", "bench.peers", name, str(directory)]
        environment = {**os.environ, "PYTHONHASHSEED": "0", "TZ": "UTC"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._process.stdout
        assert self._process.stdin
        self._out, self._in = self._process.stdout, self._process.stdin
        assert self._out.readline() == "ready\n", f"{name} did not start"

    def measure(self, case: str, calls: int) -> float | None:
        """CPU nanoseconds of one call, or ``None`` if the peer has no such case."""
        self._in.write(f"{case} {calls}\n")
        self._in.flush()
        answer = self._out.readline().strip()
        return None if answer == "-" else int(answer) / calls

    def close(self) -> None:
        """End the process."""
        self._in.close()
        self._process.wait()


def measure(
    rounds: int = ROUNDS, names: Iterable[str] = PEERS, cases: Mapping[str, int] = CASES
) -> dict[str, dict[str, float]]:
    """CPU ns per call by case and peer, threads behind the call included: the lowest tenth of the rounds."""
    directory = Path(tempfile.mkdtemp(prefix="clusterlog-bench-"))
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    peers: list[Peer] = []
    try:
        peers += [Peer(name, directory / str(n)) for n, name in enumerate(names)]
        found: dict[str, dict[str, list[float]]] = {}
        for turn in range(rounds):
            for case, calls in cases.items():
                for peer in peers:
                    cost = peer.measure(case, calls // SLOW.get(peer.name, 1))
                    if cost is not None:
                        found.setdefault(case, {}).setdefault(peer.name, []).append(cost)
            progress.say(f"log calls: round {turn + 1} of {rounds}", end=turn + 1 == rounds)
        return {case: {peer: _lowest_tenth(costs) for peer, costs in by.items()} for case, by in found.items()}
    finally:
        for peer in peers:
            peer.close()
        os.sched_setaffinity(0, allowed)
        shutil.rmtree(directory, ignore_errors=True)


def _lowest_tenth(costs: list[float]) -> float:
    return statistics.quantiles(costs, n=10, method="inclusive")[0]
