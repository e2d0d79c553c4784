"""Elastic's own Lumberjack server; where it was not fetched (``make engines``), tests are skipped."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import pytest
from fetch import CACHE, READY

_FOLDER = CACHE / "lumberjack-0.1"
_PATIENCE_S = 60.0


class LumberjackServer:
    """Listens at ``port``; ``events`` are what it has received, in order. Options are those of the program."""

    def __init__(self, **options: object) -> None:
        if not (_FOLDER / READY).exists():
            pytest.skip("the Lumberjack server is not here: make engines")
        self.events: list[dict[str, Any]] = []
        self._options = [f"-{name}={value}" for name, value in options.items()]
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [_FOLDER / "lumberjack", *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it tells of every connection that ends
            bufsize=1 << 20,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().rsplit(b":", 1)[1])
        self._thread.start()
        return self

    def __exit__(self, *how: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._thread.join(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.append(json.loads(line))

    def ids(self, least: int = 0) -> list[str]:
        """The ids it has received, when there are so many different ones at least."""
        return self._when(lambda ids: len(set(ids)) >= least, f"{least} ids")

    def copies(self, count: int) -> list[str]:
        """The ids it has received, doubles among them, when there are so many in all."""
        return self._when(lambda ids: len(ids) >= count, f"{count} events")

    def _when(self, enough: Callable[[list[str]], bool], what: str) -> list[str]:
        end = time.monotonic() + _PATIENCE_S
        while not enough(ids := [event["event"]["id"] for event in tuple(self.events)]):
            assert time.monotonic() < end, f"only {len(ids)} have come, and not {what}"
            time.sleep(0.05)
        return ids
