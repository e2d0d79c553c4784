"""Shipping beside the traffic: `clusterlog ship` as a child, started again whenever it is not there any more."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from clusterlog.cli.demo.processes import Child, environment
from clusterlog.errors import ClusterlogError, NotAllowed, SettingError, StoreUnavailable
from clusterlog.ship.homelock import HomeLock

AGAIN_S = 1.0
"""How long to wait after a shipper that has ended by itself; one that was killed is replaced at once."""

KILLED_AT_MOST = 100
_FAILURES: dict[int, type[ClusterlogError]] = {2: SettingError, 3: StoreUnavailable, 4: NotAllowed}


class Shipping:
    """Ships ``home`` as long as the demo runs. A context manager at whose end no shipper of ours is left."""

    def __init__(self, home: Path, console: Path, settings: Mapping[str, str]) -> None:
        self._home = home
        self._console = console
        self._settings = settings
        self._child: Child | None = None
        self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def watch(self) -> None:
        """Start a shipper where there is none. Raises what has kept ours from running at all."""
        if self._child is not None:
            code = self._child.exit_code()
            if code is None:
                return
            if code in (2, 4):
                raise _FAILURES[code](self._child.obituary())
            self._child.end()
            self._child = None
            self._due = 0.0 if code < 0 else time.monotonic() + AGAIN_S
        # Who else holds the lock of the home does our work; when they go it is ours again.
        if time.monotonic() >= self._due and not HomeLock.holder(self._home):
            self._child = self._ship()

    def finish(self) -> None:
        """End the shipper and deliver what is left; when this returns everything is findable.

        Raises StoreUnavailable, or what else has kept it from being delivered.
        """
        self._end()
        self.deliver()

    def deliver(self) -> None:
        """Deliver what lies in the spools now, by ourselves or by whoever ships this home. Killed, it begins again."""
        for _ in range(KILLED_AT_MOST):
            child = self._ship("--once")
            try:
                while (code := child.exit_code()) is None:
                    time.sleep(0.02)
                if code > 0:
                    raise _FAILURES.get(code, ClusterlogError)(child.obituary())
            finally:
                child.end(0.0)
            if code == 0:
                return
        raise ClusterlogError(f"the shipper was killed {KILLED_AT_MOST} times; see {self._console}")

    def _ship(self, *options: str) -> Child:
        argv = [sys.executable, "-m", "clusterlog", "ship", "--home", str(self._home), *options]
        return Child("ship", argv, self._console, environment(**self._settings))

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.ask_to_end()
            child.end()
