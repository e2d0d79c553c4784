"""One request as text that needs no terminal: columns for pipes, and Markdown for issues."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from clusterlog.cli.drawing.message import error, message, offset, where
from clusterlog.cli.drawing.pen import ASCII, Ink, Pen, Row, Segment, row_of
from clusterlog.cli.drawing.story.header import header, said_of
from clusterlog.cli.drawing.story.picture import rows
from clusterlog.cli.drawing.story.selection import EVERYTHING, Line, View, selected
from clusterlog.cli.drawing.story.timeline import legend
from clusterlog.cli.drawing.table import table
from clusterlog.cli.line import fields, letter
from clusterlog.search.export.markdown import heading
from clusterlog.search.instant import spoken
from clusterlog.search.receipt import Loss, Receipt
from clusterlog.search.story.event import Document, Event, name, text
from clusterlog.search.story.journey import Entry, Journey

_HEADINGS = ("", "after", "time", "node", "level", "where", "message")


def plain(
    journey: Journey,
    *,
    view: View = EVERYTHING,
    receipts: Iterable[Receipt] = (),
    neighbours: Iterable[Document] = (),
    ascii_only: bool = False,
) -> Iterator[Row]:
    """The header, and a line for each event in the same columns always, none of them cut.

    In the first column stands ``~`` if it is not known that the event comes after the one above, ``.`` for an event
    that does not belong to the request, ``!`` for a loss, ``-`` for a pause, and ``=`` for every other event.
    """
    pen = Pen(ASCII if ascii_only else Ink(), ascii_only)
    receipts = tuple(receipts)
    selection = selected(journey, view, receipts, neighbours)
    yield from header(journey, pen, None, receipts)
    yield ()
    cells = [[Segment(each or "-") for each in _cells(journey, line, pen)] for line in selection.lines]
    yield from table(_HEADINGS, cells, pen, None, right=("after",))
    if selection.hidden:
        *_, last = legend(selection, view, pen)
        yield from ((), last)


def _cells(journey: Journey, line: Line, pen: Pen) -> tuple[str, ...]:
    if isinstance(line.what, Entry | Event):
        event = line.what.event if isinstance(line.what, Entry) else line.what
        mark = "." if isinstance(line.what, Event) else "~" if line.bracket in ("within", "end") else "="
        told = "  ".join(filter(None, (message(event, pen.ink).whole, error(event), *fields(event.document))))
        at = text(event.document, "@timestamp")
        return mark, offset(journey, event), at, event.node, letter(event.document), where(event), told
    if isinstance(line.what, Loss):
        return "!", "", "", journey.lanes[line.lane or 0].node, "", "", line.what.text
    gap = line.what
    going_on = f"; open: {name(gap.open[0])} on {gap.open[0].node}" if gap.open else ""
    return "-", "", "", "", "", "", f"{spoken(gap.length_ns)}, no events on any node{going_on}"


def markdown(
    journey: Journey,
    *,
    view: View = EVERYTHING,
    receipts: Iterable[Receipt] = (),
    neighbours: Iterable[Document] = (),
    nested: bool = False,
    width: int | None = None,
    ascii_only: bool = False,
) -> Iterator[Row]:
    """As ``export`` writes it for a ticket, but with the picture in a block; arguments as for ``rows``."""
    receipts = tuple(receipts)
    yield from (row_of(Segment(line)) for line in heading(journey, said_of(journey, receipts)))
    yield ()
    drawn = rows(
        journey,
        view=view,
        receipts=receipts,
        neighbours=neighbours,
        nested=nested,
        width=width,
        ascii_only=ascii_only,
        sentences=False,
    )
    longest = max((len(run) for row in drawn for each in row for run in re.findall("`+", each.text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield row_of(Segment(f"{fence}text"))
    yield from drawn
    yield row_of(Segment(fence))
