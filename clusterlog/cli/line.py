"""One event as one line for people, and text that cannot steer the terminal it is shown on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusterlog.encode.console import wording
from clusterlog.encode.console.terminal import columns, escaped, escaped_json, padded, width_of
from clusterlog.encode.console.wording import LETTERS
from clusterlog.search.story.event import part, text

__all__ = [
    "LETTERS",
    "Columns",
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
_WIDEST = 36


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


class Columns:
    """Events as lines whose columns stand under one another: each column is as wide as the widest seen so far.

    ``whole_ids`` is for pipes; people get the short end of a request id, which ``clusterlog trace`` takes as well.
    """

    def __init__(self, *, whole_ids: bool) -> None:
        self._whole_ids = whole_ids
        self._widths = [24, 6, 1, 32 if whole_ids else _IDENTIFIER + 2, 10]

    def line(self, event: Mapping[str, Any]) -> str:
        """Time, node, level's letter, request, logger, message with fields and exception; escaped."""
        request = text(event, "http.request.id")
        cells = (
            moment(text(event, "@timestamp")),
            text(event, "service.node.name") or "-",
            letter(event),
            (request if self._whole_ids else short(request)) or "-",
            text(event, "log.logger") or "-",
        )
        told = "  ".join(filter(None, (text(event, "message"), *fields(event), _error(event))))
        return "  ".join((*(self._aligned(n, escaped(cell)) for n, cell in enumerate(cells)), escaped(told))).rstrip()

    def _aligned(self, column: int, cell: str) -> str:
        self._widths[column] = max(self._widths[column], min(columns(cell), _WIDEST))
        return padded(cell, self._widths[column])


def moment(stamp: str) -> str:
    """To the millisecond, still a time that ``--since`` takes."""
    return f"{stamp[:23]}Z" if len(stamp) == 30 and stamp.endswith("Z") else stamp or "-"


def fields(event: Mapping[str, Any]) -> list[str]:
    """The caller's own fields, each as ``name=value``; not escaped."""
    labels = part(event, "labels")
    return [f"{name}={value}" for name, value in wording.fields(labels)] if isinstance(labels, Mapping) else []


def _error(event: Mapping[str, Any]) -> str:
    kind = text(event, "error.type")
    told = text(event, "error.message")
    return f"{kind}: {told}" if kind and told else kind or told
