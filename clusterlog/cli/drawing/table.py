"""Rows under headings: each column as wide as its widest cell, only the last one cut where the terminal ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterlog.cli.drawing.pen import Pen, Row, Segment, bounded, row_of
from clusterlog.cli.line import columns

_APART = "  "
_LEAST = 8  # columns the last cell keeps in any case


def table(
    headings: Sequence[str], rows: Sequence[Sequence[Segment]], pen: Pen, width: int | None, right: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows of a table with its headings, which are ours; cells hold foreign text.

    ``right`` names the columns that stand to the right. Without a ``width`` nothing is cut. A column whose heading and
    cells are all empty is left out.
    """
    lines = [[Segment(heading, "dim") for heading in headings]]
    lines += [[Segment(pen.clean(cell.text), cell.role) for cell in row] for row in rows]
    used = [n for n in range(len(headings)) if any(line[n].text for line in lines)]
    widths = {n: max(columns(line[n].text) for line in lines) for n in used}
    before = sum(widths[n] + len(_APART) for n in used[:-1])
    room = None if width is None else max(_LEAST, width - before)
    for line in lines:
        row: list[Segment] = []
        for n in used[:-1]:
            blank = " " * (widths[n] - columns(line[n].text))
            text = blank + line[n].text if headings[n] in right else line[n].text + blank
            row += [Segment(text, line[n].role), Segment(_APART)]
        row.append(Segment(pen.fit(line[used[-1]].text, room), line[used[-1]].role))
        yield row_of(*row) if width is None else bounded(row_of(*row), width)
