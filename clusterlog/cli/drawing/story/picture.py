"""One request as rows: what is to be said about it, under that each event in causal order, and its exceptions."""

from __future__ import annotations

from collections.abc import Iterable

from clusterlog.cli.drawing.pen import ASCII, Ink, Pen, Row, bounded
from clusterlog.cli.drawing.story.header import header, names
from clusterlog.cli.drawing.story.lanes import Lanes
from clusterlog.cli.drawing.story.selection import EVERYTHING, View, selected
from clusterlog.cli.drawing.story.stack import stacks
from clusterlog.cli.drawing.story.timeline import Timeline, legend
from clusterlog.cli.drawing.story.tree import Tree
from clusterlog.search.receipt import Receipt
from clusterlog.search.story.event import Document
from clusterlog.search.story.journey import Journey


def draw(journey: Journey, *, width: int | None = None, ascii_only: bool = False) -> list[str]:
    """The picture as lines of text without colour; arguments as for ``rows``."""
    drawn = rows(journey, width=width, ascii_only=ascii_only)
    return ["".join(segment.text for segment in row).rstrip() for row in drawn]


def rows(
    journey: Journey,
    *,
    view: View = EVERYTHING,
    receipts: Iterable[Receipt] = (),
    neighbours: Iterable[Document] = (),
    nested: bool = False,
    sentences: bool = True,
    width: int | None = None,
    ascii_only: bool = False,
) -> list[Row]:
    """The picture as rows of segments.

    ``receipts`` say what is complete and where something was lost. ``neighbours`` are further events of the same
    processes, drawn dim. ``nested``: as a tree of visits, calls and steps instead of a list. Without
    ``sentences`` nothing is said about it before the events. ``width`` is in columns
    of a terminal, 40 or more; without one nothing is cut. With ``ascii_only`` nothing but ASCII is drawn, and foreign
    characters are escaped.
    """
    pen = Pen(ASCII if ascii_only else Ink(), ascii_only)
    receipts = tuple(receipts)
    selection = selected(journey, view, receipts, neighbours)
    lanes = Lanes(journey, selection.entries, pen)
    table = Tree if nested else Timeline
    drawn = [
        *header(journey, pen, width, receipts, sentences=sentences),
        *names(lanes, pen, width),
        (),
        *table(journey, selection, lanes, pen, width).rows(),
        *legend(selection, view, pen, nested=nested),
        *stacks(journey, selection, pen, width),
    ]
    return drawn if width is None else [bounded(row, width) for row in drawn]


def summary(
    journey: Journey, receipts: Iterable[Receipt] = (), *, width: int | None = None, ascii_only: bool = False
) -> list[Row]:
    """What is to be said about the request, and nothing below it; arguments as for ``rows``."""
    drawn = list(header(journey, Pen(ASCII if ascii_only else Ink(), ascii_only), width, tuple(receipts)))
    return drawn if width is None else [bounded(row, width) for row in drawn]
