"""Groups of errors: two lines each for people, a table for pipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterlog.cli import paint
from clusterlog.cli.drawing.pen import ASCII, Ink, Pen, Row, Segment, row_of, wrapped
from clusterlog.cli.drawing.table import table
from clusterlog.cli.line import LETTERS, columns, short
from clusterlog.search.errors import Group
from clusterlog.search.instant import rfc3339

_FINGERPRINT = 4  # digits of a fingerprint that people get to see, as in the picture of a request
_NODES = 5


def blocks(found: Sequence[Group], *, width: int | None, ascii_only: bool) -> Iterator[Row]:
    """For people: how often, which level, what; under it whom it hit, where, when, and which request to look at.

    What only followed from other errors has no colour.
    """
    pen = Pen(ASCII if ascii_only else Ink(), ascii_only)
    counts = [paint.amount(group.events) for group in found]
    widest = max(map(len, counts), default=0)
    for group, count in zip(found, counts, strict=True):
        level = LETTERS.get(group.example.level, "-")
        mark = f"#{group.fingerprint[:_FINGERPRINT]}" if group.fingerprint else ""
        before = widest + 5
        room = None if width is None else max(8, width - before - (columns(mark) + 2 if mark else 0))
        followed = bool(group.requests) and not group.causes
        said = Segment(pen.fit(_said(group), room), "" if followed else level)
        yield row_of(Segment(f"{count:>{widest}}  {level}  "), said, Segment(f"  {mark}" if mark else "", "dim"))
        indent = Segment(" " * before)
        for number, row in enumerate(wrapped([indent], _where(group, pen), width)):
            yield (indent, *row[1:]) if number else row


def _where(group: Group, pen: Pen) -> Iterator[Segment]:
    if group.requests:
        whole = group.causes == len(group.requests)
        cause = ", their first error" if whole else f", first error of {group.causes}" if group.causes else ""
        yield Segment(paint.counted(len(group.requests), "request") + cause, "dim")
    nodes = sorted(group.nodes)
    more = f" and {len(nodes) - _NODES} more" if len(nodes) > _NODES else ""
    logger = group.example.logger.removeprefix("clusterlog.")
    yield Segment(pen.clean(f"{logger or 'a line'} on {', '.join(nodes[:_NODES])}{more}"), "dim")
    first, last = _second(group.first_ns), _second(group.last_ns)
    day = first[:11] == last[:11]
    yield Segment(first if first == last else f"{first} to {last[11:] if day else last}", "dim")
    if group.request:
        yield Segment(pen.clean(f"trace {short(group.request)}"), "id")


def rows(found: Sequence[Group], *, ascii_only: bool) -> Iterator[Row]:
    """For pipes: one line each, whole."""
    pen = Pen(ASCII if ascii_only else Ink(), ascii_only)
    headings = ("events", "requests", "causes", "first", "last", "level", "id", "logger", "nodes", "request", "error")
    cells = [
        [
            Segment(text)
            for text in (
                str(group.events),
                str(len(group.requests)),
                str(group.causes),
                _second(group.first_ns),
                _second(group.last_ns),
                group.example.level or "-",
                group.id,
                group.example.logger or "-",
                ",".join(sorted(group.nodes)),
                group.request or "-",
                _said(group),
            )
        ]
        for group in found
    ]
    return table(headings, cells, pen, None, right=("events", "requests", "causes"))


def _said(group: Group) -> str:
    message = group.message
    return f"{group.type}: {message}" if group.type and message else group.type or message or group.template


def _second(ns: int) -> str:
    try:
        return f"{rfc3339(ns)[:19]}Z"
    except OverflowError:
        return "?"
