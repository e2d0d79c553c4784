"""How far each file was ingested: ``run/ingested.json``.

A bookmark is written after the segments it speaks of are on disk, so it never says too much. Losing the file costs time
alone: the lines are read again, and the store knows their ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

from clusterlog.ship.acknowledged import replace as replace_file

SAVE_S = 1.0
RESERVED = 64
"""Numbers of segments that are set aside at once."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """One file: all of it before ``offset`` (of what is unpacked) is ingested.

    ``first`` and ``tail`` are digests of its first line and of the last bytes before the offset, by which it is known
    again under another name. ``lines`` were read and gave ``events``; ``number`` is the last sequence that was given;
    ``written`` the segment that was the last one then, ``segment`` the greatest number one may have. ``time`` is that
    of the last line that told one. ``unended``: the last line had no end of line yet.
    """

    instance: str
    path: str = ""
    first: str = ""
    tail: str = ""
    offset: int = 0
    lines: int = 0
    events: int = 0
    number: int = 0
    written: int = 0
    segment: int = 0
    time: str = ""
    unended: bool = False


@dataclass(slots=True)
class Bookmarks:
    """The bookmarks of a home, by instance."""

    path: Path
    known: dict[str, Bookmark] = field(default_factory=dict)
    clock: Callable[[], float] = monotonic
    _saved_at: float = 0.0
    _dirty: bool = False

    @classmethod
    def load(cls, home: Path) -> Bookmarks:
        """Read the file; an absent or damaged one is an empty one."""
        found = cls(home / "run" / "ingested.json")
        try:
            told: Any = json.loads(found.path.read_bytes())
            marks = [Bookmark(**each) for each in told["files"]]
        except (OSError, ValueError, TypeError, KeyError):
            return found
        found.known = {mark.instance: mark for mark in marks}
        return found

    def of(self, instance: str) -> Bookmark:
        """The bookmark of an instance; a fresh one where there is none."""
        return self.known.get(instance) or Bookmark(instance)

    def like(self, first: str) -> list[Bookmark]:
        """The bookmarks of files that began with this line, the one that is furthest first."""
        found = [mark for mark in self.known.values() if mark.first == first and mark.offset]
        return sorted(found, key=lambda mark: -mark.offset)

    def keep(self, mark: Bookmark) -> None:
        """Remember, and write it down unless that was done a moment ago. Raises OSError."""
        self.known[mark.instance] = mark
        self._dirty = True
        if self.clock() - self._saved_at >= SAVE_S:
            self.save()

    def reserve(self, instance: str) -> int:
        """Say that segments of the next numbers may soon be there, and give the first of them. Raises OSError.

        A number is never used twice, whoever is killed when: a shipper may just have read a segment of that number.
        """
        mark = self.of(instance)
        self.known[instance] = replace(mark, segment=mark.segment + RESERVED)
        self._dirty = True
        self.save()
        return mark.segment + 1

    def save(self) -> None:
        """Replace the file durably. Raises OSError."""
        if not self._dirty:
            return
        told = {"format": 1, "files": [asdict(mark) for mark in self.known.values()]}
        replace_file(self.path, json.dumps(told).encode())
        self._saved_at, self._dirty = self.clock(), False
