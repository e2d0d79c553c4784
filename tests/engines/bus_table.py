"""What every bus was put through, as a table in docs/control.md: ``python tests/engines/bus_table.py`` runs the tests.

A test counts for the row of the fault that its name begins with (``test_f04_…``), else for the contract, and for the
bus of its parameter, its class or its file. ``test_table.py`` holds the table against the tests that there are.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "control.md"
TESTS = tuple(str(Path(__file__).parents[1] / each) for each in ("control/bus", "web/hub"))
BUSES = ("memory", "sqlite", "hub", "redis", "sentinel", "postgres")
CONTRACT = "contract"
ROWS = {
    CONTRACT: "the contract: document, leases, messages, name spaces, waiting, forks",
    "f01": "nobody there, or somebody who says nothing",
    "f02": "server killed during a change, and started again",
    "f03": "connection cut during a change",
    "f04": "path silent, connections open",
    "f05": "server paused, and continued",
    "f07": "the time of the machine is set",
    "f10": "one direction lost",
    "f11": "fail-over that loses the last write",
    "f12": "data lost, or of long ago",
    "f13": "two operators at once, 1,000 changes",
    "f14": "garbage, and what is too large",
    "f16": "a node that may not write tries to",
    "f21": "directory full, read-only, removed, of a network",
    "f22": "lock held for long; many writers at once",
    "f31": "listener too slow for the server",
    "f32": "credentials rotated or refused",
}
_BEGIN, _END = "<!-- made by tests/engines/bus_table.py -->\n", "<!-- end -->\n"
_ALSO = {"test_two_operators_at_once_lose_no_change": "f13"}
_ID = re.compile(
    r"(?:.*/)?(?P<room>\w+)/test_(?P<file>\w+)\.py::(?:Test(?P<kind>\w+)Bus::)?(?P<name>\w+)(?:\[(?P<values>.*)\])?",
    re.DOTALL,
)


def places(test: str) -> set[tuple[str, str]]:
    """The rows and buses for which a test counts, by its id."""
    found = _ID.fullmatch(test)
    if found is None:
        return set()
    bus = (found["kind"] or found["file"].partition("_")[0]).lower()
    if found["room"] == "hub":
        bus = "hub"
    elif found["file"] == "faults":
        bus = (found["values"] or "").partition("-")[0]
    fault = re.match(r"test_(f\d\d)_", found["name"])
    rows = {fault[1]} if fault else {CONTRACT} if found["kind"] else set()
    if found["name"] in _ALSO:
        rows.add(_ALSO[found["name"]])
    return {(row, bus) for row in rows if bus in BUSES}


def table(passed: Iterable[str], all_of_them: Iterable[str]) -> str:
    """The table: where all tests passed, and how many of them where it was not all."""
    good = Counter(place for test in passed for place in places(test))
    asked = Counter(place for test in all_of_them for place in places(test))
    lines = ["| | what happens | " + " | ".join(BUSES) + " |", "|---|---|" + ":---:|" * len(BUSES)]
    for row, what in ROWS.items():
        cells = [_cell(good[row, bus], asked[row, bus]) for bus in BUSES]
        lines.append(f"| {row.upper() if row != CONTRACT else ''} | {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(good: int, asked: int) -> str:
    if not asked:
        return "–"
    return "✓" if good == asked else f"**{good} of {asked}**"


def told() -> str:
    """The table as the page has it."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    return after.partition(_END)[0]


class Outcomes:
    """A plug-in that notes which tests there are, and which of them passed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failed: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.asked = [item.nodeid for item in items]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed" or hasattr(report, "wasxfail"):
            self.failed.add(report.nodeid)


def main() -> int:
    """Run all tests of the buses, and write the table."""
    outcomes = Outcomes()
    pytest.main(["-m", "", "-q", *TESTS], plugins=[outcomes])
    page = PAGE.read_text(encoding="utf-8")
    before, begin, after = page.partition(_BEGIN)
    _, end, after = after.partition(_END)
    made = table((each for each in outcomes.asked if each not in outcomes.failed), outcomes.asked)
    PAGE.write_text(before + begin + made + end + after, encoding="utf-8")
    return 1 if outcomes.failed else 0


if __name__ == "__main__":
    sys.exit(main())
