"""Requests to be drawn, told as in the tests of the search room."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

_FILE = Path(__file__).parents[2] / "stories.py"
if "stories" not in sys.modules:
    _SPEC = importlib.util.spec_from_file_location("stories", _FILE)
    assert _SPEC is not None
    assert _SPEC.loader is not None
    sys.modules["stories"] = importlib.util.module_from_spec(_SPEC)  # where dataclasses look for their own module
    _SPEC.loader.exec_module(sys.modules["stories"])


@pytest.fixture
def story() -> Any:
    """An empty request, to be told."""
    return sys.modules["stories"].Story()


@pytest.fixture
def checkout() -> Any:
    """Makes the failing checkout; its arguments are those of ``stories.failing_checkout``."""
    return sys.modules["stories"].failing_checkout


@pytest.fixture(scope="session")
def drawn() -> Any:
    """Rows of segments as lines of text."""
    return lambda rows: ["".join(segment.text for segment in row).rstrip() for row in rows]
