"""Looking on: every event of a home as it is logged, and one request watched until it has ended."""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from clusterlog.cli import paint
from clusterlog.cli.home.stored import embedded_home, freshen
from clusterlog.cli.line import Columns, escaped, letter
from clusterlog.errors import ClusterlogError, Incomplete, SettingError, TimedOut
from clusterlog.search import pasted
from clusterlog.search.instant import spoken
from clusterlog.search.live.stream import Stream, Told
from clusterlog.search.story.event import Document, text, whole
from clusterlog.settings import Settings
from clusterlog.ship.homelock import HomeLock
from clusterlog.ship.watch.spools import Watch
from clusterlog.store.base import Found
from clusterlog.store.query import And, Everything, Match, Node, Or, Query, Range, Wildcard

if TYPE_CHECKING:
    from clusterlog.store.embedded import EmbeddedStore

TICK_S, IDLE_TICK_S = 0.02, 0.04
"""How often the spools are looked at while something happens, and when nothing has happened for ``_IDLE_AFTER_S``.

An event held back for ``stream.WINDOW_NS`` is then on the screen within half of what an eye would notice.
"""
_TICK_PER_SEGMENT_S = 0.0002
_IDLE_AFTER_S = 2.0
_HOME_S = 0.2
QUIET_S = 1.0
"""How long a request that was answered must be quiet to count as finished."""
REDRAW_S = 0.1
_REDRAW_SHARE = 3

_REQUEST, _TRACE = "http.request.id", "trace.id"


class Reader:
    """Whoever reads standard output: while there is nothing to write, only the system can tell that they have left."""

    def __init__(self) -> None:
        self._poll: select.poll | None = select.poll()
        try:
            self._poll.register(sys.stdout.fileno(), 0)
        except (OSError, ValueError):  # no file of the system
            self._poll = None

    def wait(self, seconds: float) -> None:
        """Do nothing for so long. Raises BrokenPipeError when nobody reads any more."""
        if self._poll is None:
            time.sleep(seconds)
        elif self._poll.poll(seconds * 1000):
            raise BrokenPipeError


def await_home(settings: Settings, reader: Reader, deadline: float | None = None) -> None:
    """Wait until the home is there, as ``tail -F`` waits for a file, and say so. Raises TimedOut at ``deadline``."""
    home = embedded_home(settings)
    if home.is_dir():
        return
    paint.say(f"no home at {escaped(str(home))} yet: waiting for it; Ctrl-C ends, --home DIR names another")
    while not home.is_dir():
        if deadline is not None and time.monotonic() >= deadline:
            raise TimedOut(f"no home at {home} came meanwhile")
        reader.wait(_HOME_S)
    paint.say(f"{escaped(str(home))} is there now")


class Feed:
    """Every event of a home as it is logged: from the spools, and from the store what they do not show any more.

    At the beginning everything is delivered that waits, unless another process ships this home. Later on it makes no
    difference whether anybody does.
    """

    def __init__(self, settings: Settings) -> None:
        home = embedded_home(settings)
        if not HomeLock.holder(home):
            freshen(settings)
        self.watch = Watch(home)
        self._path = home / "store"
        self._store: EmbeddedStore | None = None
        self._away_since: int | None = None
        self._busy_at = time.monotonic()
        self._told = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.watch.close()
        if self._store is not None:
            self._store.close()

    def arrivals(self) -> list[bytes]:
        """What has come since the last call; the first one gives what no store has acknowledged."""
        found = [each.body for each in self.watch.look()]
        if self._away_since is None:
            self._away_since = self.watch.stalled_since_ns
        if not self.watch.behind:
            found += self._removed_unseen()
        if found:
            self._busy_at = time.monotonic()
        return found

    def pause(self, reader: Reader) -> None:
        """Wait until it is worth looking again."""
        if not self.watch.behind:
            is_idle = time.monotonic() - self._busy_at > _IDLE_AFTER_S
            reader.wait(max(IDLE_TICK_S if is_idle else TICK_S, self.watch.segments * _TICK_PER_SEGMENT_S))

    def find(self, query: Query) -> Iterator[Found]:
        """What the store has; nothing where there is none. What it cannot read is said once, and the rest is given."""
        try:
            if (store := self.store()) is not None:
                yield from store.find(query)
        except (ClusterlogError, OSError) as error:
            if str(error) != self._told:
                self._told = str(error)
                what = "some events cannot be shown" if isinstance(error, Incomplete) else "the store cannot be asked"
                paint.say(f"clusterlog: {what}: {escaped(self._told)}")

    def store(self) -> EmbeddedStore | None:
        """The store as it is now, ``None`` where there is none."""
        if self._store is not None:
            self._store.reload()
        elif self._path.is_dir():
            from clusterlog.store.embedded import EmbeddedStore

            self._store = EmbeddedStore.open(self._path, "read")
        return self._store

    def _removed_unseen(self) -> Iterator[bytes]:
        """Events that were delivered and removed before anybody looked."""
        for each in self.watch.missing():
            numbers = Range("event.sequence", gte=each.first, lte=each.last)
            yield from self._unclaimed(Query(And((Match("process.entity_id", each.instance), numbers)), limit=None))
        if self._away_since is not None:
            since, self._away_since = self._away_since, None
            yield from self._unclaimed(Query(since=since, order="oldest", limit=None))

    def _unclaimed(self, query: Query) -> Iterator[bytes]:
        from clusterlog.store.document import parse

        for found in self.find(query):
            event = parse(found.body)
            number = whole(event, "event.sequence")
            if number is not None and self.watch.claim(text(event, "process.entity_id"), number):
                yield found.body


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
    await_home(settings, reader, deadline)
    with Feed(settings) as feed:
        watched = _Watched(feed, given, settings)
        tell(watched.look(), watched.documents)
        if not watched.documents and paint.terminal(sys.stderr):
            paint.say(f"no request {escaped(given)} yet: waiting for it; Ctrl-C ends")
        while True:
            tell(watched.look(), watched.documents)
            if watched.is_finished():
                return len(watched.documents)
            if deadline is not None and time.monotonic() >= deadline:
                raise TimedOut(watched.so_far(wait_s or 0.0))
            feed.pause(reader)


class _Watched:
    """One request as it goes on."""

    def __init__(self, feed: Feed, given: str, settings: Settings) -> None:
        self.documents: list[Document] = []
        self._feed = feed
        self._said = pasted.read(given).said
        self._wide: Node | None = of_request(given)
        self._traces = pasted.read(given).traces
        self._quiet_since_ns = 0
        self._judged = 0
        self._is_answered = False
        self._stream = Stream(self._wide)
        if (store := feed.store()) is not None and store.count(Query(self._wide)):
            from clusterlog.cli.find.request import documents

            self._narrow(documents(store, given, settings))
            self._stream.offer([each.body for each in feed.find(Query(self._stream.where, limit=None))], time.time_ns())

    def _narrow(self, found: Sequence[Document]) -> None:
        """From here on no other request is meant, although others may fit."""
        ids = dict.fromkeys(filter(None, (text(each, _REQUEST) for each in found)))
        named = [Match(_REQUEST, each) for each in ids] + [Match(_TRACE, each) for each in self._traces]
        self._wide, self._stream = None, Stream(Or(tuple(named)))

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
        if not self.documents or time.time_ns() - self._quiet_since_ns < QUIET_S * 1e9:
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
        self._columns = None if output == "ndjson" else Columns(whole_ids=output == "plain")

    def __call__(self, new: Sequence[Told], documents: Sequence[Document]) -> None:
        """Show what is new."""
        show(new, self._columns)


def show(told: Iterable[Told], columns: Columns | None) -> None:
    """Events as lines, in the colours of their levels; without ``columns`` as they are stored. Written at once."""
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
