"""How standard logging is set up in this process, and what of it would double or swallow lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from clusterlog.cli.setup.doctor.finding import Finding
from clusterlog.record.stdlib import RecordHandler
from clusterlog.start import Handler, attached, settings_in_force

_SHOWN = 5


def examine() -> Iterator[Finding]:
    """What the application's configuration has left standing; called after the application was imported."""
    root = logging.getLogger()
    ours = [handler for handler in root.handlers if isinstance(handler, RecordHandler)]
    if settings_in_force() is None:
        mend = 'call clusterlog.start("name") where the application is made, or run it by `clusterlog run -- CMD`'
        yield Finding("start", "problem", "the application was imported, and start() was not called", mend)
        return
    yield Finding("start", "ok", "start() was called, or clusterlog.Handler configured")
    yield from _doubled(root, ours)
    yield from _root(root, ours)
    yield from _others(root)


def _doubled(root: logging.Logger, ours: list[RecordHandler]) -> Iterator[Finding]:
    mend = "keep one: start() adds its own only where no clusterlog.Handler is configured before it"
    if len(ours) > 1:
        yield Finding("handlers", "problem", f"the root logger has clusterlog's handler {len(ours)} times", mend)
    for logger in _loggers():
        mine = any(isinstance(handler, Handler) for handler in logger.handlers)
        if mine and ours and _reaches(logger, root):
            text = f"{logger.name} and the root logger both have clusterlog's handler: its lines are stored twice"
            yield Finding("handlers", "problem", text, f'take it off {logger.name}, or set "propagate": False there')


def _root(root: logging.Logger, ours: list[RecordHandler]) -> Iterator[Finding]:
    if not ours:
        there = ", ".join(type(handler).__name__ for handler in root.handlers) or "none"
        if attached():
            text = f"clusterlog's handler was removed after start(); the root logger's handlers are: {there}"
            mend = "call start() after dictConfig() and basicConfig(force=True), or configure clusterlog.dict_config()"
        else:
            text = f"the root logger has no handler of clusterlog; it has: {there}"
            mend = 'add {"class": "clusterlog.Handler"} to its handlers, or call clusterlog.start()'
        yield Finding("root logger", "problem", text, mend)
    elif root.disabled or logging.root.manager.disable >= logging.INFO:
        by = "disabled" if root.disabled else f"silenced by logging.disable({logging.root.manager.disable})"
        yield Finding("root logger", "problem", f"it is {by}", "take that out, or call logging.disable(logging.NOTSET)")
    elif (settings := settings_in_force()) is not None and root.level > logging.getLevelName(settings.level):
        text = f"its level is {logging.getLevelName(root.level)}, and the setting level is {settings.level}"
        yield Finding("root logger", "warning", text, "somebody raised it after start(): set level instead")
    else:
        yield Finding("root logger", "ok", f"level {logging.getLevelName(root.level)}, one handler of clusterlog")


def _others(root: logging.Logger) -> Iterator[Finding]:
    disabled = [logger.name for logger in _loggers() if logger.disabled]
    if disabled:
        mend = 'put "disable_existing_loggers": False into the dictConfig (its default is True)'
        yield Finding("loggers", "problem", f"disabled: {_listed(disabled)}", mend)
    deaf = [
        logger.name
        for logger in _loggers()
        if not logger.propagate
        and not logger.name.endswith(".access")
        and not _reaches(logger, root)
        and not _heard(logger)
    ]
    if deaf:
        mend = 'set "propagate": True, or give them clusterlog.Handler as well'
        yield Finding("loggers", "warning", f"they keep their lines to themselves: {_listed(deaf)}", mend)
    if not disabled and not deaf:
        yield Finding("loggers", "ok", "none is disabled or cut off")


def _heard(logger: logging.Logger) -> bool:
    current: logging.Logger | None = logger
    while current is not None:
        if any(isinstance(handler, RecordHandler) for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


def _reaches(logger: logging.Logger, root: logging.Logger) -> bool:
    while logger is not root:
        if not logger.propagate or logger.parent is None:
            return False
        logger = logger.parent
    return True


def _loggers() -> list[logging.Logger]:
    found = logging.root.manager.loggerDict.items()
    return [logger for _, logger in sorted(found) if isinstance(logger, logging.Logger)]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
