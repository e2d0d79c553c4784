"""The table of docs/control.md is of the tests that there are."""

import subprocess
import sys

import pytest
from bus_table import PAGE, ROWS, TESTS, places, table, told

pytestmark = pytest.mark.engines  # it collects all tests of the buses once more


def test_the_page_tells_of_every_test_of_every_bus():
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "", "--collect-only", "-q", *TESTS],
        capture_output=True,
        text=True,
        check=True,
        cwd=PAGE.parents[1],
    )
    tests = [line for line in found.stdout.splitlines() if "::" in line]
    assert {row for test in tests for row, _ in places(test)} == set(ROWS)
    assert told() == table(tests, tests), "make it anew: python tests/engines/bus_table.py"
