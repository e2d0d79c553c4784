"""A server's own log lines: its access line stays on its console and gets the id, its other lines go on the road.

The access line is written when a response begins, knows neither its size nor its duration, and would be a second
account of what the access event tells; so it never goes on the road, whatever handlers it may reach.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from copy import copy
from typing import Any

from clusterlog.context.request import request_id
from clusterlog.record import stdlib
from clusterlog.record.stdlib import RecordHandler

listening = True
"""Whether a server's lines need an ear of their own; under ``clusterlog run`` every record is heard anyway."""


class _WithId(logging.Formatter):
    """Somebody's formatter, with the request id at the end of the first line of what some loggers say."""

    def __init__(self, inner: logging.Formatter, names: frozenset[str]) -> None:
        super().__init__()
        self.inner = inner
        self.names = names

    def format(self, record: logging.LogRecord) -> str:
        text = self.inner.format(record)
        if record.name not in self.names or text.startswith("{"):  # a line of JSON would be none any more
            return text
        id = request_id()
        if id is None or id in text:
            return text
        line, newline, rest = text.partition("\n")
        return f"{line} [{id}]{newline}{rest}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _Hearing(RecordHandler):
    """Puts a server's lines on the road, without what is meant for its console only."""

    def emit(self, record: logging.LogRecord) -> None:
        if "color_message" in record.__dict__:
            record = copy(record)
            del record.__dict__["color_message"]
        super().emit(record)


class ServerLines:
    """The two loggers of a server: ``access`` says what it answers, ``general`` all the rest."""

    def __init__(self, access: str, general: str) -> None:
        self.access = logging.getLogger(access)
        self.general = logging.getLogger(general)
        self._names = frozenset((access, general))
        self._ear = _Hearing()
        self._left: list[tuple[logging.Logger, list[logging.Handler]]] = []

    def settled(self) -> bool:
        """Whether all handlers are still those that ``settle`` left. Asked at every request."""
        for logger, handlers in self._left:
            if logger.handlers != handlers:
                return False
        return bool(self._left)

    def settle(self) -> None:
        """Make console lines carry the id and the general lines reach the road exactly once.

        Idempotent: a server may configure its logging again at any time, and so may the application.
        """
        stdlib.elsewhere.add(self.access.name)
        self._listen()
        for logger in self._loggers():
            if logger is logging.root:  # that console is the application's
                continue
            for handler in logger.handlers:
                if not isinstance(handler, RecordHandler) and not isinstance(handler.formatter, _WithId):
                    handler.setFormatter(_WithId(handler.formatter or logging.Formatter(), self._names))
        self._left = [(each, list(each.handlers)) for each in self._loggers()]

    def leave(self) -> None:
        """Undo ``settle``."""
        stdlib.elsewhere.discard(self.access.name)
        for logger in self._loggers():
            logger.removeHandler(self._ear)
            for handler in logger.handlers:
                if isinstance(handler.formatter, _WithId):
                    handler.setFormatter(handler.formatter.inner)
        self._left = []

    def _listen(self) -> None:
        if not listening:
            return
        chain = _chain(self.general)
        others = [h for each in chain for h in each.handlers if isinstance(h, RecordHandler) and h is not self._ear]
        ours = [each for each in chain if self._ear in each.handlers]
        if others or len(ours) > 1:
            for each in ours:
                each.removeHandler(self._ear)
            ours = []
        if not others and not ours and chain[-1] is not logging.root:
            chain[-1].addHandler(self._ear)

    def _loggers(self) -> tuple[logging.Logger, ...]:
        """Every logger whose handlers have a say in where the lines go."""
        return (self.access, *_chain(self.general))


def _chain(logger: logging.Logger) -> list[logging.Logger]:
    """The loggers whose handlers hear what ``logger`` says."""
    chain = [logger]
    while logger.propagate and logger.parent is not None:
        logger = logger.parent
        chain.append(logger)
    return chain


class _Development(ServerLines):
    """Werkzeug's server, which says everything by one logger; its access lines are told by their form."""

    def __init__(self) -> None:
        super().__init__("werkzeug.access", "werkzeug")

    def settle(self) -> None:
        if _name_access_lines not in self.general.filters:
            self.general.addFilter(_name_access_lines)
        super().settle()

    def leave(self) -> None:
        self.general.removeFilter(_name_access_lines)
        super().leave()


def _name_access_lines(record: logging.LogRecord) -> bool:
    if type(record.args) is tuple and len(record.args) == 3 and str(record.msg).rstrip().endswith('"%s" %s %s'):
        record.name = "werkzeug.access"
    return True


_MAKERS: dict[str, Callable[[], ServerLines]] = {
    "uvicorn": lambda: ServerLines("uvicorn.access", "uvicorn.error"),
    "gunicorn": lambda: ServerLines("gunicorn.access", "gunicorn.error"),
    "werkzeug": _Development,
}
_SERVERS: dict[str, ServerLines] = {}


def settle() -> None:
    """See to the lines of the servers that this process has imported. Cheap when nothing has changed."""
    for server, make in _MAKERS.items():
        if server in sys.modules:
            found = _SERVERS.get(server)
            if found is None:
                found = _SERVERS[server] = make()
            if not found.settled():
                found.settle()


def leave() -> None:
    """Leave all servers' lines as they were."""
    while _SERVERS:
        _SERVERS.popitem()[1].leave()
