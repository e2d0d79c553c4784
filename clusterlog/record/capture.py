"""What nobody catches: warnings, and exceptions that end a program, a thread, a task or a finaliser.

Each hook puts its event on the road and then calls the hook that was there before, so that nothing disappears from
the developer's terminal.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

from clusterlog.record.slot import slot

_before: dict[str, Any] = {}


def install() -> None:
    """Put the hooks in place. Idempotent."""
    if _before:
        return
    _before.update(
        excepthook=sys.excepthook,
        threadhook=threading.excepthook,
        unraisablehook=sys.unraisablehook,
        showwarning=warnings.showwarning,
    )
    sys.excepthook = _uncaught
    threading.excepthook = _in_thread
    sys.unraisablehook = _unraisable
    warnings.showwarning = _warned


def remove() -> None:
    """Take the hooks away where they are still ours."""
    if not _before:
        return
    if sys.excepthook is _uncaught:
        sys.excepthook = _before["excepthook"]
    if threading.excepthook is _in_thread:
        threading.excepthook = _before["threadhook"]
    if sys.unraisablehook is _unraisable:
        sys.unraisablehook = _before["unraisablehook"]
    if warnings.showwarning is _warned:
        warnings.showwarning = _before["showwarning"]
    _before.clear()


def _say(level: int, logger: str, event: str, fields: dict[str, Any], failure: BaseException | None = None) -> None:
    road = slot.road
    if road is not None and logging.getLogger(logger).isEnabledFor(level):
        road.line(level, logger, event, (), fields, failure)


def _previous(name: str, default: Callable[..., Any]) -> Callable[..., Any]:
    hook: Callable[..., Any] = _before.get(name, default)
    return hook


def _uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if isinstance(error, Exception):
        _say(logging.CRITICAL, "clusterlog.uncaught", "uncaught exception", {}, error)
    _previous("excepthook", sys.__excepthook__)(kind, error, trace)


def _in_thread(args: Any) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread is not None else ""
        _say(logging.CRITICAL, "clusterlog.uncaught", "uncaught exception in thread", {"thread": name}, args.exc_value)
    _previous("threadhook", threading.__excepthook__)(args)


def _unraisable(args: Any) -> None:
    if args.exc_value is not None:
        _say(logging.ERROR, "clusterlog.uncaught", "unraisable exception", {"in": repr(args.object)[:200]}, args.exc_value)
    _previous("unraisablehook", sys.__unraisablehook__)(args)


def _warned(message: Any, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
    if file is None:
        fields = {"category": category.__name__, "filename": filename, "lineno": lineno}
        _say(logging.WARNING, "py.warnings", str(message), fields)
    _previous("showwarning", lambda *args: None)(message, category, filename, lineno, file, line)
