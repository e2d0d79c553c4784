"""Lines that repeat themselves: the first of them pass, the rest are counted, and one line tells how many there were.

Lines are alike if level, logger, template and type of exception are the same. They are counted for each request apart,
and once for everything outside of requests, so that no request is told in part because others said the same; and what
a request says at ERROR or above always passes. What was held back is told at the level of the lines themselves, with
the first and the last of them, as part of the request they belonged to: when their time is over and anything is
logged, before the request's access event, at ``flush`` and at ``stop``.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import getpid
from threading import RLock
from typing import Any, Protocol

from clusterlog.context import innermost
from clusterlog.context.request import Scope
from clusterlog.record.failure import raised_by_signal
from clusterlog.record.slot import Road

REQUESTS = 1024
"""So many requests are watched at once; of more, the one watched longest is told early and begins anew."""
KINDS = 1024
"""So many kinds of lines are counted for each; what is different from all of them passes."""
_TEXT = 256
_ACCESS = "clusterlog.access"
_PLAIN = frozenset({str, int, float, bool, type(None)})
_OUTSIDE = ""

Key = tuple[int, str, Any, Any]


@dataclass(frozen=True, slots=True)
class Repeated:
    """What is told of the lines that were held back; ``first`` and ``last`` are what the road made of these two."""

    level: int
    logger: str
    count: int
    first_ns: int
    last_ns: int
    first: Any
    last: Any
    scope: Scope


class Telling(Road, Protocol):
    """A road that can tell of lines it did not get."""

    def sample(self, event: Any, args: tuple[Any, ...], fields: Mapping[str, Any], bound: Any) -> Any:
        """A line as it is at this moment, whatever becomes of the objects in it; for ``repeated``. Never raises."""

    def repeated(self, told: Repeated) -> None:
        """Tell how often a line repeated itself. Never raises."""


class _Line:
    """One line that was held back. What could change before it is told is a sample already."""

    __slots__ = ("args", "bound", "event", "fields", "made", "ns", "plain", "scope")

    def __init__(
        self,
        event: Any,
        args: tuple[Any, ...],
        fields: Mapping[str, Any],
        bound: Any,
        ns: int,
        scope: Scope | None,
    ) -> None:
        self.ns = ns
        self.scope = scope
        self.bound = bound
        self.event = event if type(event) is str and len(event) <= _TEXT else ""
        self.plain = self.event is event and all(map(_plain, args)) and all(map(_plain, fields.values()))
        self.args = args if self.plain else ()
        self.fields = dict(fields) if self.plain else {}
        self.made: Any = None

    def sample(self, road: Telling) -> Any:
        return self.made or road.sample(self.event, self.args, self.fields, self.bound)


class _Count:
    """How often one kind of line has passed and was held back."""

    __slots__ = ("first", "held", "last", "passed")

    def __init__(self) -> None:
        self.passed = 1
        self.held = 0
        self.first: _Line | None = None
        self.last: _Line | None = None


class _Watch:
    """All kinds of lines of one request, or outside of all, until a time."""

    __slots__ = ("counts", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.counts: dict[Key, _Count] = {}


class Throttle:
    """A road that lets ``most`` lines that are alike pass to another one in ``seconds``, and tells of the rest there.

    Safe in threads, signal handlers and finalisers; a forked child begins without what its parent has counted.
    """

    def __init__(self, road: Telling, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._road = road
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self.bound = road.bound
        self.encoder = getattr(road, "encoder", None)
        self._begin()

    def _begin(self) -> None:
        self._lock = RLock()
        self._watches: dict[str, _Watch] = {}
        self._next_end = float("inf")
        self._untold: deque[tuple[Key, _Count]] = deque()
        self._pid = getpid()

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
        """A log line, or nothing; see ``record.slot.Road``."""
        held = None
        try:
            scope = innermost.here()
            who = _OUTSIDE if scope is None else _who(scope)
            if not who or level < logging.ERROR:
                key = (level, logger, _kind(event), type(failure))
                line = self._held(who, key, event, args, fields, bound, wall_ns, scope)
                if line is not None:
                    held = line
                    if not line.plain:  # foreign code runs here, and outside of the lock
                        line.made = self._road.sample(event, args, fields, bound)
        except Exception as error:  # a fault of ours lets the line pass
            if raised_by_signal(error):
                raise
        if self._untold:
            self._tell_untold()
        if held is None:
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
        """An event that is no log line always passes; see ``record.slot.Road``."""
        if dataset == _ACCESS:
            found = innermost.here() if scope is None else scope
            if found is not None and found.request is not None:
                self._end(found.request.id)
                self._tell_untold()
        self._road.document(
            dataset, level, logger, message, body, labels=labels, failure=failure, scope=scope, wall_ns=wall_ns
        )

    def tell(self) -> None:
        """Tell all that was held back so far."""
        for who in list(self._watches):
            self._end(who)
        self._tell_untold()

    def _held(
        self,
        who: str,
        key: Key,
        event: Any,
        args: tuple[Any, ...],
        fields: Mapping[str, Any],
        bound: Any,
        wall_ns: int,
        scope: Scope | None,
    ) -> _Line | None:
        """Count a line; what is kept of it if it must not pass."""
        if self._pid != getpid():
            self._begin()
        with self._lock:
            now = self._clock()
            if now >= self._next_end:
                self._end_what_is_over(now)
            watch = self._watches.get(who) or self._watch(who, now)
            count = watch.counts.get(key)
            if count is None:
                if len(watch.counts) < KINDS:
                    watch.counts[key] = _Count()
                return None
            if count.passed < self._most:
                count.passed += 1
                return None
            line = _Line(event, args, fields, bound, wall_ns or time.time_ns(), scope)
            count.held += 1
            count.first = count.first or line
            count.last = line
            return line

    def _watch(self, who: str, now: float) -> _Watch:
        if len(self._watches) >= REQUESTS:
            self._end(next(iter(self._watches)))
        watch = self._watches[who] = _Watch(now + self._seconds)
        self._next_end = min(self._next_end, watch.until)
        return watch

    def _end_what_is_over(self, now: float) -> None:
        """They all last equally long, so the first that is not over has only others behind it that are not."""
        while self._watches:
            who, watch = next(iter(self._watches.items()))
            if now < watch.until:
                self._next_end = watch.until
                return
            self._end(who)
        self._next_end = float("inf")

    def _end(self, who: str) -> None:
        if self._pid != getpid():
            self._begin()
        with self._lock:
            watch = self._watches.pop(who, None)
            if watch is not None:
                self._untold += [each for each in watch.counts.items() if each[1].held]

    def _tell_untold(self) -> None:
        while self._untold:
            try:
                (level, logger, _, _), count = self._untold.popleft()
            except IndexError:  # another thread has told it
                return
            first, last = count.first, count.last
            if first is None or last is None:
                continue
            self._road.repeated(
                Repeated(
                    level,
                    logger,
                    count.held,
                    first.ns,
                    last.ns,
                    first.sample(self._road),
                    last.sample(self._road),
                    last.scope or Scope(None),
                )
            )


def _who(scope: Scope) -> str:
    """The request a line belongs to; where another tracer alone knows of one, its trace."""
    if scope.request is not None:
        return scope.request.id
    return _OUTSIDE if scope.traced is None else scope.traced.trace_id


def _kind(event: Any) -> Any:
    """What makes the events of two lines the same, without calling anything of theirs."""
    if type(event) is not str:
        return type(event)
    return event if len(event) <= _TEXT else (len(event), hash(event))


def _plain(value: Any) -> bool:
    kind = type(value)
    return kind in _PLAIN and (kind is not str or len(value) <= _TEXT)
