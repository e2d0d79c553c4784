"""Rows under headings: each column as wide as its widest cell, and cut, where the terminal is too narrow, by turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterlog.cli.drawing.pen import Pen, Row, Segment, bounded, row_of
from clusterlog.cli.line import columns

_APART = "  "
_LEAST = 8  # columns a cell keeps in any case


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[Segment]],
    pen: Pen,
    width: int | None,
    right: Sequence[str] = (),
    cut: Sequence[int] = (),
) -> Iterator[Row]:
    """The rows of a table with its headings, which are ours; cells hold foreign text.

    ``right`` names the columns that stand to the right. Without a ``width`` nothing is cut; with one the last column
    and those numbered in ``cut`` give way, the widest first. A column whose heading and cells are all empty is left
    out.
    """
    lines = [[Segment(heading, "dim") for heading in headings]]
    lines += [[Segment(pen.clean(cell.text), cell.role) for cell in row] for row in rows]
    used = [n for n in range(len(headings)) if any(line[n].text for line in lines)]
    widths = {n: max(columns(line[n].text) for line in lines) for n in used}
    if width is not None:
        _shrink(widths, {*cut, used[-1]} & {*used}, width)
    for line in lines:
        row: list[Segment] = []
        for n in used:
            text = pen.fit(line[n].text, None if width is None else widths[n])
            blank = " " * (widths[n] - columns(text))
            last = n == used[-1]
            text = blank + text if headings[n] in right else text if last else text + blank
            row += [Segment(text, line[n].role), Segment("" if last else _APART)]
        yield row_of(*row) if width is None else bounded(row_of(*row), width, pen.ink.cut)


def _shrink(widths: dict[int, int], cut: set[int], width: int) -> None:
    """Make columns narrower until the table has room, the widest of those that may be cut first."""
    over = sum(widths.values()) + len(_APART) * (len(widths) - 1) - width
    while over > 0:
        widest = max(cut, key=lambda n: widths[n])
        if widths[widest] <= _LEAST:
            return
        widths[widest] -= 1
        over -= 1
