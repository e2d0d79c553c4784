"""A road that only remembers, and programs of their own with a home to look into afterwards."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clusterlog.context import request as context
from clusterlog.context.request import Request, Scope
from clusterlog.record.slot import slot
from clusterlog.spool import reader
from clusterlog.spool.segment import Record

ROOT = Path(__file__).parents[2]


@dataclass
class Said:
    """One call of the road, and the scope in which it was made or which it was given."""

    level: int
    logger: str
    event: Any
    fields: dict[str, Any]
    failure: BaseException | None
    scope: Scope | None
    args: tuple[Any, ...] = ()
    stack: str | None = None
    dataset: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def request_id(self) -> str | None:
        """The id that the line carries."""
        return None if self.scope is None or self.scope.request is None else self.scope.request.id


class RememberingRoad:
    """Stands behind the slot and keeps everything in ``said``."""

    def __init__(self) -> None:
        self.said: list[Said] = []

    def line(
        self,
        level: int,
        logger: str,
        event: Any,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        failure: BaseException | None = None,
        stack: str | None = None,
        wall_ns: int = 0,
        bound: Any = None,
    ) -> None:
        fields = {**(bound or {}), **fields}
        self.said.append(Said(level, logger, event, fields, failure, context.scope(), args, stack))

    def bound(self, fields: Mapping[str, Any]) -> Any:
        return dict(fields)

    def document(
        self,
        dataset: str,
        level: int,
        logger: str,
        message: str,
        body: Mapping[str, Any],
        *,
        labels: Mapping[str, Any] | None = None,
        failure: BaseException | None = None,
        scope: Any = None,
        wall_ns: int = 0,
    ) -> None:
        found = context.scope() if scope is None else scope
        self.said.append(Said(level, logger, message, dict(labels or {}), failure, found, dataset=dataset, body=body))


@pytest.fixture(autouse=True)
def _nobody_before_and_after() -> Iterator[None]:
    """Each test begins and ends outside of any request, and without a road."""
    context.leave()
    yield
    context.leave()
    slot.road = None


@pytest.fixture
def new() -> Callable[[str], Request]:
    """Makes a request of that id, in a trace of its own."""
    return lambda id: Request(id, "ab" * 16, "cd" * 8)


@pytest.fixture
def road() -> RememberingRoad:
    """The road of this test."""
    made = RememberingRoad()
    slot.road = made
    return made


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A standard logger of this test alone."""
    made = logging.getLogger("test.of.its.own")
    yield made
    made.handlers.clear()
    made.filters.clear()
    made.setLevel(logging.NOTSET)
    made.propagate = True


class Program:
    """A finished program: what it printed, how it ended, and the documents in its spool."""

    def __init__(self, done: subprocess.CompletedProcess[str], home: Path) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr
        self.events = _events(home / "spool")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The events that are no state events."""
        return [event for event in self.events if event["event"]["kind"] != "state"]


def _events(spool: Path) -> list[dict[str, Any]]:
    found = [
        json.loads(record.payload)
        for instance in reader.instances(spool)
        for _, record in reader.records(spool, instance)
        if isinstance(record, Record)
    ]
    return sorted(found, key=lambda event: str(event["@timestamp"]))


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Program]:
    """Run a program of its own, with a home of its own, and read its spool."""

    def run(text: str, *arguments: str) -> Program:
        file = tmp_path / "program.py"
        file.write_text(text, encoding="utf-8")
        home = tmp_path / "home"
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "CLUSTERLOG_HOME": str(home)}
        command = [sys.executable, str(file), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=environ, cwd=tmp_path
        )
        return Program(done, home)

    return run
