"""What is put into Kibana as people read it: each dashboard as a table of its panels, and the sessions beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from clusterlog.cli.drawing.pen import INDENT, Pen, Row, Segment, row_of, wrapped
from clusterlog.cli.drawing.table import table
from clusterlog.cli.line import columns
from clusterlog.store.kibana.objects import DASHBOARD, SESSION, Object
from clusterlog.store.kibana.outline import outline, panels_of

_PANELS = ("panel", "kind", "of what matches", "shows")
_SESSIONS = ("session", "kind", "of what matches", "shows")


def boards(objects: Sequence[Object], pen: Pen, width: int | None) -> Iterator[Row]:
    """A table for each dashboard, and one for the sessions. Where there is no room for one, each row is a few lines."""
    for each in objects:
        if each["type"] == DASHBOARD:
            told = outline(each)
            yield row_of(Segment("dashboard  "), Segment(pen.clean(str(told["title"])), "id"))
            about = f"{told['time']}; chosen by {', '.join(told['controls'])}"
            yield row_of(Segment(f"  {pen.clean(about)}", "dim"))
            cells = [(panel.title, panel.kind, panel.query, panel.fields) for panel in panels_of(each)]
            yield from _table(_PANELS, cells, pen, width)
            yield row_of(Segment(""))
    sessions = [_session(outline(each)) for each in objects if each["type"] == SESSION]
    yield from _table(_SESSIONS, sessions, pen, width)


def _session(told: dict[str, Any]) -> tuple[str, ...]:
    sort = ", ".join(" ".join(each) for each in told["sort"])
    return str(told["title"]), "session", str(told["query"]), f"{', '.join(told['columns'])}; sorted by {sort}"


def _table(headings: Sequence[str], cells: Sequence[Sequence[str]], pen: Pen, width: int | None) -> Iterator[Row]:
    rows = [[Segment(cell, "id" if number == 0 else "") for number, cell in enumerate(row)] for row in cells]
    widest = [max(columns(each[number]) for each in (headings, *cells)) for number in range(len(headings))]
    if width is None or sum(widest) + 2 * (len(widest) - 1) <= width:
        yield from table(headings, rows, pen, None)
        return
    for title, kind, where, shows in cells:
        yield row_of(Segment(pen.clean(title), "id"), Segment(f"  {kind}"))
        for label, text in (("of", where), ("shows", shows)):
            if text:
                words = [Segment(pen.clean(word)) for word in text.split(" ")]
                yield from wrapped([Segment(f" {label}".ljust(INDENT), "dim")], words, width, " ")
