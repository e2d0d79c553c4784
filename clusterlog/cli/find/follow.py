"""Looking on: every event of a home as it is logged, and one request watched until it has ended."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from types import TracebackType
from typing import Any, Protocol, Self

from clusterlog.cli import paint
from clusterlog.cli.drawing.lines import ALIGNED, Columns
from clusterlog.cli.find.feed import Feed, Polled, Reader, feed_of
from clusterlog.cli.line import escaped, letter
from clusterlog.errors import SettingError, TimedOut
from clusterlog.search import pasted
from clusterlog.search.instant import spoken
from clusterlog.search.live.stream import Stream, Told
from clusterlog.search.story.event import Document, text
from clusterlog.settings import Settings
from clusterlog.store.query import Everything, Match, Node, Or, Query, Wildcard

REDRAW_S = 0.1
_REDRAW_SHARE = 3

_REQUEST, _TRACE = "http.request.id", "trace.id"


def of_request(given: str) -> Node:
    """What asks for the requests that a pasted text may mean, also for those that do not exist yet.

    Raises SettingError for what cannot be an id, and for the id of an event.
    """
    asked = pasted.read(given)
    if asked.event:
        raise SettingError(f"{asked.event} is an event's id: give that of its request, or ask `clusterlog trace`")
    named = [Match(_REQUEST, each) for each in asked.requests] + [Match(_TRACE, each) for each in asked.traces]
    parts = ((asked.beginning, (asked.beginning, "")), (asked.end, ("", asked.end)))
    return Or((*named, *(Wildcard(_REQUEST, pattern) for part, pattern in parts if part)))


class Telling(Protocol):
    """How somebody is kept informed of a request while it goes on."""

    def __call__(self, new: Sequence[Told], documents: Sequence[Document]) -> None:
        """``new`` has come since the last call, ``documents`` is all there is so far."""


def follow(
    settings: Settings, given: str, *, output: str, wait_s: float | None, draw: Callable[[list[Document]], Any]
) -> bool:
    """Look on until the request exists, was answered and is quiet; whether all of it has been shown by then.

    ``output``: ``human`` repaints a terminal with ``draw``; there, and for formats that are one document, the request
    as a whole is still to be shown. ``plain`` and ``ndjson`` show events as they come. Empty: nobody looks on.
    Raises TimedOut after ``wait_s`` seconds (``None``: never), NotFound if several requests fit ``given``.
    """
    screen = output == "human" and paint.terminal(sys.stdout) and os.environ.get("TERM") != "dumb"
    if screen:
        with Picture(draw) as picture:
            ended = _watch(settings, given, wait_s, picture)
    else:
        ended = _watch(settings, given, wait_s, Lines(output) if output in ("human", "plain", "ndjson") else _nothing)
    if output:
        paint.say(f"finished: {paint.counted(ended, 'event')}")
    return output in ("human", "plain", "ndjson") and not screen


def _nothing(new: Sequence[Told], documents: Sequence[Document]) -> None:
    """Nobody looks on."""


def _watch(settings: Settings, given: str, wait_s: float | None, tell: Telling) -> int:
    """How many events the request had when it was finished."""
    deadline = None if wait_s is None else time.monotonic() + wait_s
    reader = Reader()
    of_request(given)  # what is no id is refused at once
    with feed_of(settings, reader, deadline) as looked:
        watched = _Watched(looked, given, settings)
        tell(watched.look(), watched.documents)
        if not watched.documents and paint.terminal(sys.stderr):
            paint.say(f"no request {escaped(given)} yet: waiting for it; Ctrl-C ends")
        while True:
            tell(watched.look(), watched.documents)
            if watched.is_finished():
                return len(watched.documents)
            if deadline is not None and time.monotonic() >= deadline:
                raise TimedOut(watched.so_far(wait_s or 0.0))
            looked.pause(reader)


class _Watched:
    """One request as it goes on."""

    def __init__(self, feed: Feed | Polled, given: str, settings: Settings) -> None:
        self.documents: list[Document] = []
        self._feed = feed
        self._said = pasted.read(given).said
        self._wide: Node | None = of_request(given)
        self._traces = pasted.read(given).traces
        self._quiet_since_ns = 0
        self._judged = 0
        self._is_answered = False
        feed.wants(self._wide)
        self._stream = Stream(self._wide, window_ns=feed.window_ns)
        if (store := feed.store()) is not None and store.count(Query(self._wide)):
            from clusterlog.cli.find.request import documents

            self._narrow(documents(store, given, settings))
            self._stream.offer([each.body for each in feed.find(Query(self._stream.where, limit=None))], time.time_ns())

    def _narrow(self, found: Sequence[Document]) -> None:
        """From here on no other request is meant, although others may fit."""
        ids = dict.fromkeys(filter(None, (text(each, _REQUEST) for each in found)))
        named = [Match(_REQUEST, each) for each in ids] + [Match(_TRACE, each) for each in self._traces]
        where = Or(tuple(named))
        self._feed.wants(where)
        self._wide, self._stream = None, Stream(where, window_ns=self._feed.window_ns)

    def look(self) -> list[Told]:
        """What has come since the last look."""
        bodies, now = self._feed.arrivals(), time.time_ns()
        if self._wide is not None and (first := next(self._fitting(bodies), None)) is not None:
            self._narrow([first])
        self._stream.offer(bodies, now)
        new = self._stream.due(now)
        if new:
            # What lay there when one came to look has been quiet since it happened.
            self._quiet_since_ns = now if self.documents else max(min(now, each.key[0]) for each in new)
            self.documents += [each.event for each in new]
        return new

    def _fitting(self, bodies: Sequence[bytes]) -> Iterator[Document]:
        stream = Stream(self._wide or Everything(), order="arrival")
        stream.offer(bodies, time.time_ns())
        return (each.event for each in stream.all())

    def is_finished(self) -> bool:
        """Whether the request was answered and nothing came of it for a moment."""
        if not self.documents or time.time_ns() - self._quiet_since_ns < self._feed.quiet_s * 1e9:
            return False
        if self._judged != len(self.documents):
            from clusterlog.search.story.journey import journey

            self._judged = len(self.documents)
            self._is_answered = journey(self.documents).root is not None
        return self._is_answered

    def so_far(self, waited_s: float) -> str:
        """What there is when the time is over."""
        if not self.documents:
            return f"no request {self._said} after {waited_s:g} s"
        there = paint.counted(len(self.documents), "event")
        ago = spoken(time.time_ns() - self._quiet_since_ns)
        return f"request {self._said} has not ended after {waited_s:g} s: {there} so far, the newest {ago} ago"


class Lines:
    """The events of a request as lines, or as they are stored, one by one as they come."""

    def __init__(self, output: str) -> None:
        self._columns = (
            None if output == "ndjson" else Columns(whole_ids=output == "plain", ascii_only=not paint.unicode())
        )

    def __call__(self, new: Sequence[Told], documents: Sequence[Document]) -> None:
        """Show what is new."""
        show(new, self._columns)


def show(told: Iterable[Told], columns: Columns | None) -> None:
    """Events as lines, in the colours of their levels; without ``columns`` as they are stored. Written at once."""
    if columns is not None:
        told = iter(told)
        begun = list(islice(told, ALIGNED))
        columns.see(each.event for each in begun)
        told = chain(begun, told)
    for each in told:
        if columns is None:
            paint.emit(each.body)
        else:
            paint.show(paint.inked(columns.line(each.event), letter(each.event)))
    sys.stdout.flush()


class Picture:
    """A request painted again and again on the terminal's other screen, so that it leaves no trace on the first one."""

    _OTHER, _FIRST = "\x1b[?1049h", "\x1b[?1049l"
    _BEGIN, _END = "\x1b[?2026h\x1b[H\x1b[J", "\x1b[?2026l"  # where it is known, the terminal shows nothing half done

    def __init__(self, draw: Callable[[list[Document]], Any]) -> None:
        self._draw = draw
        self._documents: list[Document] = []
        self._due = 0.0
        self._size: object = None
        self._is_stale = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._size is None:
            return
        sys.stdout.write(self._FIRST)
        if kind is not None and issubclass(kind, KeyboardInterrupt | TimedOut):
            self._paint()  # what was seen last stays
        sys.stdout.flush()

    def __call__(self, new: Sequence[Told], documents: Sequence[Document]) -> None:
        """Paint it again if there is something new, and not so often that nothing else gets done."""
        self._documents = list(documents)
        size = shutil.get_terminal_size()
        self._is_stale |= bool(new) or (self._size is not None and size != self._size)
        now = time.monotonic()
        if not self._is_stale or now < self._due:
            return
        sys.stdout.write((self._OTHER if self._size is None else "") + self._BEGIN)
        self._size, self._is_stale = size, False
        self._paint()
        sys.stdout.write(self._END)
        sys.stdout.flush()
        self._due = time.monotonic() + max(REDRAW_S, (time.monotonic() - now) * _REDRAW_SHARE)

    def _paint(self) -> None:
        with paint.unpaged(), suppress(SettingError):  # a node that was asked for may still come
            self._draw(self._documents)
