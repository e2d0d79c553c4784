r"""Words and quoted texts of a query: what escapes and wildcards in them mean, and the values they spell."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_ESCAPE = re.compile(
    r"\\(?:u([0-9a-f]{4})|(and|or|not)(?![^\s():<>\"{}])|([trn\\():<>\"*{}]))", re.IGNORECASE
)  # what is not matched is what it is
_QUOTED_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})()|([trn\\"]))')
_STAR = re.compile(r"((?:[^*\\]|\\.)*)(\*+|$)", re.DOTALL)  # a run up to unescaped stars
_CONTROLS = {"t": "\t", "r": "\r", "n": "\n"}
_NUMBER = re.compile(r"[+-]?\d+(?:(\.\d+)?([eE][+-]?\d+)?)", re.ASCII)
_DURATION = re.compile(r"(\d{1,15})(?:\.(\d{1,9}))?(ns|us|µs|ms|s|m|h|d)", re.ASCII)
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}


@dataclass(frozen=True, slots=True)
class Literal:
    """One word or quoted text: what stands between its wildcards, and where it was written."""

    pieces: tuple[str, ...]
    quoted: bool
    start: int
    end: int

    @classmethod
    def read(cls, written: str, start: int, end: int, *, quoted: bool) -> Literal:
        """What a token says; in quotes a star is a star."""
        if quoted:
            pieces = [_QUOTED_ESCAPE.sub(_unescaped, written[1:-1])]
        else:
            pieces = [_ESCAPE.sub(_unescaped, piece) for piece in _split_at_stars(written)]
        return cls(tuple(map(_joined_surrogates, pieces)), quoted, start, end)

    @property
    def text(self) -> str:
        """What it says, if it has no wildcard."""
        return self.pieces[0]

    @property
    def wild(self) -> bool:
        """Whether it has a wildcard."""
        return len(self.pieces) > 1

    @property
    def is_star(self) -> bool:
        """Whether it is nothing but a wildcard."""
        return self.pieces == ("", "")


def joined(words: list[Literal]) -> Literal:
    """Several words as the one value they are on a field that is not text."""
    pieces = [*words[0].pieces]
    for word in words[1:]:
        pieces[-1] += f" {word.pieces[0]}"
        pieces += word.pieces[1:]
    return Literal(tuple(pieces), words[0].quoted, words[0].start, words[-1].end)


def _split_at_stars(written: str) -> list[str]:
    pieces, position = [], 0
    while True:
        found = _STAR.match(written, position)
        assert found is not None
        pieces.append(found[1])
        if not found[2]:
            return pieces
        position = found.end()


def _unescaped(found: re.Match[str]) -> str:
    code, keyword, character = found.groups()
    if code:
        return chr(int(code, 16))
    return keyword or _CONTROLS.get(character, character)


def _joined_surrogates(text: str) -> str:
    r"""Two ``\uXXXX`` that make one character, as in JSON and in Kibana."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def number(text: str) -> int | float | None:
    """The number a text writes, within 64 bits and finite; else ``None``."""
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > 400:
        return None
    if found[1] is None and found[2] is None:
        whole = int(text)
        return whole if -(1 << 63) <= whole < 1 << 64 else None
    value = float(text)
    return value if math.isfinite(value) else None


def duration_ns(text: str) -> int | None:
    """Nanoseconds of a length of time such as ``500ms`` or ``1.5s``; ``None`` if it is none, or over 64 bits."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    unit = _UNITS[found[3]]
    fraction = found[2] or ""
    value = int(found[1]) * unit + int(fraction or "0") * unit // 10 ** len(fraction)
    return value if value < 1 << 63 else None
