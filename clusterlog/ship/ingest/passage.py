"""One file on its way into the spool: line by line, from where the last run stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from clusterlog.encode.compact import loads
from clusterlog.encode.foreign.document import OF_STATE, ORDINARY, WITH_OWN_ID, Event
from clusterlog.encode.foreign.translation import Lines
from clusterlog.ship.acknowledged import IntervalSet
from clusterlog.ship.ingest import segments
from clusterlog.ship.ingest.bookmarks import RESERVED, Bookmark, Bookmarks
from clusterlog.ship.ingest.inputs import FileProblem, Input, digest
from clusterlog.ship.ingest.lines import EMPTY, LINE_LIMIT, Cutter, Unreadable, parsed
from clusterlog.ship.ingest.report import FileReport, Problem, Watcher
from clusterlog.spool.budget import Budget
from clusterlog.spool.segment import OF_A_FILE, OWN_ID, PRIORITY, STATE

FLUSH_BYTES = 8 << 20
"""Payloads of one pair of segments, about."""
FIRST_LINES = 1_000
"""If none of so many lines at the begin of a file can be read, it is no log of JSON lines."""

_FLAGS = tuple(
    (OF_A_FILE | flag, OF_A_FILE | flag | PRIORITY)
    for _, flag in sorted(((ORDINARY, 0), (WITH_OWN_ID, OWN_ID), (OF_STATE, STATE)))
)
"""The flags of a record, by what the event is and by whether it goes the quick way."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where all files of a run go, and who is told."""

    spool: Path
    bookmarks: Bookmarks
    budget: Budget
    watcher: Watcher


class Passage:
    """Takes one file, and nothing of it twice.

    ``mark`` says from where on; ``tail`` are the bytes before that place. ``there`` are numbers behind it that are in
    the spool or delivered: an earlier run was killed before it could say so.
    """

    def __init__(
        self, way: Way, given: Input, lines: Lines, mark: Bookmark, tail: bytes, there: IntervalSet, report: FileReport
    ) -> None:
        self._way = way
        self._given = given
        self._lines = lines
        self._mark = mark
        self._there = there
        self._report = report
        self._cutter = Cutter(given.read, tail)
        self._pending: list[segments.Numbered] = []
        self._pending_bytes = 0
        self._segment = self._reserved = 0
        self._written = mark.written
        self._offset, self._line, self._number = mark.offset, mark.lines, mark.number
        self._unended = mark.unended
        self._events = mark.events

    def take(self, progress: Callable[[int], None]) -> None:
        """Read the file to its end. ``progress`` is told how many lines there were. Raises FileProblem, OSError."""
        problem: FileProblem | None = None
        try:
            for lines, size in self._cutter:
                if self._unended:  # the end of a line that was taken without one
                    lines = lines[1:] if lines[0] in (b"", b"\r") else lines
                    self._unended = False
                self._take(lines)
                self._offset += size
                self._check_begin()
                if self._pending_bytes >= FLUSH_BYTES:
                    self._flush()
                progress(len(lines))
        except FileProblem as error:  # what was read before it is good
            problem = error
        if problem is None:
            self._take_rest()
        self._flush()
        self._report.lines, self._report.formats = self._line, self._lines.formats
        if problem is not None:
            raise problem

    def _take(self, lines: list[bytes | None]) -> None:
        """What is done here is done for every line, so little is."""
        translate, flags, skipping = self._lines.events, _FLAGS, self._there.last > self._number
        pending, number, at, size, known = self._pending, self._number, self._line, 0, 0
        for line in lines:
            at += 1
            try:
                document = loads(line)  # type: ignore[arg-type] # None is no JSON, either
                made = translate(document, number + 1, line) if type(document) is dict else None  # type: ignore[arg-type]
            except Exception:
                made = None
            if made is None:
                made = self._looked_at(line, number + 1, at)
            for payload, alarming, what in made:
                number += 1
                if skipping and number in self._there:
                    known += what != OF_STATE
                    continue
                size += len(payload)
                pending.append((flags[what][alarming], number, payload))
        self._report.known += known
        self._events += known
        self._pending_bytes += size
        self._number, self._line = number, at

    def _looked_at(self, line: bytes | None, number: int, at: int) -> list[Event]:
        """A line that is not as usual: its events, or what stands for it."""
        try:
            if line is None:
                raise Unreadable("too_long", f"longer than {LINE_LIMIT >> 20} MiB")
            document = parsed(line)
            try:
                made = list(self._lines.events(document, number, line))
            except ValueError as error:
                raise Unreadable("not_an_event", str(error)) from None
            except Exception as error:
                raise Unreadable("not_translated", f"{type(error).__name__}: {error}") from None
        except Unreadable as error:
            return [self._unreadable(error, number, at)]
        self._report.replaced += not _is_utf8(line)
        return made

    def _unreadable(self, error: Unreadable, number: int, at: int) -> Event:
        report = self._report
        if error.reason == EMPTY:
            report.empty += 1
            return self._lines.blank(number)
        report.unreadable[error.reason] += 1
        self._way.watcher.problem(Problem(report.path, at, error.reason, str(error)))
        return self._lines.lost(number, error.reason)

    def _take_rest(self) -> None:
        """What stands behind the last end of line: half a line that is still being written, or a whole one."""
        cutter, rest = self._cutter, self._cutter.rest
        if not rest and not cutter.overlong:
            return
        if self._given.grows and not _is_object(rest):
            self._report.unfinished = len(rest) + cutter.overlong
            return
        self._take([None if cutter.overlong else rest])
        self._offset += cutter.take_rest()
        self._unended = True

    def _check_begin(self) -> None:
        report = self._report
        lost = report.unreadable.total() + report.empty
        if not self._mark.offset and FIRST_LINES <= self._line == lost:
            self._pending.clear()
            report.unreadable.clear()
            report.empty, self._offset = 0, self._mark.offset
            raise FileProblem(f"no log of JSON lines: none of its first {FIRST_LINES:,} lines is one; left out")

    def _flush(self) -> None:
        """Put into the spool what is pending, then say so in the bookmark."""
        if self._offset == self._mark.offset:
            return
        way, instance = self._way, self._mark.instance
        if self._pending:
            if self._segment >= self._reserved:
                self._segment = way.bookmarks.reserve(instance)
                self._reserved = self._segment + RESERVED
            while True:
                try:
                    segments.write(way.spool, instance, self._segment, self._pending, way.budget)
                    break
                except segments.Full as full:
                    way.watcher.make_room(str(full))
            self._written, self._segment = self._segment, self._segment + 1
        new = sum(not flags & STATE for flags, _, _ in self._pending)
        self._report.new += new
        self._events += new
        self._pending, self._pending_bytes = [], 0
        self._mark = replace(
            way.bookmarks.of(instance),
            path=self._given.name,
            first=self._given.first,
            tail=digest(self._cutter.tail),
            offset=self._offset,
            lines=self._line,
            events=self._events,
            number=self._number,
            written=self._written,
            time=self._lines.last_time,
            unended=self._unended,
        )
        way.bookmarks.keep(self._mark)


def _is_object(line: bytes) -> bool:
    """Whether this is a whole JSON object, of which no beginning is one."""
    try:
        parsed(line)
    except Unreadable:
        return False
    return True


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
