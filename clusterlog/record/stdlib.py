"""Standard logging enters the road by one handler: a ``LogRecord`` becomes a line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from threading import get_ident
from typing import Any

from clusterlog.record.failure import exception_of
from clusterlog.record.slot import slot

_BARE = logging.LogRecord("", 0, "", 0, "", (), None)
_OWN = len(_BARE.__dict__)
_RESERVED = frozenset(_BARE.__dict__) | {"message", "asctime", "taskName"}
_FIRST, _LAST = 0.0, 4_102_444_800.0
"""A record's time outside of these (1970 to 2100) is not believed: the clock is asked instead."""

elsewhere: set[str] = set()
"""Names of loggers whose records do not go on the road, because another event stands for them."""

_told: set[tuple[int, str]] = set()
"""Thread and logger of whose records the same is true at this moment only."""


@contextmanager
def told(logger: str) -> Iterator[None]:
    """What this thread says by ``logger`` inside the block is on the road already, as an event that tells more."""
    mine = (get_ident(), logger)
    _told.add(mine)
    try:
        yield
    finally:
        _told.discard(mine)


class Told(str):
    """A message that is on the road already; other handlers than ours still show it."""

    __slots__ = ()


class ToldFields(dict[str, Any]):
    """The same for structlog's event dict, which ``wrap_for_formatter`` hands over as a message."""

    __slots__ = ()


_TOLD: frozenset[type[Any]] = frozenset((Told, ToldFields))
_EVENT_DICTS: frozenset[type[Any]] = frozenset((dict, ToldFields))  # what structlog's wrap_for_formatter hands over


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """The caller's own fields of a record: what ``extra=`` and filters put behind the library's attributes."""
    if len(record.__dict__) == _OWN and next(reversed(record.__dict__)) in _RESERVED:
        return {}
    # The library sets its attributes first and always the same ones, so that one cut separates the caller's.
    found = dict(islice(record.__dict__.items(), _OWN, None))
    if not _RESERVED.isdisjoint(found) or next(islice(record.__dict__, _OWN - 1, None)) not in _RESERVED:
        found = {name: value for name, value in record.__dict__.items() if name not in _RESERVED}
    return found


def words(record: logging.LogRecord) -> tuple[Any, tuple[Any, ...], dict[str, Any], BaseException | None]:
    """What a record says: its template, the arguments, the caller's own fields, the exception."""
    fields = extras(record)
    event: Any = record.msg
    failure = exception_of(record.exc_info) if record.exc_info else None
    if type(event) in _EVENT_DICTS and "event" in event:
        event = dict(event)
        failure = failure or exception_of(event.pop("exc_info", None))
        fields = {**event, **{k: v for k, v in fields.items() if not k.startswith("_")}}
        event = fields.pop("event")
    args: Any = record.args or ()
    return event, args if type(args) is tuple else (args,), fields, failure


class RecordHandler(logging.Handler):
    """Puts every record on the road; while there is none, records pass by.

    It formats nothing, takes no lock (the road has its own) and never raises.
    """

    def createLock(self) -> None:  # noqa: N802 - the standard library's name
        """No lock: two threads that log must not wait for one another here."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter and emit."""
        if self.filters:
            passed: object = self.filter(record)
            if not passed:
                return False
            if isinstance(passed, logging.LogRecord):  # from 3.12 on a filter may answer with another record
                record = passed
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record's own words over: template, arguments, fields, exception, time."""
        road = slot.road
        if road is None or record.name in elsewhere or type(record.msg) in _TOLD:
            return
        if _told and (get_ident(), record.name) in _told:
            return
        event, args, fields, failure = words(record)
        created = record.created
        wall_ns = int(created * 1e9) if type(created) is float and _FIRST < created < _LAST else 0
        road.line(
            record.levelno,
            record.name,
            event,
            args,
            fields,
            failure,
            record.stack_info,
            wall_ns,
        )
