"""How a picture of text is written: segments with roles, the characters for lines, and foreign text made harmless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from clusterlog.cli.line import columns, escaped, width_of

INDENT = 7
"""Columns before what goes on from the row above, and of the labels of a header."""


class Segment(NamedTuple):
    """A piece of a row. ``role`` is a level's letter, ``lane0`` to ``lane7``, ``id``, ``bad``, ``good``, ``dim``."""

    text: str
    role: str = ""


Row = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Ink:
    """The characters a picture is drawn with."""

    event: str = "●"
    error: str = "✖"
    open: str = "│"
    gap: str = "┊"
    line: str = "─"
    cross: str = "┼"
    right: str = "▶"
    left: str = "◀"
    fork: str = "├"
    fork_left: str = "┤"
    end: str = "┘"
    end_left: str = "└"
    leads_to: str = "→"
    cut: str = "…"
    delta: str = "Δ"
    plus_minus: str = "±"
    neighbour: str = "·"
    begin: str = "┌"
    within: str = "│"
    last: str = "└"
    branch: str = "├"


ASCII = Ink(
    *("*", "x", "|", ":", "-", "+", ">", "<", "+", "+", "+", "+", "->", "...", "diff", "+-", ".", "/", "|", "\\", "|"),
)


class Pen:
    """Writes foreign text: escaped, measured and cut."""

    def __init__(self, ink: Ink, ascii_only: bool) -> None:
        self.ink = ink
        self._ascii_only = ascii_only

    def clean(self, foreign: str) -> str:
        """The whole text as a terminal may show it."""
        shown = escaped(foreign)
        if self._ascii_only and not shown.isascii():
            return shown.encode("ascii", "backslashreplace").decode("ascii")
        return shown

    def fit(self, foreign: str, room: int | None) -> str:
        """The text as a terminal may show it, its end cut off beyond ``room`` columns."""
        if room is None:
            return self.clean(foreign)
        if len(foreign) <= room and foreign.isascii() and foreign.isprintable():
            return foreign  # as nearly every text
        # No more than can be seen is looked at: a megabyte is not escaped for eighty columns. (Four characters for one
        # column is more than any language combines.)
        shown = self.clean(foreign[: 4 * room + 4])
        if columns(shown) <= room and len(foreign) <= 4 * room + 4:
            return shown
        return self._within(shown, room) + self.ink.cut

    def fit_end(self, foreign: str, room: int) -> str:
        """As ``fit``, but cut at its beginning: the end of a dotted name tells more."""
        shown = self.clean(foreign[-4 * room - 4 :])
        if columns(shown) <= room and len(foreign) <= 4 * room + 4:
            return shown
        return self.ink.cut + self._within(shown[::-1], room)[::-1]

    def fit_middle(self, foreign: str, room: int | None) -> str:
        """As ``fit``, but cut in its middle: of an address both ends tell something."""
        if room is None or (len(foreign) <= room and foreign.isascii() and foreign.isprintable()):
            return self.clean(foreign)
        if len(foreign) <= 4 * room and columns(self.clean(foreign)) <= room:
            return self.clean(foreign)
        end = room // 2
        if end <= len(self.ink.cut):
            return self.fit(foreign, room)
        return self.fit(foreign, room - end).removesuffix(self.ink.cut) + self.fit_end(foreign, end + len(self.ink.cut))

    def _within(self, shown: str, room: int) -> str:
        """As much of the beginning as leaves room for the sign that something is cut."""
        left = max(0, room - len(self.ink.cut))
        if columns(shown) == len(shown):
            return shown[:left]
        for at, character in enumerate(shown):
            left -= width_of(character)
            if left < 0:
                return shown[:at]
        return shown


def row_of(*segments: Segment) -> Row:
    """A row of those segments that hold text."""
    return tuple([segment for segment in segments if segment.text])


def bounded(row: Row, width: int, cut: str = "") -> Row:
    """The row without what stands beyond ``width`` columns, where even the least of everything is too much.

    ``cut`` is put where something is missing.
    """
    if columns("".join([segment.text for segment in row])) <= width:
        return row
    left, kept = width - columns(cut), []
    for segment in row:
        piece = next(pieces(segment.text, left), "") if left > 0 else ""
        kept.append(Segment(piece, segment.role))
        left -= columns(segment.text)
    return row_of(*kept, Segment(cut))


def joined(cells: Sequence[Segment]) -> list[Segment]:
    """Neighbours of one role as one segment."""
    return [Segment("".join(c.text for c in same), role) for role, same in groupby(cells, lambda cell: cell.role)]


def wrapped(lead: Sequence[Segment], parts: Iterable[Segment], width: int | None, gap: str = "  ") -> Iterator[Row]:
    """A lead and parts with gaps between them, on as many rows as they need; the further ones are indented."""
    indent = [Segment(" " * INDENT)]
    row, used, begun = list(lead), sum(columns(segment.text) for segment in lead), False
    for whole, role in parts:
        for number, piece in enumerate(pieces(whole, None if width is None else width - INDENT)):
            before = gap if begun and not number else ""
            if width is not None and begun and used + columns(before + piece) > width:
                yield row_of(*row)
                row, used, before = [*indent], INDENT, ""
            row += [Segment(before), Segment(piece, role)]
            used += columns(before + piece)
            begun = True
    yield row_of(*row)


def pieces(shown: str, room: int | None) -> Iterator[str]:
    """The text in pieces of at most ``room`` columns."""
    if room is None or columns(shown) <= room:
        yield shown
        return
    piece, used = "", 0
    for character in shown:
        width = width_of(character)
        if used + width > room:
            yield piece
            piece, used = "", 0
        piece += character
        used += width
    yield piece
