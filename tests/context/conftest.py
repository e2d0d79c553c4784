"""Requests to carry, and programs of their own to carry them in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterlog.context import crossing
from clusterlog.context import request as context
from clusterlog.context.request import Request

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nobody_before_and_after() -> Iterator[None]:
    """Each test begins and ends outside of any request."""
    context.leave()
    yield
    context.leave()


@pytest.fixture
def new() -> Callable[[str], Request]:
    """Makes a request of that id, in a trace of its own."""
    return lambda id: Request(id, "ab" * 16, "cd" * 8)


@pytest.fixture
def carried() -> Iterator[None]:
    """While ``crossing`` is installed."""
    crossing.install()
    yield
    crossing.remove()


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Any]:
    """Run a program of its own, with arguments; what it prints as its last line is JSON, and comes back."""

    def run(text: str, *arguments: str) -> Any:
        file = tmp_path / "program.py"
        file.write_text(text, encoding="utf-8")
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(file), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
