"""Two requests compared: the differences under headings, and, where it is asked for, every event side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterlog.cli.drawing.message import error, message, offset, where
from clusterlog.cli.drawing.pen import ASCII, Ink, Pen, Row, Segment, row_of, wrapped
from clusterlog.cli.drawing.table import table
from clusterlog.cli.line import fields, letter, short
from clusterlog.search.compare.comparison import Comparison, Lone
from clusterlog.search.compare.stretches import Stretch, visit_node, visit_service
from clusterlog.search.compare.twin import Twin
from clusterlog.search.instant import milliseconds
from clusterlog.search.story.event import Event
from clusterlog.search.story.journey import Journey

_A, _B = "lane0", "lane1"
_VALUE = 32  # columns a value has at most where there is a width


def rows(
    found: Comparison, twin: Twin | None, *, everything: bool, width: int | None, ascii_only: bool
) -> Iterator[Row]:
    """The comparison as rows of segments.

    ``width`` in columns; without one nothing is cut. ``everything``: also all events, side by side. ``twin`` says why
    the second request was taken.
    """
    drawing = _Drawing(found, width, Pen(ASCII if ascii_only else Ink(), ascii_only))
    yield from drawing.rows(twin, everything)


class _Drawing:
    def __init__(self, found: Comparison, width: int | None, pen: Pen) -> None:
        self._found = found
        self._width = width
        self._pen = pen

    def rows(self, twin: Twin | None, everything: bool) -> Iterator[Row]:
        yield from self._header(twin)
        if not self._found.differ:
            yield from ((), row_of(Segment("no differences")))
        sections = [
            self._lone("only in A", self._found.a, self._found.only_a),
            self._lone("only in B", self._found.b, self._found.only_b),
            self._delays(),
            self._changes(),
            self._moved(),
            *(map(self._beside, self._found.stretches) if everything else ()),
        ]
        for section in sections:
            for number, row in enumerate(section):
                if not number:
                    yield ()
                yield row

    def _table(
        self, headings: Sequence[str], lines: Sequence[Sequence[Segment]], *right: str, cut: Sequence[int] = ()
    ) -> Iterator[Row]:
        if lines:
            yield from table(headings, lines, self._pen, self._width, right=right, cut=cut)

    def _header(self, twin: Twin | None) -> Iterator[Row]:
        lines = []
        for side, role, told in (("A", _A, self._found.a), ("B", _B, self._found.b)):
            status = "" if told.status is None else f" {self._pen.ink.leads_to} {told.status}"
            lines.append(
                (
                    Segment(side, role),
                    Segment(told.id if self._width is None else short(told.id), "id"),
                    Segment(f"{told.method} {told.route}".strip() + status),
                    Segment(told.ended, {"ok": "good", "failed": "bad"}.get(told.outcome, "")),
                    Segment("" if told.duration_ns is None else milliseconds(told.duration_ns)),
                    Segment(f"{len(told.entries)} events"),
                    Segment(f" {self._pen.ink.leads_to} ".join(told.nodes), "dim"),
                )
            )
        yield from list(table(("", "", "", "", "took", "", ""), lines, self._pen, self._width, right=("took",)))[1:]
        if twin is not None:
            words = [Segment(word, "dim") for word in self._pen.clean(twin.why).split(" ")]
            yield from wrapped([Segment("   ")], words, self._width, " ")

    def _lone(self, heading: str, journey: Journey, found: Sequence[Lone]) -> Iterator[Row]:
        lines = []
        for each in found:
            first = each.events[0]
            count = len(each.events)
            level = letter(first.document)
            if each.whole:
                told = (
                    f"all {count} events of {each.service}: {self._said(first)}, ..."
                    if count > 1
                    else self._said(first)
                )
            else:
                told = self._said(first) + (f"  ({count} times)" if count > 1 else "")
            lines.append(
                (
                    Segment(offset(journey, first)),
                    Segment(level, level),
                    Segment(each.node),
                    Segment(where(first)),
                    Segment(told, level),
                )
            )
        yield from self._table((heading, "", "", "", ""), lines, cut=(2, 3))

    def _delays(self) -> Iterator[Row]:
        lines = [
            (
                Segment(milliseconds(each.a_ns) if each.a else "-", "bad" if each.more_ns > 0 else ""),
                Segment(milliseconds(each.b_ns) if each.b else "-", "bad" if each.more_ns < 0 else ""),
                Segment(f"{'+' if each.more_ns > 0 else ''}{milliseconds(each.more_ns)}"),
                Segment(each.what),
            )
            for each in self._found.delays
        ]
        yield from self._table(("A", "B", "difference", "took longer"), lines, "A", "B", "difference")

    def _changes(self) -> Iterator[Row]:
        lines = [
            (
                Segment(each.field.removeprefix("labels.")),
                Segment(self._value(each.a), _A),
                Segment(self._value(each.b), _B),
                Segment(each.where),
            )
            for each in self._found.changes
        ]
        yield from self._table(("changed", "A", "B", ""), lines, cut=(1, 2))

    def _value(self, value: str) -> str:
        return value if self._width is None else self._pen.fit(value, _VALUE)

    def _moved(self) -> Iterator[Row]:
        lines = [[Segment(each.text)] for each in self._found.moved]
        yield from self._table(("order",), lines)

    def _beside(self, stretch: Stretch) -> Iterator[Row]:
        """One stay: marks for what differs, the times in each request, and what was said."""
        visit = stretch.a or stretch.b
        if visit is None:
            return
        nodes = [f"{side} {visit_node(each)}" for side, each in (("A", stretch.a), ("B", stretch.b)) if each]
        moved = {event.id for pair in stretch.moved for event in pair}
        lines = []
        for a, b in stretch.rows():
            if a is not None and b is not None and self._ended(a) != self._ended(b):
                lines += [self._line(a, None, "!"), self._line(None, b, "!")]
            else:
                alone = "~" if (a or b or visit.events[0]).id in moved else "<" if b is None else ">"
                lines.append(self._line(a, b, "" if a and b else alone))
        headings = ("", "A", "B", "A took", "B took", "", visit_service(visit), " | ".join(nodes))
        yield from self._table(headings, lines, *headings[1:5])

    def _ended(self, event: Event) -> tuple[object, ...]:
        """What a pair of events is told twice for; other values of theirs are told among the changes."""
        return event.status, event.outcome, event.level, error(event)

    def _line(self, a: Event | None, b: Event | None, mark: str) -> list[Segment]:
        event = a or b
        assert event is not None, "a row has an event"
        level = letter(event.document)
        took = [each.duration_ns if each is not None else None for each in (a, b)]
        told = message(event, self._pen.ink)
        said = (f"{told.words} {told.outcome}".strip(), error(event), *fields(event.document))
        return [
            Segment(mark),
            Segment("" if a is None else offset(self._found.a, a)),
            Segment("" if b is None else offset(self._found.b, b)),
            *(Segment("" if each is None else milliseconds(each), "dim") for each in took),
            Segment(level, level),
            Segment(where(event)),
            Segment("  ".join(filter(None, said)), level if mark else ""),
        ]

    def _said(self, event: Event) -> str:
        told = message(event, self._pen.ink).whole
        return "  ".join(filter(None, (told, error(event), *fields(event.document))))
