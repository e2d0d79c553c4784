"""structlog where it prints: events that never pass the standard library, taken before the program renders them."""

from __future__ import annotations

from functools import wraps
from types import SimpleNamespace
from typing import Any

from clusterlog.context.patching import Patch
from clusterlog.record.slot import slot

_LEVELS = {"debug": 10, "info": 20, "msg": 20, "warn": 30, "warning": 30, "error": 40, "err": 40, "failure": 40}
_LEVELS |= {"exception": 40, "critical": 50, "fatal": 50}
_ADDED = frozenset({"level", "log_level", "logger", "timestamp"})
"""What structlog's own processors add, and an event tells in places of its own."""


def install() -> None:
    """Take what structlog prints from here on; what it hands to ``logging`` is met there."""
    _PATCH.install()


def _processing(patch: Patch) -> Any:
    original = patch.original

    @wraps(original)
    def _process_event(self: Any, method_name: str, event: Any, event_kw: dict[str, Any]) -> Any:
        processors = tuple(self._processors)
        if not patch.on or not processors or _is_standard(self._logger):
            return original(self, method_name, event, event_kw)

        def take(logger: Any, name: str, told: Any) -> Any:
            _take(logger, name, told, {*self._context, *event_kw})
            return told

        # Before the last processor, which renders: what the program's others have added, changed or hidden stays so.
        chain = (*processors[:-1], take, processors[-1])
        stand_in = SimpleNamespace(_logger=self._logger, _processors=chain, _context=self._context)
        return original(stand_in, method_name, event, event_kw)

    return _process_event


def _is_standard(logger: Any) -> bool:
    import logging

    return isinstance(logger, logging.Logger)


def _take(logger: Any, method_name: str, told: Any, own: set[str]) -> None:
    """Put one event dictionary on the road; nothing that goes wrong here is the program's."""
    from clusterlog.record.failure import exception_of

    road = slot.road
    if road is None or type(told) is not dict:
        return
    try:
        fields = {name: value for name, value in told.items() if name in own or name not in _ADDED}
        failure = exception_of(fields.pop("exc_info", None))
        name = told.get("logger") or getattr(logger, "name", None)
        name = name if isinstance(name, str) else "structlog"
        road.line(_LEVELS.get(method_name, 20), name, fields.pop("event", ""), (), fields, failure)
    except Exception:
        return


_PATCH = Patch("structlog._base:BoundLoggerBase._process_event", _processing)
