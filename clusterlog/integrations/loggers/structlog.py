"""structlog as the application has set it up: each event goes on the road as it is just before it is rendered.

What the application's processors have added, changed or hidden stays so, and what they print or hand to ``logging``
is printed and handed over as before; our handler knows what is on the road already. Reached is every logger, however
it was configured, cached or wrapped, whose class takes ``_process_event`` from structlog, as it advises.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from types import FunctionType
from typing import Any

from clusterlog.context.patching import Patch
from clusterlog.encode.console.screen import shown_already
from clusterlog.integrations.instrumentation import Instrumentation
from clusterlog.record.slot import slot

_LEVELS = {"debug": 10, "info": 20, "msg": 20, "warn": 30, "warning": 30, "error": 40, "err": 40, "failure": 40}
_LEVELS |= {"exception": 40, "critical": 50, "fatal": 50}
_ADDED = frozenset({"level", "level_number", "log_level", "logger", "timestamp"})
"""What structlog's own processors add, and an event tells in places of its own."""


def install() -> None:
    """Take the events of structlog, now or as soon as it is imported. Idempotent."""
    _PATCH.install()


def remove() -> None:
    """Leave structlog as it was. Idempotent."""
    _PATCH.remove()


def put_into_all() -> Instrumentation:
    """Take the events of every logger of structlog."""
    install()
    return Instrumentation("structlog", remove)


def _processing(patch: Patch) -> Any:
    original = patch.original

    def _process_event(self: Any, method_name: str, event: Any, event_kw: dict[str, Any]) -> Any:
        taken = _Taken(self, event, event_kw) if patch.on and _concerns_us(self) else None
        if taken is None:
            return original(self, method_name, event, event_kw)
        try:
            rendered = original(taken.logger_for(self), method_name, event, event_kw)
        except Exception:  # what cannot be rendered is not lost for that; DropEvent is none of these
            taken.say(method_name)
            raise
        return taken.said(method_name, rendered)

    return wraps(original)(_unseen(_process_event))


def _unseen(function: Any) -> Callable[..., Any]:
    """The same function as if it were structlog's: who made a call is, to its processors, the first frame beyond it."""
    seen_as = {**function.__globals__, "__name__": "structlog._base"}
    return FunctionType(function.__code__, seen_as, function.__name__, None, function.__closure__)


def _concerns_us(logger: Any) -> bool:
    """Whether there is a road and a chain; our own native logger says by itself what its chain has made."""
    native = sys.modules.get("clusterlog.record.logger")
    ours = native is not None and isinstance(logger, native.BoundLogger)
    return slot.road is not None and bool(logger._processors) and not ours


class _Taken:
    """One event on its way through a chain. As the last processor but one it remembers what the renderer will get."""

    __slots__ = ("event", "failure", "given", "logger", "own")

    def __init__(self, bound: Any, event: Any, event_kw: Mapping[str, Any]) -> None:
        from clusterlog.record.failure import exception_of

        self.given = event
        self.logger = bound._logger
        self.own = {*bound._context, *event_kw}
        # Asked for now: later a processor may have made text of it.
        self.failure = exception_of(event_kw.get("exc_info", bound._context.get("exc_info")))
        self.event: dict[str, Any] | None = None

    def __call__(self, logger: Any, method_name: str, event_dict: Any) -> Any:
        self.event = dict(event_dict) if isinstance(event_dict, Mapping) else None
        return event_dict

    def logger_for(self, bound: Any) -> Any:
        """The bound logger with this one in its chain."""
        made = object.__new__(type(bound))
        vars(made).update(vars(bound))
        processors = tuple(bound._processors)
        made._processors = (*processors[:-1], self, processors[-1])
        return made

    def said(self, method_name: str, rendered: Any) -> Any:
        """Put it on the road; what was rendered, marked if our handler may meet it again."""
        from logging import Logger

        if not isinstance(self.logger, Logger):
            self.say(method_name)
            return rendered
        if not self.logger.isEnabledFor(_LEVELS.get(method_name, 20)):
            return rendered
        marked = _marked(rendered)
        # Of what cannot be marked our handler makes an event.
        return marked if marked is not None and self.say(method_name) else rendered

    def say(self, method_name: str) -> bool:
        """Whether it is on the road. Nothing that goes wrong here is the application's."""
        try:
            road = slot.road
            if road is None or self.event is None:
                return False
            with shown_already():  # by the application's own renderer
                road.line(_LEVELS.get(method_name, 20), self._name(), *self._words())
        except Exception:
            return False
        return True

    def _name(self) -> str:
        added = None if self.event is None or "logger" in self.own else self.event.get("logger")
        for name in (added, getattr(self.logger, "name", None)):
            if isinstance(name, str):
                return name
        return "structlog"

    def _words(self) -> tuple[Any, tuple[Any, ...], dict[str, Any], BaseException | None, str | None]:
        """Event, arguments, fields, exception and stack, each where the road has it."""
        from clusterlog.record.failure import exception_of

        own = self.own
        fields = {name: value for name, value in (self.event or {}).items() if name in own or name not in _ADDED}
        failure = exception_of(fields.pop("exc_info", None)) or self.failure
        if failure is not None and "exception" not in own:
            fields.pop("exception", None)
        fields.pop("stack_info", None)
        stack = fields.pop("stack", None) if "stack" not in own else None
        args = fields.pop("positional_args", ())
        event = fields.pop("event", None)
        if event is None:  # EventRenamer
            renamed = [name for name in fields if name not in own and fields[name] is self.given]
            event = fields.pop(renamed[0]) if renamed else fields.pop("message", fields.pop("msg", ""))
        return event, args if type(args) is tuple else (args,), fields, failure, stack if type(stack) is str else None


def _marked(rendered: Any) -> Any:
    """What a chain returned for a standard logger, its message marked as told; None if that cannot be done."""
    from clusterlog.record.stdlib import Told, ToldFields

    args, keywords = rendered
    message = args[0] if args else keywords.get("msg")
    marked: Any = None
    if type(message) is str:
        marked = Told(message)
    elif type(message) is dict:
        marked = ToldFields(message)
    if marked is None:
        return None
    return ((marked, *args[1:]), keywords) if args else (args, {**keywords, "msg": marked})


_PATCH = Patch("structlog._base:BoundLoggerBase._process_event", _processing)
