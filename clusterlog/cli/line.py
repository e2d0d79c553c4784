"""What a line for people is made of: ids, times and fields in short, and text that cannot steer the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterlog.encode.console import wording
from clusterlog.encode.console.terminal import columns, escaped, escaped_json, padded, width_of
from clusterlog.encode.console.wording import LETTERS
from clusterlog.search.story.event import part, text

__all__ = [
    "LETTERS",
    "caret",
    "columns",
    "escaped",
    "escaped_json",
    "fields",
    "letter",
    "moment",
    "padded",
    "short",
    "width_of",
]

_IDENTIFIER = 8


def caret(query: str, position: int, length: int, room: int = 100) -> str:
    """The query on one line, cut to ``room`` characters, and carets under ``length`` characters at ``position``."""
    start = max(0, position - room // 2)
    shown = query[start : start + room]
    before = ("... " if start else "") + escaped(query[start:position])
    marked = escaped(query[position : min(position + length, start + room)])
    line = ("... " if start else "") + escaped(shown) + (" ..." if start + room < len(query) else "")
    return f"  {line}\n  {' ' * columns(before)}{'^' * max(1, columns(marked))}"


def letter(event: Mapping[str, Any]) -> str:
    """One letter for what kind of line it is: the level's, or ``S`` for a state event."""
    if part(event, "event.kind") == "state":
        return "S"
    return LETTERS.get(text(event, "log.level").lower(), "-")


def short(request_id: str) -> str:
    """The end of an id: the beginning of a UUIDv7 is the time, and equal for a minute."""
    return f"..{request_id[-_IDENTIFIER:]}" if len(request_id) > _IDENTIFIER + 2 else request_id


def moment(stamp: str) -> str:
    """To the millisecond, still a time that ``--since`` takes."""
    return f"{stamp[:23]}Z" if len(stamp) == 30 and stamp.endswith("Z") else stamp or "-"


def fields(event: Mapping[str, Any]) -> list[str]:
    """The caller's own fields, each as ``name=value``; not escaped."""
    labels = part(event, "labels")
    return [f"{name}={value}" for name, value in wording.fields(labels)] if isinstance(labels, Mapping) else []
