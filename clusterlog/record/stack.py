"""A traceback as text, at a fraction of the standard library's price and to the byte the same.

What one frame looks like depends only on its code and the instruction it stands at. The standard library draws each
such place once, carets included; from then on it is a look-up.
"""

from __future__ import annotations

import itertools
import linecache
import os
import sys
import traceback
from types import CodeType, TracebackType
from typing import Any

from clusterlog.record.redact import Redactor

CACHED_PLACES = 4096
FRAMES = 20_000
"""Of a deeper stack so many frames are read, half of them at each end."""

_SHOWN_REPEATS = 3  # as in the traceback module
_UNNAMED = frozenset({"<locals>", "<listcomp>", "<dictcomp>", "<setcomp>"})
_INSTALLED = os.path.join(sys.prefix, "bin", "")
_PYTHON = tuple(os.path.join(os.path.dirname(path), "") for path in (os.__file__, os.path.dirname(__file__)))


class Place:
    """One instruction of one code object.

    ``text`` is how a traceback shows it; ``mark`` names it without path and line (``orders.stock:reserve``); ``owner``
    is 2 in the application's own code, 1 in an installed package, 0 where a name says nothing: in Python, in clusterlog
    itself. The code object is held so that its id, which is the key, cannot become another's.
    """

    __slots__ = ("code", "line", "mark", "owner", "redacted", "text")

    def __init__(self, code: CodeType, line: int, text: str, mark: str, owner: int) -> None:
        self.code = code
        self.line = line
        self.text = text
        self.mark = mark
        self.owner = owner
        self.redacted: tuple[Redactor | None, str] = (None, text)

    def same_function(self, other: Place) -> bool:
        """Whether a traceback would say that both are in the same function."""
        return self.code.co_name == other.code.co_name and self.code.co_filename == other.code.co_filename


_places: dict[tuple[int, int], Place] = {}


def places(tb: TracebackType | None) -> tuple[list[Place], int]:
    """The places of a traceback, outermost first, and how many were left out of the middle."""
    found: list[Place] = []
    known = _places.get
    while tb is not None:
        code = tb.tb_frame.f_code
        place = known((id(code), tb.tb_lasti))
        found.append(place if place is not None else _learn(tb))
        if len(found) >= FRAMES:
            return _both_ends(found, tb.tb_next)
        tb = tb.tb_next
    return found, 0


def _both_ends(found: list[Place], tb: TracebackType | None) -> tuple[list[Place], int]:
    rest: list[TracebackType] = []
    while tb is not None:
        rest.append(tb)
        tb = tb.tb_next
    half = FRAMES // 2
    left_out = max(0, len(rest) - half)
    tail = [_places.get((id(tb.tb_frame.f_code), tb.tb_lasti)) or _learn(tb) for tb in rest[left_out:]]
    if len(rest) <= half:
        return found + tail, 0
    return found[:half] + tail, left_out + FRAMES - half


def draw(found: list[Place], left_out: int, redactor: Redactor | None) -> list[str]:
    """The lines of a traceback under its heading, repetitions folded as the traceback module folds them."""
    drawn: list[str] = []
    last: Place | None = None
    count = 0
    gap = FRAMES // 2 if left_out else -1
    for number, place in enumerate(found):
        if number == gap:
            drawn.append(f"  [{left_out} frames left out]\n")
        if place is not last and (last is None or place.line != last.line or not place.same_function(last)):
            if count > _SHOWN_REPEATS:
                drawn.append(_folded(count))
            last, count = place, 0
        count += 1
        if count <= _SHOWN_REPEATS:
            by, text = place.redacted
            drawn.append(text if by is redactor else _redacted(place, redactor))
    if count > _SHOWN_REPEATS:
        drawn.append(_folded(count))
    return drawn


def _folded(count: int) -> str:
    more = count - _SHOWN_REPEATS
    return f"  [Previous line repeated {more} more time{'s' if more > 1 else ''}]\n"


def _redacted(place: Place, redactor: Redactor | None) -> str:
    text = place.text if redactor is None else redactor.source(place.text)
    place.redacted = (redactor, text)
    return text


def _learn(tb: TracebackType) -> Place:
    """Draw a place for the first time, and remember it if it can be told by its key alone."""
    frame = tb.tb_frame
    code = frame.f_code
    position: tuple[int | None, ...] = (None, None, None, None)
    if tb.tb_lasti >= 0:
        position = next(itertools.islice(code.co_positions(), tb.tb_lasti // 2, None), position)
    line = position[0] if position[0] is not None else tb.tb_lineno
    mark, owner = _mark(code, frame.f_globals)
    place = Place(code, line, _drawn(code, line, position, frame.f_globals), mark, owner)
    if position[0] is not None:
        if len(_places) >= CACHED_PLACES:
            _places.clear()
        _places[id(code), tb.tb_lasti] = place
    return place


def _drawn(code: CodeType, line: int, position: tuple[int | None, ...], module: dict[str, Any]) -> str:
    try:
        linecache.lazycache(code.co_filename, module)
        linecache.checkcache(code.co_filename)
        _, end_line, column, end_column = position
        summary = traceback.FrameSummary(
            code.co_filename, line, code.co_name, end_lineno=end_line, colno=column, end_colno=end_column
        )
        return traceback.StackSummary().format_frame_summary(summary)
    except Exception:  # a loader that fails, or a source that is no longer the one that runs
        return f'  File "{code.co_filename}", line {line}, in {code.co_name}\n'


def _mark(code: CodeType, module: dict[str, Any]) -> tuple[str, int]:
    """A name that outlives moves of the installation, edits above the line and new minor versions of Python.

    Comprehensions lost their frames and their part of the qualified name in Python 3.12, so that both are ignored.
    """
    path = code.co_filename
    name = module.get("__name__")
    if type(name) is not str or name == "__main__":
        name = os.path.splitext(os.path.basename(path))[0]
    function = ".".join(part for part in code.co_qualname.split(".") if part not in _UNNAMED)
    mark = f"{name}:{function}"
    if code.co_name in _UNNAMED:
        return mark, 0
    if path.startswith(_INSTALLED) or "site-packages" in path or "dist-packages" in path:
        return mark, 1
    return mark, 0 if path.startswith((*_PYTHON, "<frozen ")) else 2
