"""The price of a dropped log call while rules of the cluster are in force, and while some are about requests."""

from __future__ import annotations

import sys

from bench import calls
from bench.peers import RULED

CASES = {name: calls.CASES[name] for name in ("disabled", "disabled-bare")}
GOALS = (
    # ours, reference, goal, what
    ("native, no rule", "stdlib text", 0.8, "no rule / stdlib's same call"),
    ("native, 1 rule", "stdlib text", 0.8, "1 rule / stdlib's same call"),
    ("native, 100 rules", "stdlib text", 0.9, "100 rules / stdlib's same call"),
    ("native, armed", "native, no rule", 1.4, "native, a rule about another request / without one"),
    ("Handler, armed", "Handler, no rule", 1.4, "standard logger, a rule about another request / without one"),
    ("Logger, armed", "Logger, no rule", 1.4, "Logger class, a rule about another request / without one"),
)


def table() -> None:
    """Measure, and print each ratio beside its goal."""
    found = calls.measure(calls.SHORT if "--short" in sys.argv else calls.ROUNDS, RULED, CASES)
    for case, by in found.items():
        print(f"\nCPU nanoseconds per dropped call, {case} (the lowest tenth of the rounds)")
        for peer in RULED:
            print(f"{peer:27}{by[peer]:>10.0f}")
        print("ratio   goal  reached")
        for ours, reference, goal, what in GOALS:
            ratio = by[ours] / by[reference]
            print(f"{ratio:5.2f}  {goal:5.2f}  {'yes' if ratio <= goal else 'NO ':4} {what}")
