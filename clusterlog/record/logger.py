"""The native logger: structlog's bound logger by its interface, whose methods go straight to the road.

It has no level of its own. It reads the cache behind ``isEnabledFor`` of the standard logger of its name, so that
``setLevel``, ``dictConfig`` and cluster rules mean one thing. structlog's chain runs only where the application
configured processors; it costs more than everything else here together.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from types import FrameType
from typing import Any, Protocol

import structlog

from clusterlog.record.failure import exception_of, raised_by_signal
from clusterlog.record.gate import armed
from clusterlog.record.slot import Road, slot

_NONE = object()
_RESERVED = frozenset({"exc_info", "stack_info"})
_here = armed.here
_passed_through = re.compile(r"(?:clusterlog|structlog)\.").match


class Say(Protocol):
    """What a level's method looks like from outside."""

    def __call__(self, event: Any, /, *args: Any, **fields: Any) -> None:
        """Say ``event``, with ``%``-style ``args`` and own ``fields``."""


def _at(level: int) -> Any:
    """The method of a level: what is not said costs three look-ups, what is plain is one call away from the road."""

    def say(self: BoundLogger, event: Any, /, *args: Any, **fields: Any) -> None:
        try:  # isEnabledFor, without its call
            if not self._enabled[level] or self._logger.disabled:
                return
        except KeyError:
            if not self._logger.isEnabledFor(level):
                return
        road: Any = slot.road
        if road is not self._road or "exc_info" in fields or "stack_info" in fields:
            self._say(level, event, args, fields)
        elif self._bound is None:
            road.line(level, self._name, event, args, fields)
        else:
            road.line(level, self._name, event, args, fields, None, None, 0, self._bound)

    say.__name__ = logging.getLevelName(level).lower()
    say.__qualname__ = f"BoundLogger.{say.__name__}"
    say.__doc__ = f"Say ``event`` at {logging.getLevelName(level)}."
    return say


def _armed_at(level: int) -> Any:
    """The same while there is somebody to ask about lines that are below the level; see ``gate.armed``."""

    def say(self: BoundLogger, event: Any, /, *args: Any, **fields: Any) -> None:
        try:
            if not self._enabled[level]:
                scope = _here()
                if scope is None or scope.spared is armed.nobody or not armed.admitted(scope, level, self._logger):
                    return
            if self._logger.disabled:
                return
        except KeyError:
            if not self._logger.isEnabledFor(level):
                return
        self._say(level, event, args, fields)

    return say


def _awaited(name: str) -> Any:
    async def say(self: BoundLogger, /, *args: Any, **fields: Any) -> None:
        getattr(self, name)(*args, **fields)

    say.__name__ = f"a{name}"
    say.__qualname__ = f"BoundLogger.{say.__name__}"
    say.__doc__ = f"``{name}``, awaited."
    return say


class BoundLogger(structlog.BoundLoggerBase):
    """A structlog bound logger whose calls are ``event, /, *args, **fields``.

    Any keyword is a field of the caller's, but for ``exc_info`` and ``stack_info``.
    """

    def __init__(self, logger: Any, processors: Iterable[Any] = (), context: Any = None) -> None:
        standard = logger if isinstance(logger, logging.Logger) else logging.getLogger(getattr(logger, "name", None))
        super().__init__(standard, processors, {} if context is None else context)
        self._enabled: MutableMapping[int, bool] = standard._cache  # type: ignore[attr-defined]
        self._name = standard.name
        self._road: Any = _NONE
        self._bound: Any = None
        if slot.road is not None:
            self._meet(slot.road)

    @property
    def name(self) -> str:
        """The name of the standard logger whose level is this one's."""
        return self._name

    def bind(self, **new_values: Any) -> BoundLogger:
        """A logger that says these fields on every line."""
        return type(self)(self._logger, self._processors, {**self._context, **new_values})

    def unbind(self, *keys: str) -> BoundLogger:
        """A logger without these fields. Raises KeyError for one that is not bound."""
        context = dict(self._context)
        for key in keys:
            del context[key]
        return type(self)(self._logger, self._processors, context)

    def try_unbind(self, *keys: str) -> BoundLogger:
        """A logger without these fields, bound or not."""
        context = {key: value for key, value in self._context.items() if key not in keys}
        return type(self)(self._logger, self._processors, context)

    def new(self, **new_values: Any) -> BoundLogger:
        """A logger with these fields only."""
        return type(self)(self._logger, self._processors, dict(new_values))

    debug = _at(logging.DEBUG)
    info = msg = _at(logging.INFO)
    warning = warn = _at(logging.WARNING)
    error = _at(logging.ERROR)
    critical = fatal = _at(logging.CRITICAL)
    # For code that awaits its log lines, as structlog allows. There is nothing to wait for.
    adebug = _awaited("debug")
    ainfo = amsg = _awaited("info")
    awarning = awarn = _awaited("warning")
    aerror = _awaited("error")
    acritical = afatal = _awaited("critical")
    aexception = _awaited("exception")
    alog = _awaited("log")

    def exception(self, event: Any, /, *args: Any, **fields: Any) -> None:
        """Say ``event`` at ERROR with the exception being handled."""
        fields.setdefault("exc_info", True)
        self.error(event, *args, **fields)

    def log(self, level: int, event: Any, /, *args: Any, **fields: Any) -> None:
        """Say ``event`` at the level of that number."""
        if self._logger.isEnabledFor(level):
            self._say(level, event, args, fields)

    def __getattr__(self, name: str) -> Any:
        """Whatever else the standard logger has (``setLevel``, ``handlers``), as from structlog's own."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._logger, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled by name and bound fields; the road stays where it is."""
        return type(self), (self._logger, self._processors, self._context)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the standard library's name
        """Whether a line of that level would be said."""
        return bool(self._logger.isEnabledFor(level))

    def getEffectiveLevel(self) -> int:  # noqa: N802 - the standard library's name
        """The level in force, as the standard logger of this name has it."""
        return int(self._logger.getEffectiveLevel())

    is_enabled_for = isEnabledFor
    get_effective_level = getEffectiveLevel

    def _meet(self, road: Road) -> None:
        """Be ready to hand lines to this very road; what is bound is serialised, now that it is bound."""
        if self._processors or not _RESERVED.isdisjoint(self._context):
            return
        self._bound = road.bound(self._context) if self._context else None
        if self._bound is not None or not self._context:
            self._road = road

    def _say(self, level: int, event: Any, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        road = slot.road
        if road is None or self._processors:
            self._say_otherwise(level, event, args, fields)
            return
        if road is not self._road:
            self._meet(road)
        bound = self._bound if road is self._road else None
        if bound is None and self._context:
            fields = {**self._context, **fields}
        failure = stack = None
        if "exc_info" in fields:
            failure = exception_of(fields.pop("exc_info"))
        if "stack_info" in fields:
            stack = _stack() if fields.pop("stack_info") else None
        if bound is None:
            road.line(level, self._name, event, args, fields, failure, stack)
        else:
            road.line(level, self._name, event, args, fields, failure, stack, 0, bound)

    def _say_otherwise(self, level: int, event: Any, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        """Through the application's own structlog processors, or, before ``start``, to standard logging."""
        fields = {**self._context, **fields}
        try:
            if self._processors:
                event, fields = self._processed(level, event, fields)
        except structlog.DropEvent:
            return
        except Exception as error:
            if raised_by_signal(error):
                raise
            fields["clusterlog_processor_failed"] = type(error).__name__
        failure = exception_of(fields.pop("exc_info", None))
        stack = _stack() if fields.pop("stack_info", None) else None
        road = slot.road
        if road is not None:
            road.line(level, self._name, event, args, fields, failure, stack)
        else:
            _say_standard(self._logger, level, event, args, fields, failure)

    def _processed(self, level: int, event: Any, fields: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Event and fields after the application's own chain.

        A renderer at its end makes a text, or arguments for another logger; the road wants what that was made from.
        """
        said: MutableMapping[str, Any] = {**fields, "event": event}
        method = logging.getLevelName(level).lower()
        for processor in self._processors:
            made = processor(self._logger, method, dict(said))
            if not isinstance(made, dict) or "event" not in made:
                break
            said = made
        fields = dict(said)
        return fields.pop("event", event), fields


for _method in ("debug", "info", "warning", "error", "critical"):
    armed.exchange(vars(BoundLogger)[_method], _armed_at(getattr(logging, _method.upper())))


def _say_standard(
    logger: logging.Logger,
    level: int,
    event: Any,
    args: tuple[Any, ...],
    fields: dict[str, Any],
    failure: BaseException | None,
) -> None:
    exc_info = (type(failure), failure, failure.__traceback__) if failure is not None else None
    record = logger.makeRecord(logger.name, level, "", 0, event, args, exc_info)
    for name, value in fields.items():
        record.__dict__.setdefault(name, value)
    frame = _caller()
    if frame is not None:
        record.pathname, record.lineno, record.funcName = frame
    logger.handle(record)


def _caller() -> tuple[str, int, str] | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def _stack() -> str:
    import traceback

    frames = [each for each in traceback.extract_stack() if each.filename != __file__]
    return "".join(traceback.format_list(frames))


def get_logger(name: str | None = None) -> BoundLogger:
    """A native logger; without a name that of the calling module."""
    return BoundLogger(standard_logger() if name is None else logging.getLogger(name))


def standard_logger(*names: Any) -> logging.Logger:
    """The standard logger of the first name, or of the module that asks; ``logger_factory`` of structlog.

    structlog's own would put a class of its own behind every logger made from then on, which stays when we are gone.
    """
    if names and isinstance(names[0], str):
        return logging.getLogger(names[0])
    frame = sys._getframe(1)
    while frame.f_back is not None and _passed_through(f"{frame.f_globals.get('__name__')}."):
        frame = frame.f_back
    return logging.getLogger(str(frame.f_globals.get("__name__", "root")))
