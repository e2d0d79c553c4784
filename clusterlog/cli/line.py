"""One event as one line for people, and text that cannot steer the terminal it is shown on."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from clusterlog.search.story.event import part, text

# C0 and C1 controls, marks of direction, separators that end a line, characters that cannot be seen, lone surrogates.
# The joiners U+200C and U+200D stay: Persian and emoji need them, and they move nothing.
_HOSTILE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
LETTERS = {"debug": "D", "info": "I", "warning": "W", "error": "E", "critical": "C"}
"""The letter of a level; ``S`` is a state event's, ``-`` anything else's."""

_IDENTIFIER = 8
_WIDEST = 36
_BARE = re.compile(r"[^\s\"'=]+")


def escaped(raw: str) -> str:
    r"""The text with everything a terminal would obey, or not show, written as ``\x1b``, ``\n``, ``\u202e``."""
    return raw if raw.isascii() and raw.isprintable() else _HOSTILE.sub(_written, raw)


def escaped_json(document: bytes) -> bytes:
    """A JSON document that means the same and holds nothing a terminal would obey (JSON allows DEL, C1, bidi marks)."""
    if document.isascii() and b"\x7f" not in document:
        return document
    return _HOSTILE.sub(_written_as_json, document.decode("utf-8", "replace")).encode()


def _written_as_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _written(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def columns(shown: str) -> int:
    """How many columns an escaped text takes: wide characters two, combining and joining ones none."""
    return len(shown) if shown.isascii() else sum(map(width_of, shown))


@lru_cache(maxsize=4096)
def width_of(character: str) -> int:
    """How many columns one character of an escaped text takes."""
    if unicodedata.east_asian_width(character) in "WF":
        return 2
    return 0 if unicodedata.category(character) in ("Mn", "Me", "Cf") else 1


def padded(shown: str, width: int) -> str:
    """The text, filled with spaces up to ``width`` columns."""
    return shown + " " * (width - columns(shown))


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
            _time(text(event, "@timestamp")),
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


def _time(stamp: str) -> str:
    """To the millisecond, still a time that ``--since`` takes."""
    return f"{stamp[:23]}Z" if len(stamp) == 30 and stamp.endswith("Z") else stamp or "-"


def fields(event: Mapping[str, Any]) -> list[str]:
    """The caller's own fields, each as ``name=value``; not escaped."""
    labels = part(event, "labels")
    if not isinstance(labels, Mapping):
        return []
    return [f"{name}={_value(value)}" for name, value in labels.items()]


def _error(event: Mapping[str, Any]) -> str:
    kind = text(event, "error.type")
    told = text(event, "error.message")
    return f"{kind}: {told}" if kind and told else kind or told


def _value(value: Any) -> str:
    """As it is where that can be told apart from what follows, else as JSON."""
    return (
        value
        if isinstance(value, str) and _BARE.fullmatch(value)
        else json.dumps(value, ensure_ascii=False, default=str)
    )
