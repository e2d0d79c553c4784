"""Requests as a table: one row each, whatever nodes they were on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterlog.cli.drawing.pen import ASCII, Ink, Pen, Row, Segment
from clusterlog.cli.drawing.table import table
from clusterlog.cli.line import LETTERS, moment, short
from clusterlog.search.instant import milliseconds
from clusterlog.search.requests import Summary

NARROW = 110
"""Below so many columns no users are shown, of the nodes the first, and times to the second."""
NARROWEST = 72
"""Below so many columns there are no nodes, and no numbers of events."""

_HASH = 8  # digits of a user's hash that tell one from another
_ROUTE, _EVENTS, _USER = 3, 6, 7  # columns by their numbers


def rows(found: Sequence[Summary], *, whole: bool, width: int | None, ascii_only: bool) -> Iterator[Row]:
    """The table with its headings.

    ``whole``: with whole ids and times, and nothing cut. People get the short end of ids, and the day above the times
    where it is the same for all.
    """
    width = None if whole else width
    narrow = width is not None and width < NARROW
    users = whole or (not narrow and any(row.users for row in found))
    day = "" if whole else _day(found)
    pen = Pen(ASCII if ascii_only else Ink(), ascii_only)
    headings: Sequence[str] = (
        day or "started",
        "request",
        "",
        "",
        "status",
        "took",
        "events",
        "user" if users else "",
        "nodes",
    )
    cells = [_cells(row, pen, whole=whole, with_day=not day, narrow=narrow) for row in found]
    if width is not None and width < NARROWEST:
        headings, cells = headings[:_EVENTS], [each[:_EVENTS] for each in cells]
    return table(headings, cells, pen, width, right=("took", "events"), cut=(_ROUTE, _USER))


def offered(found: Sequence[Summary], *, width: int | None, ascii_only: bool) -> Iterator[Row]:
    """Requests to choose one of: whole ids, and of the rest what tells them apart."""
    pen = Pen(ASCII if ascii_only else Ink(), ascii_only)
    day = "" if width is None else _day(found)
    cells = [
        (
            Segment(_began(row, with_day=not day, narrow=width is not None)),
            Segment(row.id, "id"),
            Segment(LETTERS.get(row.level, "-")),
            Segment(_asked(row)),
            _ended(row),
        )
        for row in found
    ]
    return table((day or "started", "request", "", "", "status"), cells, pen, width, cut=(_ROUTE,))


def _day(found: Sequence[Summary]) -> str:
    """The day of all of them; empty if they are of several."""
    days = {row.started[:10] for row in found}
    return "" if len(days) > 1 else "".join(days)


def _began(row: Summary, *, with_day: bool, narrow: bool) -> str:
    started = moment(row.started)
    if narrow and len(started) == len("2026-11-03T12:00:00.000Z"):
        started = f"{started[:19]}Z"
    return started if with_day else started[11:].removesuffix("Z")


def _asked(row: Summary) -> str:
    return f"{row.method} {row.route}".strip() or "-"


def _ended(row: Summary) -> Segment:
    status = "" if row.status is None else str(row.status)
    outcome = {"ok": "ok", "unknown": "-"}.get(row.outcome, row.outcome.upper())
    return Segment(f"{status} {outcome}".strip(), {"ok": "good", "failed": "bad"}.get(row.outcome, ""))


def _cells(row: Summary, pen: Pen, *, whole: bool, with_day: bool, narrow: bool) -> Sequence[Segment]:
    level = LETTERS.get(row.level, "-")
    users = ",".join(user if whole else user[:_HASH] for user in row.users)
    return (
        Segment(_began(row, with_day=with_day, narrow=narrow)),
        Segment(row.id if whole else short(row.id), "id"),
        Segment(level, level),
        Segment(_asked(row)),
        _ended(row),
        Segment("" if row.duration_ns is None else milliseconds(row.duration_ns)),
        Segment(str(row.events) if row.matching == row.events else f"{row.matching} of {row.events}"),
        Segment("" if narrow else users or ("-" if whole else ""), "dim"),
        Segment(_nodes(row, pen, narrow)),
    )


def _nodes(row: Summary, pen: Pen, narrow: bool) -> str:
    if not narrow:
        return f" {pen.ink.leads_to} ".join(row.nodes)
    return row.nodes[0] + (f" +{len(row.nodes) - 1}" if len(row.nodes) > 1 else "") if row.nodes else "-"
