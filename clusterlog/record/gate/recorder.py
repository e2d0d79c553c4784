"""The flight recorder: what a request would say below its loggers' levels is kept aside, and written if it goes wrong.

Lines are encoded when they are said, with their time, and kept in memory: so much of a request, so much in all, the
oldest go first and are counted. They are written when the request says something at ERROR or above, ends by an
exception or with a status of 500 and above, or was slow; what it says from there on is written at once. A request that
goes well leaves nothing. Other handlers of the application see none of this.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import wraps
from os import getpid
from threading import RLock
from typing import Any, Protocol

from clusterlog.context import innermost
from clusterlog.context.patching import Patch
from clusterlog.context.request import Request, Scope
from clusterlog.record.failure import raised_by_signal
from clusterlog.record.gate import armed
from clusterlog.record.slot import Road

REQUEST_BYTES = 256 << 10
PROCESS_BYTES = 16 << 20
OVERHEAD = 160
"""Bytes that a line takes beside its own, roughly: they count, or many short lines would cost far more than allowed."""
LOGGER = "clusterlog.recorder"
_ACCESS = "clusterlog.access"
_KNOWN = 4096


class Keeping(Protocol):
    """Who encodes lines that are kept, and writes those that are to be written after all. No method raises."""

    def recorded(
        self,
        level: int,
        logger: str,
        event: Any,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        failure: BaseException | None,
        stack: str | None,
        bound: Any,
    ) -> bytes:
        """A line as it is at this moment, and what it came after; empty if that could not be done."""

    def late(self, ns: int, line: bytes) -> None:
        """Write what ``recorded`` gave at ``ns``."""


class Tape:
    """What is kept of one request; ``running`` is over once it is written at once."""

    __slots__ = ("_recorder", "dropped", "lines", "running", "size")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.lines: deque[tuple[int, bytes]] = deque()
        self.size = 0
        self.dropped = 0
        self.running = True

    def over(self, request: Request, failed: bool) -> None:
        """The request ends here, without an access event. Never raises."""
        self._recorder.over(request, failed)


class Recorder:
    """A road that keeps lines below their logger's level for a request, and lets all others pass to another road.

    ``hear`` takes a record of standard logging to this road. ``level``: what is less is not kept either;
    ``floor(logger)`` may want more of some loggers. ``slow_ns``: a request that takes so long counts as one that went
    wrong. ``dropped`` counts lines of such requests for which there was no room. Safe in threads, signal handlers and
    finalisers; a forked child begins with nothing kept.
    """

    def __init__(
        self,
        road: Road,
        keeping: Keeping,
        hear: Callable[[logging.LogRecord], object],
        level: int,
        slow_ns: int,
        floor: Callable[[str], int] = lambda logger: logging.NOTSET,
        request_bytes: int = REQUEST_BYTES,
        process_bytes: int = PROCESS_BYTES,
    ) -> None:
        self._road = road
        self._keeping = keeping
        self._level = level
        self._slow_ns = slow_ns
        self._floor = floor
        self._request_bytes, self._process_bytes = request_bytes, process_bytes
        self._floors: dict[str, int] = {}
        self._handle = Patch("logging:Logger.handle", self._handling)
        self._hear = hear
        self.bound = road.bound
        self.encoder = getattr(road, "encoder", None)
        self.dropped = 0
        self._begin()

    def _begin(self) -> None:
        self._pid = getpid()
        self._lock = RLock()
        self._tapes: dict[int, Tape] = {}
        self._size = 0

    def start(self) -> None:
        """Have loggers ask about what is below their level, from here on."""
        self._handle.install()
        armed.ask(self.admits)

    def stop(self) -> None:
        """Leave the loggers as they were, and forget what is kept."""
        armed.ask_no_more(self.admits)
        self._handle.remove()
        self._begin()

    def admits(self, scope: Scope, level: int, logger: logging.Logger) -> bool | None:
        """See ``record.gate.armed.Admits``."""
        request = scope.request
        if request is None or scope.over():
            return None
        return level >= self._least(logger.name) and logger.manager.disable < level

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
        """A log line, said or kept; see ``record.slot.Road``."""
        try:
            scope = innermost.here()
            request = None if scope is None else scope.request
            if scope is not None and request is not None:
                if level >= logging.ERROR:
                    self._wrong(request)
                elif self._holds(scope, level, _logger(logger)):
                    tape = self._tape(request)
                    if tape.running:
                        ns = wall_ns or time.time_ns()
                        kept = self._keeping.recorded(level, logger, event, args, fields, failure, stack, bound)
                        self._keep(tape, ns, kept)
                        return
        except Exception as error:  # a fault of ours lets the line pass
            if raised_by_signal(error):
                raise
        self._road.line(level, logger, event, args, fields, failure, stack, wall_ns, bound)

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
        """An event that is no log line always passes; an access event tells how the request ended."""
        try:
            found = innermost.here() if scope is None else scope
            request = None if found is None else found.request
            if request is not None:
                if level >= logging.ERROR:
                    self._wrong(request)
                elif dataset == _ACCESS:
                    took = body.get("event", {}).get("duration", 0)
                    self._ended(request, took >= self._slow_ns)
        except Exception as error:
            if raised_by_signal(error):
                raise
        self._road.document(
            dataset, level, logger, message, body, labels=labels, failure=failure, scope=scope, wall_ns=wall_ns
        )

    def over(self, request: Request, failed: bool) -> None:
        """A request that nobody serves has ended; see ``Tape.over``."""
        try:
            took = time.time_ns() - request.started_ns if request.started_ns else 0
            self._ended(request, failed or took >= self._slow_ns)
        except Exception as error:
            if raised_by_signal(error):
                raise

    def _ended(self, request: Request, wrong: bool) -> None:
        if wrong:
            self._wrong(request)
        elif request.recorded is not None:
            tape, request.recorded = request.recorded, None
            self._taken(tape)

    def _wrong(self, request: Request) -> None:
        """Write what is kept of a request, and from here on all it says."""
        tape = self._tape(request)
        if not tape.running:
            return
        tape.running = False
        lines = self._taken(tape)
        if tape.dropped:
            self.dropped += tape.dropped
            self._road.line(
                logging.DEBUG,
                LOGGER,
                "%d older lines were dropped: the recorder keeps %d KiB of a request",
                (tape.dropped, self._request_bytes >> 10),
                {},
                wall_ns=lines[0][0] if lines else 0,
            )
        for ns, line in lines:
            self._keeping.late(ns, line)

    def _holds(self, scope: Scope, level: int, logger: logging.Logger) -> bool:
        """Whether a line is only said because the recorder is there."""
        enabled = logger._cache.get(level)  # type: ignore[attr-defined]
        if enabled is None:
            enabled = level >= logger.getEffectiveLevel() and logger.manager.disable < level
        return not enabled and not armed.admitted_beside(self.admits, scope, level, logger)

    def _least(self, logger: str) -> int:
        least = self._floors.get(logger)
        if least is None:
            if len(self._floors) >= _KNOWN:
                self._floors.clear()
            above = logger.split(".")
            capped = any(".".join(above[:depth]) in armed.capped for depth in range(1, len(above) + 1))
            least = max(self._level, self._floor(logger), logging.WARNING if capped else logging.NOTSET)
            self._floors[logger] = least
        return least

    def _tape(self, request: Request) -> Tape:
        tape: Tape | None = request.recorded
        if tape is None:
            tape = request.recorded = Tape(self)
        return tape

    def _keep(self, tape: Tape, ns: int, line: bytes) -> None:
        if self._pid != getpid():
            self._begin()
        size = len(line) + OVERHEAD
        with self._lock:
            if not tape.running:  # written while this line was being encoded
                self._keeping.late(ns, line)
                return
            tape.lines.append((ns, line))
            tape.size += size
            self._size += size
            self._tapes.setdefault(id(tape), tape)
            while tape.size > self._request_bytes:
                self._drop_oldest(tape)
            while self._size > self._process_bytes and self._tapes:
                oldest = next(iter(self._tapes.values()))
                self._drop_oldest(oldest)
                if not oldest.lines:
                    del self._tapes[id(oldest)]

    def _drop_oldest(self, tape: Tape) -> None:
        size = len(tape.lines.popleft()[1]) + OVERHEAD
        tape.size -= size
        self._size -= size
        tape.dropped += 1

    def _taken(self, tape: Tape) -> deque[tuple[int, bytes]]:
        """What is kept of a request, which is then not kept any more."""
        if self._pid != getpid():
            self._begin()
        with self._lock:
            lines, tape.lines = tape.lines, deque()
            if self._tapes.pop(id(tape), None) is not None:
                self._size -= tape.size
            tape.size = 0
        return lines

    def _handling(self, patch: Patch) -> Any:
        """A record that is only made because the recorder is there goes to it, and past all other handlers."""
        original = patch.original

        @wraps(original)
        def handle(logger: logging.Logger, record: logging.LogRecord) -> None:
            scope = innermost.here() if patch.on else None
            if scope is None or scope.request is None or not self._holds(scope, record.levelno, logger):
                original(logger, record)
            elif not logger.disabled:
                passed: object = logger.filter(record)
                if passed:
                    self._hear(passed if isinstance(passed, logging.LogRecord) else record)

        return handle


def _logger(name: str) -> logging.Logger:
    found = logging.root.manager.loggerDict.get(name)
    return found if isinstance(found, logging.Logger) else logging.root
