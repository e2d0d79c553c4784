"""What nobody logs: warnings, and exceptions that end a program, a thread, a task or a finaliser.

Each hook puts its event on the road and then calls the hook that was there before, so that nothing disappears from
the developer's terminal. Where that one says it by standard logging, it is not heard a second time.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextvars import Context
from functools import wraps
from typing import Any

from clusterlog.context.patching import Patch
from clusterlog.context.request import current
from clusterlog.record.slot import slot
from clusterlog.record.stdlib import told

UNCAUGHT = "clusterlog.uncaught"
WARNINGS = "py.warnings"
LOOP = "asyncio"
"""Loggers whose levels decide; the last two are those of the standard library."""

_LEAVING = (KeyboardInterrupt, SystemExit)
_TEXTS = frozenset({"message", "exception", "source_traceback", "handle_traceback"})


def install() -> None:
    """Put the hooks in place. Idempotent."""
    for patch in _PATCHES:
        patch.install()


def remove() -> None:
    """Take the hooks away, and silence one that somebody has put a hook of theirs around. Idempotent."""
    for patch in _PATCHES:
        patch.remove()


def installed() -> tuple[str, ...]:
    """The hooks that are in place, by name."""
    return tuple(patch.target for patch in _PATCHES if patch.on)


def _say(level: int, logger: str, event: str, fields: Mapping[str, Any], failure: BaseException | None = None) -> bool:
    """Put it on the road; whether it is there. Never raises: a hook is the last who could."""
    road = slot.road
    try:
        if road is None or not logging.getLogger(logger).isEnabledFor(level):
            return False
        road.line(level, logger, event, (), dict(fields), failure)
    except Exception:
        return False
    return True


def _main(patch: Patch) -> Any:
    """``sys.excepthook``: what ends the program."""
    original = patch.original

    @wraps(original)
    def excepthook(kind: Any, error: Any, trace: Any) -> None:
        if patch.on and not isinstance(error, _LEAVING):
            _say(logging.CRITICAL, UNCAUGHT, "uncaught exception", {}, _raised(kind, error))
        original(kind, error, trace)

    return excepthook


def _thread(patch: Patch) -> Any:
    """``threading.excepthook``: what ends a thread."""
    original = patch.original

    @wraps(original)
    def excepthook(args: Any, /) -> None:
        if patch.on and not issubclass(args.exc_type, _LEAVING):
            fields = {} if args.thread is None else {"thread": args.thread.name}
            failure = _raised(args.exc_type, args.exc_value)
            _say(logging.CRITICAL, UNCAUGHT, "uncaught exception in thread", fields, failure)
        original(args)

    return excepthook


def _finaliser(patch: Patch) -> Any:
    """``sys.unraisablehook``: what Python can only print, mostly out of ``__del__``."""
    original = patch.original

    @wraps(original)
    def unraisablehook(args: Any, /) -> None:
        if patch.on:
            failure = _raised(args.exc_type, args.exc_value)
            _say(logging.ERROR, UNCAUGHT, args.err_msg or "exception ignored", {"in": args.object}, failure)
        original(args)

    return unraisablehook


def _raised(kind: Any, error: Any) -> BaseException | None:
    """The exception; the interpreter may hand over its class alone."""
    if isinstance(error, BaseException):
        return error
    try:
        made = kind()
    except Exception:
        return None
    return made if isinstance(made, BaseException) else None


def _warning(patch: Patch) -> Any:
    """``warnings._showwarnmsg``, which Python calls to have a warning shown, however it is shown then.

    ``warnings.showwarning`` would not do: whoever replaces it takes the object that a ResourceWarning is about away
    from the terminal, and is called for some warnings twice and for others never.
    """
    original = patch.original

    @wraps(original)
    def showwarnmsg(message: Any) -> None:
        if not patch.on or _recorded() or not _warned(message):
            original(message)
            return
        with told(WARNINGS):  # logging.captureWarnings
            original(message)

    return showwarnmsg


def _recorded() -> bool:
    """Whether the warning is only put on a list: ``catch_warnings(record=True)``, as test suites do."""
    module = vars(sys.modules["warnings"])
    if module.get("showwarning") is not module.get("_showwarning_orig"):
        return False  # somebody shows them in a way of their own
    return getattr(module.get("_showwarnmsg_impl"), "__name__", "") == "append"


def _warned(message: Any) -> bool:
    try:
        fields = {"category": message.category.__name__, "filename": message.filename, "lineno": message.lineno}
        return _say(logging.WARNING, WARNINGS, str(message.message), fields)
    except Exception:
        return False


def _loop(patch: Patch) -> Any:
    """The handler that every loop of asyncio has unless it is given another one; what is given may call it."""
    original = patch.original

    @wraps(original)
    def default_exception_handler(self: Any, context: Any) -> None:
        if not patch.on or not _failed(context):
            original(self, context)
            return
        with told(LOOP):
            original(self, context)

    return default_exception_handler


def _failed(context: Any) -> bool:
    try:
        fields = {name: value for name, value in context.items() if name not in _TEXTS}
        message = context.get("message") or "Unhandled exception in event loop"
        home = _context(context)
        token = None if home is None else current.set(home.get(current))
        try:
            return _say(logging.ERROR, LOOP, str(message), fields, context.get("exception"))
        finally:
            if token is not None:
                current.reset(token)
    except Exception:
        return False


def _context(context: Mapping[str, Any]) -> Context | None:
    """The context of the task or callback that failed; an empty one where it is not known, None if it is the present.

    A task whose exception nobody has asked for is noticed when it is collected as garbage, and that may happen
    while another request is being served.
    """
    handle = context.get("handle")
    if handle is not None:
        found = getattr(handle, "_context", None)
        return found if isinstance(found, Context) else Context()
    task = context.get("task") or context.get("future")
    if task is None:
        return None
    ask = getattr(task, "get_context", None)
    if ask is not None:  # Python 3.12
        found = ask()
        return found if isinstance(found, Context) else Context()
    from gc import get_referents

    return next((each for each in get_referents(task) if isinstance(each, Context)), Context())


_PATCHES = (
    Patch("sys:excepthook", _main),
    Patch("threading:excepthook", _thread),
    Patch("sys:unraisablehook", _finaliser),
    Patch("warnings:_showwarnmsg", _warning),
    Patch("asyncio.base_events:BaseEventLoop.default_exception_handler", _loop),
)
