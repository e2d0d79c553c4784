"""A table fits the terminal it is drawn for, and never hides that something is cut."""

from __future__ import annotations

import pytest

from clusterlog.cli.drawing.pen import ASCII, Ink, Pen, Segment
from clusterlog.cli.drawing.table import table
from clusterlog.cli.line import columns

HEADINGS = ("request", "", "took", "nodes")
ROWS = [
    ("..362f4a41", "GET /orders/{number}", "1,746 ms", "shop-1 → orders-2"),
    ("..e0776620", "GET /", "3 ms", "shop-2"),
]


@pytest.fixture
def drawing(drawn):
    def draw(width, *, cut=(), ink=None, rows=ROWS):
        pen = Pen(ink or Ink(), ink is not None)
        cells = [[Segment(cell) for cell in row] for row in rows]
        return drawn(table(HEADINGS, cells, pen, width, right=("took",), cut=cut))

    return draw


def test_where_there_is_room_nothing_is_cut(drawing):
    assert drawing(None) == drawing(200) == drawing(63)
    assert drawing(None)[1] == "..362f4a41  GET /orders/{number}  1,746 ms  shop-1 → orders-2"


def test_the_last_column_gives_way(drawing):
    assert [line[34:] for line in drawing(55)[1:]] == ["1,746 ms  shop-1 → o…", "    3 ms  shop-2"]


def test_of_columns_that_may_be_cut_the_widest_gives_way_first(drawing):
    assert drawing(54, cut=(1,)) == [
        "request                          took  nodes",
        "..362f4a41  GET /orders/{n…  1,746 ms  shop-1 → order…",
        "..e0776620  GET /                3 ms  shop-2",
    ]
    assert drawing(58, cut=(1,))[1] == "..362f4a41  GET /orders/{num…  1,746 ms  shop-1 → orders-2"


@pytest.mark.parametrize("ink", [None, ASCII])
@pytest.mark.parametrize("width", range(12, 70))
def test_no_line_is_wider_than_the_terminal_and_each_that_is_cut_says_so(drawing, width, ink):
    rows = [tuple(cell.replace("→", ">") for cell in row) for row in ROWS]
    whole = drawing(None, ink=ink, rows=rows, cut=(1,))
    for line, all_of_it in zip(drawing(width, ink=ink, rows=rows, cut=(1,)), whole, strict=True):
        assert columns(line) <= width
        if line.split() != all_of_it.split():
            assert (ink or Ink()).cut in line
