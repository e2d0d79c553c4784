"""Text that cannot steer the terminal it is shown on, and how many columns it takes there."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# C0 and C1 controls, marks of direction, separators that end a line, characters that cannot be seen, lone surrogates.
# The joiners U+200C and U+200D stay: Persian and emoji need them, and they move nothing.
_HOSTILE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


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


# Every character of these takes one column: Latin, Greek, Cyrillic, and what pictures are drawn with. It spares nearly
# all texts the look at each character.
_SINGLE = re.compile("[ -\xac\xae-\u02ff\u03a3-\u0482\u2010-\u2027\u2190-\u2319\u2460-\u25fc\u2716]*")


def columns(shown: str) -> int:
    """How many columns an escaped text takes: wide characters two, combining and joining ones none."""
    return len(shown) if shown.isascii() or _SINGLE.fullmatch(shown) else sum(map(width_of, shown))


@lru_cache(maxsize=4096)
def width_of(character: str) -> int:
    """How many columns one character of an escaped text takes."""
    if unicodedata.east_asian_width(character) in "WF":
        return 2
    return 0 if unicodedata.category(character) in ("Mn", "Me", "Cf") else 1


def padded(shown: str, width: int) -> str:
    """The text, filled with spaces up to ``width`` columns."""
    return shown + " " * (width - columns(shown))
