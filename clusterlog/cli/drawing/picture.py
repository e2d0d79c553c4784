"""One request as rows: what is to be said about it, and under that each event, in causal order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from clusterlog.cli.drawing.lanes import Lanes
from clusterlog.cli.drawing.pen import ASCII, INDENT, Ink, Pen, Row, Segment, bounded, row_of, wrapped
from clusterlog.cli.line import columns, fields, letter
from clusterlog.search.instant import spoken
from clusterlog.search.story.event import Event, name, request_line, text
from clusterlog.search.story.journey import Entry, Gap, Journey
from clusterlog.search.story.verdict import verdict

NARROW = 80
"""Below so many columns a lane is told by its letter alone."""

_DELTA = 7
_WHERE = 22
_MESSAGE = 36  # columns a message should have before lanes are drawn closer together
_LEAST = 8  # columns a message has in any case
_LABELS = {"failure": "why", "time": "time", "data": "data"}


def draw(journey: Journey, *, width: int | None = None, ascii_only: bool = False) -> list[str]:
    """The picture as lines of text without colour; arguments as for ``rows``."""
    drawn = rows(journey, width=width, ascii_only=ascii_only)
    return ["".join(segment.text for segment in row).rstrip() for row in drawn]


def rows(journey: Journey, *, width: int | None = None, ascii_only: bool = False) -> list[Row]:
    """The picture as rows of segments.

    ``width`` is in columns of a terminal, 40 or more; without one nothing is cut. With ``ascii_only`` nothing but
    ASCII is drawn, and foreign characters are escaped.
    """
    pen = Pen(ASCII if ascii_only else Ink(), ascii_only)
    lanes = Lanes(journey, pen)
    drawn = [*_header(journey, lanes, pen, width), (), *_Table(journey, lanes, pen, width).rows()]
    return drawn if width is None else [bounded(row, width) for row in drawn]


def _header(journey: Journey, lanes: Lanes, pen: Pen, width: int | None) -> Iterator[Row]:
    yield from wrapped([Segment("Request ")], _facts(journey, pen), width)
    for sentence in verdict(journey):
        words = [Segment(word) for word in pen.clean(sentence.text).split(" ")]
        role = "bad" if sentence.kind == "failure" else "dim"
        yield from wrapped([Segment(_LABELS[sentence.kind].ljust(INDENT), role)], words, width, " ")
    labels = [
        Segment(f"{chr(ord('a') + number)} {pen.fit(label, 40)}", f"lane{number}")
        for number, label in enumerate(lanes.labels)
    ]
    yield from wrapped([Segment("nodes".ljust(INDENT), "dim")], labels, width)


def _facts(journey: Journey, pen: Pen) -> Iterator[Segment]:
    yield Segment(pen.fit(journey.id, 100) or "?", "id")
    if journey.root is not None:
        answer = f" {pen.ink.leads_to} {journey.status}" if journey.status is not None else ""
        yield Segment(pen.fit(f"{journey.method} {journey.route}".strip(), 100) + answer)
    role = {"ok": "good", "failed": "bad"}.get(journey.outcome, "")
    yield Segment(journey.outcome.upper() if journey.outcome != "ok" else "ok", role)
    if journey.duration_ns is not None:
        yield Segment(spoken(journey.duration_ns) + ("" if journey.root is not None else " so far"))
    for count, what in ((len(journey.nodes), "node"), (len(journey.entries), "event"), (journey.spans, "span")):
        yield Segment(f"{count} {what}{'' if count == 1 else 's'}")
    if journey.started:
        yield Segment(f"{journey.started[:23]}Z", "dim")


class _Table:
    """The events, one row each, under one another."""

    def __init__(self, journey: Journey, lanes: Lanes, pen: Pen, width: int | None) -> None:
        self._journey = journey
        self._lanes = lanes
        self._pen = pen
        self._offsets = [self._offset(entry) for entry in journey.entries]
        self._time = max(map(len, self._offsets)) + 1  # and a mark before it
        wheres = [_where(entry.event) for entry in journey.entries]
        self._where = min(_WHERE, max(5, *(columns(pen.clean(where[:100])) for where in set(wheres))))
        self._pitch = self._chosen_pitch(width)
        left = None if width is None else width - self._before() - self._where - 2
        if left is not None and left < _LEAST:
            self._where = max(5, self._where + left - _LEAST)
        self._room = None if width is None else max(_LEAST, width - self._before() - self._where - 2)

    def _before(self) -> int:
        """Columns before the logger's name."""
        return self._time + 2 + _DELTA + 2 + self._lanes.width(self._pitch) + 2 + 2

    def _chosen_pitch(self, width: int | None) -> int:
        """How far lanes stand apart: as far as leaves room for messages; 0 for letters instead of lanes."""
        self._pitch = 4
        if width is not None:
            for self._pitch in (4, 3, 2):
                if width - self._before() - self._where - 2 >= _MESSAGE:
                    break
            if width < NARROW:
                self._pitch = 0
        return self._pitch

    def rows(self) -> Iterator[Row]:
        """The head, the events with the pauses between them, and what the marks mean."""
        yield self._head()
        gaps = {gap.place: gap for gap in self._journey.gaps}
        for number, entry in enumerate(self._journey.entries):
            if number in gaps:
                yield self._gap(number, gaps[number])
            yield from self._event(number, entry)
        if not all(entry.certain for entry in self._journey.entries):
            yield ()
            yield row_of(Segment("~ not known to be after the line above", "dim"))

    def _head(self) -> Row:
        delta = self._pen.ink.delta.rjust(_DELTA)
        cells = [Segment("time".rjust(self._time) + "  " + delta + "  ", "dim"), *self._lanes.letters(self._pitch)]
        return row_of(*cells, Segment("    " + "where".ljust(self._where) + "  message", "dim"))

    def _gap(self, number: int, gap: Gap) -> Row:
        said = f"{spoken(gap.length_ns)}, no events on any node"
        if gap.open:
            said += f"; open: {name(gap.open[0])} on {gap.open[0].node}"
        room = None if self._room is None else self._room + self._where + 2
        beside = self._lanes.beside(number - 1, self._pitch, self._pen.ink.gap)
        return row_of(Segment(self._blank()), *beside, Segment("    " + self._pen.fit(said, room), "dim"))

    def _blank(self) -> str:
        return " " * (self._time + 2 + _DELTA + 2)

    def _event(self, number: int, entry: Entry) -> Iterator[Row]:
        event, pen = entry.event, self._pen
        level = letter(event.document)
        mark = "" if entry.certain else "~"
        time = (mark + self._offsets[number]).rjust(self._time)
        where = pen.fit_end(_where(event), self._where)
        error, message = _error(event), _message(event, pen.ink)
        beside = bool(error) and self._fits(f"{message.whole}  {error}")
        yield row_of(
            Segment(time + "  "),
            Segment(self._delta(number).rjust(_DELTA) + "  ", "dim"),
            *self._lanes.at(number, entry, self._pitch),
            Segment(f"  {level} ", level),
            Segment(where + " " * (self._where - columns(where)) + "  "),
            *self._told(message, error if beside else "", event, level),
        )
        if error and not beside:
            lanes = self._lanes.beside(number, self._pitch, pen.ink.open)
            indent = " " * (self._where + 2)
            yield row_of(
                Segment(self._blank()), *lanes, Segment(f"    {indent}"), Segment(pen.fit(error, self._room), level)
            )

    def _fits(self, shown: str) -> bool:
        return self._room is None or (len(shown) <= 4 * self._room and columns(self._pen.clean(shown)) <= self._room)

    def _told(self, message: _Message, error: str, event: Event, level: str) -> Iterator[Segment]:
        """Message, exception and fields, as far as there is room; an outcome has its room before the words."""
        left = self._room
        known = message.outcome if not self._fits(message.whole) else f"{message.outcome} {message.took}".strip()
        behind = self._pen.fit(f" {known}" if known and message.words else known, left)
        cut = self._pen.fit_middle if behind else self._pen.fit
        said = cut(message.words, None if left is None else max(0, left - columns(behind))) + behind
        yield Segment(said, level)
        used = columns(said)
        for foreign, role in ((error, level), (" ".join(fields(event.document)), "dim")):
            if foreign and (left is None or left - used > 2 + len(self._pen.ink.cut)):
                apart = "  " if used else ""
                shown = self._pen.fit(foreign, None if left is None else left - used - len(apart))
                used += len(apart) + columns(shown)
                yield Segment(apart + shown, role)

    def _offset(self, entry: Entry) -> str:
        offset = self._journey.offset_ns(entry.event)
        return "?" if offset is None else f"{offset / 1e9:+.3f}"

    def _delta(self, number: int) -> str:
        """Since the row above, unless one of the two clocks is wrong or the order is not that of the clock."""
        if not number:
            return ""
        before, entry = self._journey.entries[number - 1], self._journey.entries[number]
        times = before.event.time_ns, entry.event.time_ns
        if times[0] is None or times[1] is None or times[1] < times[0]:
            return ""
        wrong = [self._journey.lanes[one.lane].clock.at_least_ns is not None for one in (before, entry)]
        return "" if before.lane != entry.lane and any(wrong) else _brief(times[1] - times[0])


def _brief(ns: int) -> str:
    """A length of time within its column; empty if it is of no use there, beyond millennia."""
    lengths = (spoken(ns), f"{ns // 1_000_000_000} s", f"{ns // 86_400_000_000_000} d")
    return next((length for length in lengths if len(length) <= _DELTA), "")


def _where(event: Event) -> str:
    """The logger; of our own loggers, what kind of event it is."""
    return event.logger.removeprefix("clusterlog.") if event.kind != "line" else event.logger


class _Message(NamedTuple):
    """What happened. ``outcome`` is what must not be cut off behind the words, ``took`` what may go first."""

    words: str
    outcome: str = ""
    took: str = ""

    @property
    def whole(self) -> str:
        """All of it."""
        return " ".join(filter(None, self))


def _message(event: Event, ink: Ink) -> _Message:
    took = "" if event.duration_ns is None else spoken(event.duration_ns)
    status = "" if event.status is None else str(event.status)
    if event.kind == "access":
        asked = f"{text(event.document, 'http.request.method')} {text(event.document, 'url.path')}".strip()
        reason = text(event.document, "event.reason")
        answer = status or f"no response{reason and f' ({reason})'}"
        if asked:
            return _Message(asked, f"{ink.leads_to} {answer}", took and f"in {took}")
    if event.kind == "call" and (asked := request_line(event)):
        answer = status or ("failed" if event.failed else "")
        return _Message(f"{ink.leads_to} {asked}", answer, took and f"in {took}")
    return _Message(text(event.document, "message"), took=f"took {took}" if event.kind == "span" and took else "")


def _error(event: Event) -> str:
    """Type, message and short fingerprint of an exception, as far as the event's message does not say them."""
    kind, said = text(event.document, "error.type"), text(event.document, "error.message")
    message = text(event.document, "message") if event.kind == "line" else ""
    raised = ": ".join(filter(None, (kind, said)))
    fingerprint = text(event.document, "clusterlog.error.fingerprint")[:4]
    known = bool(raised) and kind in message and said in message
    return "  ".join(filter(None, ("" if known else raised, fingerprint and f"#{fingerprint}")))
