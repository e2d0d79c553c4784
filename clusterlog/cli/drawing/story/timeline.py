"""The events of a request, a line each, under one another: time, time since the line above, lanes, words."""

from __future__ import annotations

from collections.abc import Iterator

from clusterlog.cli.drawing.message import DELTA, Message, delta, error, message, offset, where
from clusterlog.cli.drawing.pen import Pen, Row, Segment, row_of
from clusterlog.cli.drawing.story.lanes import Lanes
from clusterlog.cli.drawing.story.selection import Bracket, Line, Selection, View
from clusterlog.cli.line import LETTERS, columns, fields, letter
from clusterlog.search.instant import spoken
from clusterlog.search.receipt import Loss
from clusterlog.search.story.event import Event, name
from clusterlog.search.story.journey import Entry, Gap, Journey

NARROW = 80
"""Below so many columns a lane is told by its letter alone."""

NARROWEST = 60
"""Below so many columns there is none for the time since the line above."""

_WHERE = 22
_SHARE = 6  # of a narrow terminal the part that names of loggers get
_MESSAGE = 36  # columns a message should have before lanes are drawn closer together
_LEAST = 8  # columns a message has in any case


class Timeline:
    """The lines of a selection as rows. ``width`` is in columns of the terminal; without one nothing is cut."""

    def __init__(self, journey: Journey, selection: Selection, lanes: Lanes, pen: Pen, width: int | None) -> None:
        self._journey = journey
        self._selection = selection
        self._lanes = lanes
        self._pen = pen
        events = [line.what.event for line in selection.lines if isinstance(line.what, Entry)]
        events += [line.what for line in selection.lines if isinstance(line.what, Event)]
        self._offsets = {event.id: offset(journey, event) for event in events}
        self._time = max(map(len, self._offsets.values()), default=4) + 1  # and a bracket before it
        wheres = {where(event)[:100] for event in events}
        self._delta = 0 if width is not None and width < NARROWEST else DELTA + 2
        most = _WHERE if width is None or width >= NARROW else max(8, width // _SHARE)
        self._where = min(most, max((5, *(columns(pen.clean(each)) for each in wheres))))
        self._pitch = self._chosen_pitch(width)
        left = None if width is None else width - self._before() - self._where - 2
        if left is not None and left < _LEAST:
            self._where = max(5, self._where + left - _LEAST)
        self._names: dict[str, str] = {}
        self._room = None if width is None else max(_LEAST, width - self._before() - self._where - 2)

    def _before(self) -> int:
        """Columns before the logger's name."""
        return self._time + 2 + self._delta + self._lanes.width(self._pitch) + 2 + 2

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
        """The head, and the lines under it."""
        since = self._pen.ink.delta.rjust(DELTA) + "  "
        times = Segment("time".rjust(self._time) + "  " + since[: self._delta], "dim")
        yield row_of(
            times, *self._lanes.letters(self._pitch), Segment("    " + "where".ljust(self._where) + "  message", "dim")
        )
        row = -1  # of the event above
        before: Line | None = None
        for line in self._selection.lines:
            if isinstance(line.what, Entry):
                row = line.number
                yield from self._event(line, line.what, before)
            else:
                yield self._between(line, row)
            before = line if isinstance(line.what, Entry) else before

    def _between(self, line: Line, row: int) -> Row:
        if isinstance(line.what, Gap):
            return self._gap(line, line.what, row)
        if isinstance(line.what, Loss):
            beside = self._lanes.beside(row, self._pitch, self._pen.ink.open, line.lane, self._pen.ink.gap)
            said = self._pen.fit(f"{line.what.text} here", self._wide_room)
            return row_of(self._blank(line.bracket), *beside, Segment("  ! ", "bad"), Segment(said, "bad"))
        assert isinstance(line.what, Event)
        return self._neighbour(line, line.what, row)

    def _gap(self, line: Line, gap: Gap, row: int) -> Row:
        said = f"{spoken(gap.length_ns)}, no events on any node"
        if gap.open:
            said += f"; open: {name(gap.open[0])} on {gap.open[0].node}"
        beside = self._lanes.beside(row, self._pitch, self._pen.ink.gap)
        return row_of(self._blank(line.bracket), *beside, Segment("    " + self._pen.fit(said, self._wide_room), "dim"))

    def _neighbour(self, line: Line, event: Event, row: int) -> Row:
        beside = self._lanes.beside(row, self._pitch, self._pen.ink.open, line.lane, self._pen.ink.neighbour)
        time = self._offsets[event.id].rjust(self._time - 1)
        cells = Segment(f"{self._bracketed(line.bracket)}{time}{' ' * (2 + self._delta)}", "dim")
        told = "".join(segment.text for segment in self._told(message(event, self._pen.ink), error(event), event, ""))
        words = f"  {letter(event.document)} {self._named(event)}  {told}"
        return row_of(cells, *beside, Segment(words, "dim"))

    @property
    def _wide_room(self) -> int | None:
        """Columns for words that need no logger before them."""
        return None if self._room is None else self._room + self._where + 2

    def _blank(self, bracket: Bracket) -> Segment:
        return Segment(self._bracketed(bracket) + " " * (self._time - 1 + 2 + self._delta))

    def _bracketed(self, bracket: Bracket) -> str:
        ink = self._pen.ink
        return {"": " ", "begin": ink.begin, "within": ink.within, "end": ink.last}[bracket]

    def _named(self, event: Event) -> str:
        name = where(event)
        if name not in self._names:
            shown = self._pen.fit_end(name, self._where)
            self._names[name] = shown + " " * (self._where - columns(shown))
        return self._names[name]

    def _event(self, line: Line, entry: Entry, before: Line | None) -> Iterator[Row]:
        event, pen = entry.event, self._pen
        level = LETTERS.get(event.level, "-")
        time = self._offsets[event.id].rjust(self._time - 1)
        failed, told = error(event), message(event, pen.ink)
        beside = bool(failed) and self._fits(f"{told.whole}  {failed}")
        above = before.what if before is not None and isinstance(before.what, Entry) else None
        yield row_of(
            Segment(self._bracketed(line.bracket), "dim"),
            Segment(time + "  "),
            Segment((delta(self._journey, above, entry).rjust(DELTA) + "  ")[: self._delta], "dim"),
            *self._lanes.at(line.number, entry, self._pitch),
            Segment(f"  {level} ", level),
            Segment(self._named(event) + "  "),
            *self._told(told, failed if beside else "", event, level),
        )
        if failed and not beside:
            within: Bracket = "within" if line.bracket in ("begin", "within") else ""
            lanes = self._lanes.beside(line.number, self._pitch, pen.ink.open)
            indent = Segment(" " * (self._where + 6))
            yield row_of(self._blank(within), *lanes, indent, Segment(pen.fit(failed, self._room), level))

    def _fits(self, shown: str) -> bool:
        if self._room is None or (len(shown) <= self._room and shown.isascii() and shown.isprintable()):
            return True
        return len(shown) <= 4 * self._room and columns(self._pen.clean(shown)) <= self._room

    def _words(self, told: Message, room: int | None) -> tuple[str, int]:
        """A message with its outcome and how long it took, and how many columns that takes."""
        if not told.outcome and not told.took:
            said = self._pen.fit(told.words, room)
            return said, columns(said)
        known = told.outcome if not self._fits(told.whole) else f"{told.outcome} {told.took}".strip()
        behind = self._pen.fit(f" {known}" if known and told.words else known, room)
        cut = self._pen.fit_middle if behind else self._pen.fit
        said = cut(told.words, None if room is None else max(0, room - columns(behind))) + behind
        return said, columns(said)

    def _told(self, told: Message, failed: str, event: Event, level: str) -> Iterator[Segment]:
        """Message, exception and fields, as far as there is room; an outcome has its room before the words."""
        left = self._room
        said, used = self._words(told, left)
        yield Segment(said, level)
        for foreign, role in ((failed, level), (" ".join(fields(event.document)), "dim")):
            if foreign and (left is None or left - used > 2 + len(self._pen.ink.cut)):
                apart = "  " if used else ""
                shown = self._pen.fit(foreign, None if left is None else left - used - len(apart))
                used += len(apart) + columns(shown)
                yield Segment(apart + shown, role)


def legend(selection: Selection, view: View, pen: Pen, *, nested: bool = False) -> Iterator[Row]:
    """Under the lines: what brackets mean, of which a tree has none, and what is not shown."""
    said = []
    if not nested and any(line.bracket for line in selection.lines):
        within = "" if selection.error_ns is None else f" ({pen.ink.plus_minus}{spoken(selection.error_ns)})"
        said.append(f"{pen.ink.begin}{pen.ink.within}{pen.ink.last} order not known{within}")
    if any(isinstance(line.what, Event) for line in selection.lines):
        said.append(f"{pen.ink.neighbour} same process, not of this request")
    if selection.hidden:
        count = "1 event is" if selection.hidden == 1 else f"{selection.hidden:,} events are"
        said.append(f"{count} hidden: {view.hides}")
    if said:
        yield ()
    for each in said:
        yield row_of(Segment(each, "dim"))
