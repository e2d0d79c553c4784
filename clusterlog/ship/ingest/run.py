"""Files, one after the other, into the spool of a home."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from clusterlog.encode.foreign.document import Subject
from clusterlog.encode.foreign.translation import Lines, Translator
from clusterlog.errors import HomeBusy, NotAllowed, SettingError
from clusterlog.ship.acknowledged import Acknowledged, IntervalSet
from clusterlog.ship.ingest import segments
from clusterlog.ship.ingest.bookmarks import Bookmark, Bookmarks
from clusterlog.ship.ingest.files import stem
from clusterlog.ship.ingest.inputs import FileProblem, Input, digest
from clusterlog.ship.ingest.passage import Passage, Way
from clusterlog.ship.ingest.report import FileReport, Watcher
from clusterlog.spool import filesystem, liveness
from clusterlog.spool.budget import Budget
from clusterlog.spool.reader import instances
from clusterlog.spool.segment import Record, scan

LOCK = "ingest.lock"


class Ingest:
    """Ingests into ``home``, as the only one who does. ``environment`` is that of lines for which nobody says one.

    ``again`` reads once more what was read before. Raises HomeBusy while another process ingests here, NotAllowed,
    SettingError for a home that cannot be one.
    """

    def __init__(
        self,
        home: Path,
        translator: Translator,
        *,
        environment: str,
        budget: Budget | None = None,
        watcher: Watcher | None = None,
        again: bool = False,
    ) -> None:
        self._lock_file = home / "run" / LOCK
        self._lock = _locked(home)
        spool = home / "spool"
        segments.clear_away(spool)
        self._translator = translator
        self._environment = environment
        self._again = again
        self._way = Way(spool, Bookmarks.load(home), budget or Budget(), watcher or Watcher())
        self._there = {each.id: each for each in instances(spool)}
        self._acknowledged = Acknowledged.load(home)
        self._bytes = self._total = self._lines = 0

    def files(self, paths: Iterable[str]) -> list[FileReport]:
        """Ingest these, in this order; one that cannot be read does not stop the others. Raises OSError."""
        paths = list(paths)
        self._total = sum(map(_size, paths))
        try:
            return [self._file(path) for path in paths]
        finally:
            self._way.bookmarks.save()

    def _file(self, path: str) -> FileReport:
        report = FileReport(path)
        try:
            with Input(path) as given:
                if given.instance:
                    self._ingest(given, report)
                else:
                    report.unfinished = given.size
                self._bytes += given.size
        except FileProblem as problem:
            report.problem = str(problem)
        return report

    def _ingest(self, given: Input, report: FileReport) -> None:
        mark, tail = self._place(given, report)
        report.instance = mark.instance
        report.skipped, report.known = mark.lines, mark.events
        name = stem(given.path)
        changed = _rfc3339(given.changed_ns)
        subject = Subject(mark.instance, given.name, name, name, self._environment, changed)
        lines = Lines(self._translator, subject, mark.time)
        passage = Passage(self._way, given, lines, mark, tail, self._numbers(mark), report)

        def done(lines: int) -> None:
            self._lines += lines
            self._way.watcher.progress(self._bytes + given.position, self._total, self._lines)

        passage.take(done)

    def _place(self, given: Input, report: FileReport) -> tuple[Bookmark, bytes]:
        """Where to go on in a file, which is there then, and the bytes before that place. Raises FileProblem.

        A file that nobody knows and that is the same as another one as far as that was ingested is a copy of it,
        compressed perhaps: it is gone on with under the other's numbers.
        """
        mark = self._way.bookmarks.of(given.instance)
        if self._again:
            return Bookmark(mark.instance, segment=mark.segment), given.go_to(0) or b""
        if mark.offset:
            tail = given.go_to(mark.offset)
            if tail is None or digest(tail) != mark.tail:
                raise FileProblem(
                    f"not the file any more whose first {mark.lines:,} lines were ingested, though it begins like that"
                    " one and lies in its place: a copy of it is a file of its own"
                )
            return mark, tail
        for other in self._way.bookmarks.like(given.first):
            tail = given.go_to(other.offset)
            if tail is not None and digest(tail) == other.tail:
                report.copy_of = other.path
                return other, tail
        return mark, given.go_to(0) or b""

    def _numbers(self, mark: Bookmark) -> IntervalSet:
        """Numbers behind a bookmark that are in the spool, or delivered: the bookmark is written after them."""
        found = IntervalSet()
        if self._again:
            return found
        there = self._there.get(mark.instance)
        for name in there.segments if there is not None else ():
            if name.number > mark.written:
                for item in scan(self._way.spool / str(name)):
                    if isinstance(item, Record):
                        found.add(item.sequence)
        for first, last in self._acknowledged.instances.get(mark.instance, ()):
            if last > mark.number:
                found.add(max(first, mark.number + 1), last)
        return found

    def close(self) -> None:
        """Let others ingest here. Idempotent."""
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            liveness.let_go(self._lock_file, lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _locked(home: Path) -> int:
    refusal = filesystem.unsuitable(home)
    if refusal:
        raise SettingError(refusal)
    path = home / "run" / LOCK
    try:
        filesystem.make_private(path.parent)
        lock = liveness.hold(path)
    except PermissionError as error:
        raise NotAllowed(
            f"cannot write in {home}: {error.strerror}; run as its owner, or choose another --home"
        ) from None
    except OSError as error:
        raise SettingError(f"{home} cannot be a home: {error.strerror}; choose another --home") from None
    if lock < 0:
        raise HomeBusy(str(home), max(0, liveness.holder(path)), "ingested into", "wait for it")
    return lock


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # standard input, or a file that is gone: opening it tells
        return 0


def _rfc3339(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"
