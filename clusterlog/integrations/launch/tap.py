"""Every log record on its way to its handlers, wherever they are and however often they are configured anew.

A handler on the root logger would not do: every ``dictConfig`` takes it away, loggers that do not propagate never reach
it, and with it there ``basicConfig`` and the handler of last resort, which count the handlers there are, stay silent.
So the records are taken where the library hands them out, and no list of handlers is touched. Lines that only pass
because a level was lowered here do not appear on the program's own console.
"""

from __future__ import annotations

import sys
from copy import copy
from functools import wraps
from types import ModuleType
from typing import Any

from clusterlog.context.patching import Patch, when_imported
from clusterlog.integrations.launch import arbiter

_ALL = 10
"""DEBUG; ``logging`` may not have been loaded."""
CONSOLE = 30
"""WARNING: the root level of a program that sets none, and so what its own handlers get."""


class Lowered(int):
    """A level that was set here, over ``base``; every other number was set by the program."""

    base: int = 0


_level = "INFO"
_debug: tuple[str, ...] = ()
_ours: Any = None
"""``RecordHandler``, once there is a record to hand to one; importing it is not for nothing."""
_hear: Any = None


def install(level: str, debug: tuple[str, ...] = ()) -> None:
    """Take every record on the road from here on.

    Where the program sets no level, those of ``level`` and above; of the loggers named in ``debug`` all, whatever the
    program sets.
    """
    global _level, _debug
    _level, _debug = level, debug
    _PATCH.install()
    if debug:
        _MADE.install()
        _SET.install()
    when_imported("logging", _lower)


def remove() -> None:
    """Leave the library as it was."""
    for patch in (_PATCH, _MADE, _SET):
        patch.remove()
    logging = sys.modules.get("logging")
    if logging is not None:
        for logger in _made(logging, ("", *_debug)):
            if type(logger.level) is Lowered:
                logger.setLevel(CONSOLE if logger is logging.root else logger.level.base)


def _calling_handlers(patch: Patch) -> Any:
    original = patch.original

    @wraps(original)
    def callHandlers(self: Any, record: Any) -> None:  # noqa: N802 - the standard library's name
        if not patch.on:
            original(self, record)
            return
        if not arbiter.keeps_quiet(record):
            _take(self, record)
        if record.levelno >= CONSOLE or record.levelno >= _level_without_us(self):
            original(self, record)

    return callHandlers


def _making(patch: Patch) -> Any:
    original = patch.original

    @wraps(original)
    def _fixupParents(self: Any, logger: Any) -> None:  # noqa: N802 - the standard library's name
        original(self, logger)
        if patch.on and logger.name in _debug:
            _open_up(logger)

    return _fixupParents


def _setting(patch: Patch) -> Any:
    original = patch.original

    @wraps(original)
    def setLevel(self: Any, level: Any) -> None:  # noqa: N802 - the standard library's name
        original(self, level)
        if patch.on and self.name in _debug:
            _open_up(self)

    return setLevel


_PATCH = Patch("logging:Logger.callHandlers", _calling_handlers)
_MADE = Patch("logging:Manager._fixupParents", _making)
_SET = Patch("logging:Logger.setLevel", _setting)
"""These two wait for loggers that are named in ``debug``: one that was made here would be among those that
``dictConfig`` finds and disables."""


def _lower(logging: ModuleType) -> None:
    wanted = logging.getLevelNamesMapping().get(_level.upper(), logging.INFO)
    if logging.root.level == CONSOLE and wanted < CONSOLE:
        logging.root.setLevel(Lowered(wanted))
    for logger in _made(logging, _debug):
        _open_up(logger)


def _made(logging: ModuleType, names: tuple[str, ...]) -> list[Any]:
    """The loggers of these names that there are."""
    known = {"": logging.root, "root": logging.root, **logging.root.manager.loggerDict}
    return [known[name] for name in names if isinstance(known.get(name), logging.Logger)]


def _open_up(logger: Any) -> None:
    """Have a logger say all; the level the program gave it goes on deciding about the program's own handlers."""
    if type(logger.level) is int and (logger.level == 0 or logger.level > _ALL):
        level = Lowered(_ALL)
        level.base = logger.level
        logger.level = level
        logger.manager._clear_cache()


def _take(logger: Any, record: Any) -> None:
    global _ours, _hear
    if _ours is None:
        from clusterlog.record.stdlib import RecordHandler

        _ours, _hear = RecordHandler, RecordHandler().handle
    if _heard(logger):
        return
    if "color_message" in record.__dict__:  # uvicorn's own, the message once more with the codes of a terminal
        record = copy(record)
        del record.__dict__["color_message"]
    _hear(record)
    arbiter.settle()


def _heard(logger: Any) -> bool:
    """Whether the program has put a handler of clusterlog in the record's way itself."""
    while logger is not None:
        for handler in logger.handlers:
            if isinstance(handler, _ours):
                return True
        logger = logger.parent if logger.propagate else None
    return False


def _level_without_us(logger: Any) -> int:
    """The level in force for the logger as the program has it."""
    while logger is not None:
        level = logger.level
        while type(level) is not int and hasattr(level, "base"):  # set here, or by a rule of the cluster
            level = level.base
        if level:
            return int(level)
        logger = logger.parent
    return CONSOLE
