"""Lines below their logger's level that some requests say all the same: asked for only while somebody may answer.

Levels are the library's own business, and a dropped line costs what it costs there. Where rules are about single
requests, or a recorder keeps what they do not say, the methods that decide are exchanged for others that look at the
request as well, and put back when nobody is left to ask. What a scope is found to be is noted on it: the next line of
a request that nobody means costs one look at a context variable more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from types import CodeType, FunctionType
from typing import Any

from clusterlog.context.patching import Patch
from clusterlog.context.request import Scope, current
from clusterlog.record.failure import raised_by_signal

Admits = Callable[[Scope, int, logging.Logger], bool | None]
"""Whether a line of that level is said in that scope, though its logger is above it; ``None``: in it none ever is."""

here = current.get
nobody: object = object()
"""What is noted on a scope of which no line needs to be looked at; another object as soon as that may have changed."""

capped: set[str] = set()
"""Loggers of clients that are instrumented: their call events say more than what they say below WARNING."""

_asked: tuple[Admits, ...] = ()
_exchanged: list[tuple[FunctionType, CodeType, CodeType]] = []


def exchange(plain: Any, asking: Any) -> None:
    """Have the function ``plain`` do what ``asking`` does, for as long as there is somebody to ask.

    Both are of one module, with the same free variables. It is the code that is exchanged, not the attribute: a
    method that somebody has taken from its logger long ago (``debug = log.debug``) asks as well.
    """
    _exchanged.append((plain, plain.__code__, asking.__code__))
    if _asked:
        plain.__code__ = asking.__code__


def ask(admits: Admits) -> None:
    """Ask ``admits`` about lines that are below their logger's level, from here on; a fault of its counts as no."""
    global _asked
    if admits not in _asked:
        _asked = (*_asked, admits)
        forget()
        _turn(True)


def ask_no_more(admits: Admits) -> None:
    """Take ``ask`` back; with the last one every method is as before."""
    global _asked
    if admits in _asked:
        _asked = tuple(each for each in _asked if each != admits)
        forget()
        _turn(bool(_asked))


def _turn(on: bool) -> None:
    if on:
        _patch.install()
    else:
        _patch.remove()
    for function, plain, asking in _exchanged:
        function.__code__ = asking if on else plain


def forget() -> None:
    """What was found out about scopes may be wrong by now: look at each of them again."""
    global nobody
    nobody = object()


def admitted(scope: Scope, level: int, logger: logging.Logger) -> bool:
    """Whether somebody wants that line of that scope."""
    mine = nobody
    spared = True
    for admits in _asked:
        try:
            answer = admits(scope, level, logger)
        except Exception as error:
            if raised_by_signal(error):
                raise
            answer = False
        if answer:
            return True
        spared = spared and answer is None
    if spared:
        scope.spared = mine
    return False


def admitted_beside(mine: Admits, scope: Scope, level: int, logger: logging.Logger) -> bool:
    """Whether anybody but ``mine`` wants that line of that scope."""
    return any(admits(scope, level, logger) for admits in _asked if admits != mine)


def _enabled(patch: Patch) -> Any:
    original = patch.original

    @wraps(original)
    def isEnabledFor(self: Any, level: int) -> bool:  # noqa: N802 - the standard library's name
        if self.disabled:
            return False
        try:
            if self._cache[level]:
                return True
        except KeyError:
            if original(self, level):
                return True
        scope = here()
        if scope is None or scope.spared is nobody:
            return False
        return admitted(scope, level, self)

    return isEnabledFor


_patch = Patch("logging:Logger.isEnabledFor", _enabled)
