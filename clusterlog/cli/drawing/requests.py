"""Requests as a table: one row each, whatever nodes they were on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterlog.cli.drawing.pen import ASCII, Ink, Pen, Row, Segment
from clusterlog.cli.drawing.table import table
from clusterlog.cli.line import LETTERS, moment, short
from clusterlog.search.instant import milliseconds
from clusterlog.search.requests import Summary

NARROW = 110
"""Below so many columns no users are shown, and of the nodes the first."""

_HASH = 8  # digits of a user's hash that tell one from another


def rows(found: Sequence[Summary], *, whole: bool, width: int | None, ascii_only: bool) -> Iterator[Row]:
    """The table with its headings.

    ``whole``: with whole ids and times, and nothing cut. People get the short end of ids, and the day above the times
    where it is the same for all.
    """
    width = None if whole else width
    narrow = width is not None and width < NARROW
    users = whole or (not narrow and any(row.users for row in found))
    days = {row.started[:10] for row in found}
    day = "" if whole or len(days) > 1 else "".join(days)
    pen = Pen(ASCII if ascii_only else Ink(), ascii_only)
    headings = (day or "started", "request", "", "", "status", "took", "events", "user" if users else "", "nodes")
    cells = [_cells(row, pen, whole=whole, with_day=not day, narrow=narrow) for row in found]
    return table(headings, cells, pen, width, right=("took", "events"))


def _cells(row: Summary, pen: Pen, *, whole: bool, with_day: bool, narrow: bool) -> Sequence[Segment]:
    started = moment(row.started)
    level = LETTERS.get(row.level, "-")
    status = "" if row.status is None else str(row.status)
    outcome = {"ok": "ok", "unknown": "-"}.get(row.outcome, row.outcome.upper())
    users = ",".join(user if whole else user[:_HASH] for user in row.users)
    return (
        Segment(started if with_day else started[11:].removesuffix("Z")),
        Segment(row.id if whole else short(row.id), "id"),
        Segment(level, level),
        Segment(f"{row.method} {row.route}".strip() or "-"),
        Segment(f"{status} {outcome}".strip(), {"ok": "good", "failed": "bad"}.get(row.outcome, "")),
        Segment("" if row.duration_ns is None else milliseconds(row.duration_ns)),
        Segment(str(row.events) if row.matching == row.events else f"{row.matching} of {row.events}"),
        Segment("" if narrow else users or ("-" if whole else ""), "dim"),
        Segment(_nodes(row, pen, narrow)),
    )


def _nodes(row: Summary, pen: Pen, narrow: bool) -> str:
    if not narrow:
        return f" {pen.ink.leads_to} ".join(row.nodes)
    return row.nodes[0] + (f" +{len(row.nodes) - 1}" if len(row.nodes) > 1 else "") if row.nodes else "-"
