"""Standard logging enters the road by one handler: a ``LogRecord`` becomes a line.

Where nobody but that handler wants the record, ``Logger`` does without one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from threading import get_ident
from typing import Any

from clusterlog.record.failure import exception_of
from clusterlog.record.gate import armed
from clusterlog.record.slot import Road, slot

_here = armed.here
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

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if all(getattr(cls, name) is getattr(RecordHandler, name) for name in ("emit", "filter", "handle")):
            _only_handing_over.add(cls)

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


_only_handing_over: set[type[logging.Handler]] = {RecordHandler}
"""Our handler and those derived from it that do nothing else with a record."""

_STEPS = ("isEnabledFor", "_log", "makeRecord", "handle", "filter", "callHandlers")
"""What a line of standard logging passes between the call and the handlers."""


def _of_the_library(name: str) -> Any:
    """A method of ``logging.Logger`` if it is the library's own; agents that watch programs put theirs in its place."""
    found = getattr(logging.Logger, name)
    code = getattr(found, "__code__", None)
    return found if code is not None and code.co_filename == logging.addLevelName.__code__.co_filename else object()


_log, _make, _handle, _call = map(_of_the_library, ("_log", "makeRecord", "handle", "callHandlers"))


def _at(level: int) -> Any:
    """The method of a level, which says what it can without the library's three calls and its record."""

    def say(
        self: Logger,
        msg: object,
        *args: object,
        exc_info: Any = None,
        stack_info: bool = False,
        stacklevel: int = 1,
        extra: Any = None,
        **unknown: Any,
    ) -> None:
        try:  # isEnabledFor, without its call
            if not self._cache[level] or self.disabled:  # type: ignore[attr-defined]
                return
        except KeyError:
            if not self.isEnabledFor(level):
                return
        if type(msg) is str and not stack_info and not unknown and (road := self._straight(level)) is not None:
            if extra is None:
                extra = {}
            if type(extra) is dict and _RESERVED.isdisjoint(extra):
                road.line(level, self.name, msg, args, extra, exception_of(exc_info) if exc_info else None)
                return
        # The library leaves out its own frames when it looks for the caller, and this one is none of them.
        self._log(level, msg, args, exc_info, extra, stack_info, stacklevel + 1, **unknown)

    say.__name__ = logging.getLevelName(level).lower()
    say.__qualname__ = f"Logger.{say.__name__}"
    say.__doc__ = f"As ``logging.Logger.{say.__name__}``."
    return say


def _armed_at(level: int) -> Any:
    """The same while there is somebody to ask about lines that are below the level; see ``gate.armed``."""

    def say(self: Logger, msg: object, *args: object, **options: Any) -> None:
        try:
            if not self._cache[level]:  # type: ignore[attr-defined]
                scope = _here()
                if scope is None or scope.spared is armed.nobody or not armed.admitted(scope, level, self):
                    return
            if self.disabled:
                return
        except KeyError:
            if not self.isEnabledFor(level):
                return
        options["stacklevel"] = options.get("stacklevel", 1) + 1
        self._log(level, msg, args, **options)

    return say


class Logger(logging.Logger):
    """A standard logger that makes no record where our handler alone would get it: a third of the price of a line.

        logging.setLoggerClass(Logger)  # before loggers are made: those that exist stay what they are

    Whatever else may look at a record (handlers, filters, a record factory, a class derived from this one, an agent
    that has put its methods into the library's class) gets one as before. Each call looks anew who there is; only
    methods put into a single logger object are not noticed.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if any(getattr(cls, name) is not getattr(Logger, name) for name in _STEPS):
            for name in _SHORT:
                if getattr(cls, name) is getattr(Logger, name):
                    setattr(cls, name, getattr(logging.Logger, name))

    debug = _at(logging.DEBUG)
    info = _at(logging.INFO)
    warning = _at(logging.WARNING)
    error = _at(logging.ERROR)
    critical = fatal = _at(logging.CRITICAL)

    def _log(
        self,
        level: int,
        msg: object,
        args: Any,
        exc_info: Any = None,
        extra: Any = None,
        stack_info: bool = False,
        stacklevel: int = 1,
    ) -> None:
        if type(msg) is str and type(args) is tuple and not stack_info:
            road = self._straight(level)
            if road is not None and (extra is None or (type(extra) is dict and _RESERVED.isdisjoint(extra))):
                road.line(level, self.name, msg, args, extra or {}, exception_of(exc_info) if exc_info else None)
                return
        super()._log(level, msg, args, exc_info, extra, stack_info, stacklevel + 1)

    def _straight(self, level: int) -> Road | None:
        """The road, if our handler would get a record of that level now, and nobody else would see it."""
        kind = self.__class__
        if (
            self.filters
            or _told
            or (elsewhere and self.name in elsewhere)
            or logging._logRecordFactory is not logging.LogRecord  # type: ignore[attr-defined]
            or kind.callHandlers is not _call
            or kind.handle is not _handle
            or kind.makeRecord is not _make
            or kind._log is not _own_log
            or logging.Logger._log is not _log
        ):
            return None
        ours: logging.Handler | None = None
        each: logging.Logger | None = self
        while each is not None:
            for handler in each.handlers:
                if level >= handler.level:
                    if ours is not None or handler.filters or handler.__class__ not in _only_handing_over:
                        return None
                    ours = handler
            if not each.propagate:
                break
            each = each.parent
        return None if ours is None else slot.road


for _method in ("debug", "info", "warning", "error", "critical"):
    armed.exchange(vars(Logger)[_method], _armed_at(getattr(logging, _method.upper())))

_own_log = Logger._log
_SHORT = ("debug", "info", "warning", "error", "critical", "fatal", "_log")
