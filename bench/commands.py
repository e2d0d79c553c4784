"""How long a command takes to answer."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 15


def _time(command: list[str]) -> float:
    before = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - before) * 1000


def table() -> None:
    """``clusterlog --help`` beside a bare interpreter."""
    help_command, bare_command = [sys.executable, "-m", "clusterlog", "--help"], [sys.executable, "-c", "pass"]
    helped, bare = [], []
    for _ in range(RUNS):
        helped.append(_time(help_command))
        bare.append(_time(bare_command))
    print("\ncommands, wall milliseconds (median)")
    print(f"{'clusterlog --help':40}{statistics.median(helped):12.0f}            goal 150")
    print(f"{'python -c pass':40}{statistics.median(bare):12.0f}")
