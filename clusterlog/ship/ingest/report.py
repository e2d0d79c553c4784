"""What became of the lines: for each file, and line by line where one could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class FileReport:
    """What became of one file in one run.

    ``lines`` were there, of which ``skipped`` had been read by an earlier run. ``new`` and ``known`` count events:
    written now, and there already. ``unreadable`` counts lines by reason. ``unfinished`` are the bytes of a last line
    that is still being written; ``problem`` says why nothing, or not all of it, could be read; ``copy_of`` is the file
    under whose numbers it was gone on with.
    """

    path: str
    instance: str = ""
    formats: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    skipped: int = 0
    new: int = 0
    known: int = 0
    empty: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    unfinished: int = 0
    problem: str = ""
    copy_of: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything in the file is an event now."""
        return not self.problem and not self.unreadable


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that is no event: where it is, and why, in one word and for people."""

    path: str
    line: int
    reason: str
    told: str


def nobody(*about: Any) -> None:
    """Nobody asked."""


@dataclass(slots=True)
class Watcher:
    """Who is told what happens while it does.

    ``problem`` hears of lines that cannot be read, ``progress`` of bytes done, bytes in all, and lines.
    ``make_room(reason)`` is called when the spool is full: it makes it emptier, or raises.
    """

    problem: Callable[[Problem], None] = nobody
    progress: Callable[[int, int, int], None] = nobody
    make_room: Callable[[str], None] = nobody
