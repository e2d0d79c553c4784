"""One request's visit to one service, and how many events it must leave, counted without asking clusterlog.

Every line, call and step is counted where the service's own code makes it, under a ticket that the services hand on
themselves. Were a request id lost on the way, into a thread or to the next node, the count would not be lost with it.
"""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ParamSpec, Self, TypeVar

import clusterlog
from clusterlog.cli.demo.leash import leash

TICKET = "Demo-Ticket"
SURROUNDINGS = "CLUSTERLOG__DEMO"
"""The environment variable that tells a service, as JSON, where it is: see ``nodes.Node``."""

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Surroundings:
    """What the driver tells a service: its ``node``, the ``peers`` it calls (name → URL), where it reports."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.node: str = told.get("node", "")
        self.peers: Mapping[str, str] = told.get("peers", {})
        self._report: int = told.get("report", -1)

    def say(self, **told: Any) -> None:
        """One line to the driver. Lines are far shorter than ``PIPE_BUF``, so those of several processes do not mix."""
        try:
            os.write(self._report, json.dumps({"node": self.node, **told}).encode() + b"\n")
        except OSError:  # nobody listens any more
            return


def surroundings() -> Surroundings:
    """Read the surroundings of this process, tie its life to that of its parent, and report that it is there."""
    told = os.environ.get(SURROUNDINGS)
    found = Surroundings(json.loads(told or "{}"))
    if told:
        leash(os.getppid())  # a worker's: what its server was put on is lost in a fork
        found.say(pid=os.getpid())
    return found


class Hop:
    """Counts what one request makes a service say. Without a ticket, as somebody else's request is, for nobody.

    A context manager: at the end of it, and of all work left behind (``later``), the count is reported.
    """

    def __init__(self, here: Surroundings, ticket: str | None) -> None:
        self._here = here
        self._ticket = ticket or ""
        self._lock = threading.Lock()
        self._events = 1  # the access event
        self._called: list[str] = []
        self._trace_id = ""
        self._open = 0

    def __enter__(self) -> Self:
        self._trace_id = clusterlog.inject({}).get("traceparent", "--").split("-")[1]
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def logger(self, log: Any) -> Counted:
        """The logger, native or the standard library's, with every line it says counted here."""
        return Counted(self, log)

    @contextmanager
    def step(self, name: str, **fields: Any) -> Iterator[None]:
        """``clusterlog.step``, and its one event."""
        try:
            with clusterlog.step(name, **fields):
                yield
        finally:
            self.count()

    @contextmanager
    def span(self, opened: AbstractContextManager[T]) -> Iterator[T]:
        """A span of OpenTelemetry's, and its one event."""
        try:
            with opened as span:
                yield span
        finally:
            self.count()

    def calling(self, node: str = "") -> dict[str, str]:
        """The headers for an outgoing call, and its one event. ``node`` is the peer that will count as well."""
        self.count()
        if not node:
            return {}
        with self._lock:
            self._called.append(node)
        return {TICKET: self._ticket}

    def later(self, work: Callable[P, R]) -> Callable[P, R]:
        """The same work for after the response: the count waits for it."""
        self._begin()

        @functools.wraps(work)
        def done(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return work(*args, **kwargs)
            finally:
                self._end()

        return done

    def count(self) -> None:
        """One more event."""
        with self._lock:
            self._events += 1

    def _begin(self) -> None:
        with self._lock:
            self._open += 1

    def _end(self) -> None:
        with self._lock:
            self._open -= 1
            over = not self._open
        if over and self._ticket:
            told = {"events": self._events, "called": self._called, "trace_id": self._trace_id}
            self._here.say(ticket=self._ticket, **told)


class Counted:
    """A logger whose lines are counted if its level lets them pass."""

    def __init__(self, hop: Hop, log: Any) -> None:
        self._hop = hop
        self._log = log

    def debug(self, *args: Any, **fields: Any) -> None:
        """Say it at DEBUG."""
        self._count(10)
        self._log.debug(*args, **fields)

    def info(self, *args: Any, **fields: Any) -> None:
        """Say it at INFO."""
        self._count(20)
        self._log.info(*args, **fields)

    def warning(self, *args: Any, **fields: Any) -> None:
        """Say it at WARNING."""
        self._count(30)
        self._log.warning(*args, **fields)

    def error(self, *args: Any, **fields: Any) -> None:
        """Say it at ERROR."""
        self._count(40)
        self._log.error(*args, **fields)

    def exception(self, *args: Any, **fields: Any) -> None:
        """Say it at ERROR with the exception that is being handled."""
        self._count(40)
        self._log.exception(*args, **fields)

    def _count(self, level: int) -> None:
        if self._log.isEnabledFor(level):
            self._hop.count()
