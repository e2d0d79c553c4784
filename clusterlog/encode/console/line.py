"""One event as the line a person reads while developing, as pieces of text and the ink of each."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from clusterlog.encode.console import frames
from clusterlog.encode.console.terminal import columns, escaped
from clusterlog.encode.console.wording import LETTERS, fields, spoken

Piece = tuple[str, str]
"""Text, and the name of its ink: a level's letter, ``id0`` … ``id5``, ``time``, ``raised``, ``dim`` …"""

_HUES = 6
_IDENTIFIER = 8
_WIDEST_LOGGER = 24
_INDENT = " " * 4
_SHOWN_FRAMES = 20
"""Own frames of one exception; of a deeper recursion the ends are shown."""


class Lines:
    """Turns documents into lines; columns grow with what they have seen. ``directory`` is what paths are told from."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._logger = 8
        self._requests = False

    def of(self, document: Mapping[str, Any], wall_ns: int) -> list[list[Piece]]:
        """The lines of one event: one, and those of its exception below; none for state events."""
        event = _part(document, "event")
        if event.get("kind") == "state":
            return []
        first = [self._time(wall_ns), (" ", ""), *self._head(document), *_told(document, event)]
        return [first, *self._exception(_part(document, "error"))]

    def _time(self, wall_ns: int) -> Piece:
        seconds, fraction = divmod(wall_ns, 1_000_000_000)
        return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{fraction // 1_000_000:03d}", "time"

    def _head(self, document: Mapping[str, Any]) -> Iterator[Piece]:
        log = _part(document, "log")
        letter = LETTERS.get(str(log.get("level", "")).lower(), "-")
        yield f"{letter} ", letter
        request = str(_part(_part(document, "http"), "request").get("id") or "")
        self._requests = self._requests or bool(request)
        if self._requests:  # a program without requests has no column for them
            yield escaped(request)[-_IDENTIFIER:].ljust(_IDENTIFIER), _hue(request)
            yield "  ", ""
        logger = escaped(str(log.get("logger") or "-"))
        self._logger = max(self._logger, min(columns(logger), _WIDEST_LOGGER))
        yield logger + " " * (self._logger - columns(logger)), "logger"
        yield "  ", ""

    def _exception(self, error: Mapping[str, Any]) -> Iterator[list[Piece]]:
        trace = error.get("stack_trace")
        if not isinstance(trace, str) or not trace:
            return
        raised = frames.read(trace)
        if not raised:
            for line in trace.rstrip("\n").split("\n"):
                yield [(_INDENT + escaped(line), "dim")]
        for each in raised:
            related = f"{each.relation} " if each.relation else ""
            for number, line in enumerate(each.text.split("\n")):
                yield [
                    (_INDENT, ""),
                    ("" if number else related, "dim"),
                    (escaped(line), "dim" if related else "raised"),
                ]
            for frame in frames.ends(list(frames.folded(each.frames)), _SHOWN_FRAMES):
                yield from self._frame(frame)

    def _frame(self, frame: frames.Frame | frames.Skipped) -> Iterator[list[Piece]]:
        if isinstance(frame, frames.Skipped):
            yield [(f"{_INDENT}  … {escaped(frame.said)}", "dim")]
            return
        place = escaped(frames.place(frame, self._directory))
        yield [(f"{_INDENT}  {place}", "dim" if frame.library else "frame")]
        for line in frame.source if not frame.library else ():
            yield [(f"{_INDENT}    {escaped(line)}", "source")]


def _told(document: Mapping[str, Any], event: Mapping[str, Any]) -> Iterator[Piece]:
    """The message, how long it took, the caller's own fields."""
    log = _part(document, "log")
    letter = LETTERS.get(str(log.get("level", "")).lower(), "-")
    yield escaped(str(document.get("message") or "")), letter if letter in "DWEC" else ""
    duration = event.get("duration")
    if isinstance(duration, int):
        yield f"  {spoken(duration)}", "dim"
    for name, value in fields(_part(document, "labels")):
        yield f"  {escaped(name)}=", "key"
        yield escaped(value), ""
    error = _part(document, "error")
    if error and not error.get("stack_trace"):
        yield "  " + escaped(": ".join(str(error[key]) for key in ("type", "message") if error.get(key))), "raised"


def _hue(request: str) -> str:
    """One of six: neighbouring requests can be told apart, and one request keeps its own."""
    return f"id{zlib.crc32(request.encode('utf-8', 'replace')) % _HUES}" if request else ""


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}
