"""``make bench``: one table per subject, ratios first; absolute times on shared machines mean nothing."""

from __future__ import annotations

import sys

from bench import bulk, calls, commands, control, ingest, lookup, rules, scale, store, tail

SHORT = "--short"
GOALS = (
    # case, ours, reference, goal, what
    ("enabled", "clusterlog native", "structlog fastest", 1.0, "native call / structlog's fastest to a file"),
    ("enabled", "clusterlog native", "structlog fastest", 0.5, "  the goal that follows"),
    ("enabled", "clusterlog native", "floor", 1.5, "native call / floor (encode, frame, write)"),
    ("enabled", "clusterlog Handler", "python-json-logger orjson", 0.65, "Handler / python-json-logger with orjson"),
    (
        "enabled",
        "clusterlog Logger",
        "python-json-logger orjson",
        0.35,
        "Logger class / python-json-logger with orjson",
    ),
    ("enabled", "clusterlog in a span", "clusterlog native", 1.1, "inside of a span of OpenTelemetry / without it"),
    ("disabled", "clusterlog native", "stdlib text", 1.0, "disabled, five fields / stdlib's same call"),
    ("disabled", "clusterlog native", "stdlib text", 0.8, "  the goal that follows"),
    ("disabled-bare", "clusterlog native", "stdlib text", 1.0, "disabled, message only / stdlib"),
    ("exception", "clusterlog native", "stdlib text", 0.06, "exception of 20 frames / stdlib"),
)


def _calls_table() -> None:
    found = calls.measure(calls.SHORT if SHORT in sys.argv else calls.ROUNDS)
    print("\nCPU microseconds per call (the lowest tenth of the rounds; compare within a column)")
    print(f"{'':27}" + "".join(f"{case:>15}" for case in found))
    for peer in calls.PEERS:
        cells = (f"{by[peer] / 1000:>15.3f}" if peer in by else f"{'-':>15}" for by in found.values())
        print(f"{peer:27}" + "".join(cells))
    print("\nratio   goal  reached")
    for case, ours, reference, goal, what in GOALS:
        ratio = found[case][ours] / found[case][reference]
        print(f"{ratio:5.2f}  {goal:5.2f}  {'yes' if ratio <= goal else 'NO ':4} {what}")


def main() -> None:
    """Run the subjects named on the command line, or all; ``--short`` takes fewer rounds."""
    subjects = {
        "calls": _calls_table,
        "rules": rules.table,
        "control": control.table,
        "store": store.table,
        "commands": commands.table,
        "tail": tail.table,
        "ingest": ingest.table,
        "bulk": bulk.table,
        "lookup": lookup.table,
        "scale": scale.table,
    }
    for name in [each for each in sys.argv[1:] if each != SHORT] or subjects:
        subjects[name]()


main()
