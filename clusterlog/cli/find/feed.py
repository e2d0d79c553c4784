"""Where events come from that somebody looks on: the spools of this home, or a store elsewhere that is asked again."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from clusterlog.cli import paint
from clusterlog.cli.home.stored import freshen
from clusterlog.cli.line import escaped
from clusterlog.errors import ClusterlogError, Incomplete, TimedOut
from clusterlog.search.live.polling import LATE_NS, Poll
from clusterlog.search.story.event import text, whole
from clusterlog.settings import Settings
from clusterlog.ship.homelock import HomeLock
from clusterlog.ship.watch.spools import Watch
from clusterlog.store.base import Found, Store
from clusterlog.store.opening import open_store
from clusterlog.store.query import And, Everything, Match, Node, Query, Range

if TYPE_CHECKING:
    from clusterlog.store.embedded import EmbeddedStore

TICK_S, IDLE_TICK_S = 0.02, 0.04
"""How often the spools are looked at while something happens, and when nothing has happened for ``_IDLE_AFTER_S``.

An event held back for ``stream.WINDOW_NS`` is then on the screen within half of what an eye would notice.
"""
_TICK_PER_SEGMENT_S = 0.0002
_IDLE_AFTER_S = 2.0
_HOME_S = 0.2
POLL_S = 1.0
"""How often a store elsewhere is asked; one that takes long for its answer less often."""
_BUSY_SHARE = 4
_HELD_NS = 1_000_000_000
"""How long an event of a store elsewhere is held back for an earlier one: shippers do not wait for each other."""


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
    home = settings.home_path
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

    window_ns: int | None = None
    quiet_s = 1.0
    """After how long a silence nothing more is on its way."""

    def __init__(self, settings: Settings) -> None:
        home = settings.home_path
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

    @property
    def behind(self) -> bool:
        """Whether there is more to be had at once."""
        return self.watch.behind

    def wants(self, where: Node) -> None:
        """From here on only events that match are asked for; spools give all they have in any case."""

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


class Polled:
    """Every event of a store elsewhere as it can be found there: later than it was logged, and each once.

    Raises what ``open_store`` raises. Trouble afterwards is said, and the store asked again.
    """

    behind = False
    window_ns: int | None = _HELD_NS
    quiet_s = 5.0

    def __init__(self, settings: Settings) -> None:
        self._store = open_store(settings)
        self._where: Node = Everything()
        self._poll: Poll | None = None
        self._due = time.monotonic()
        self._told = ""
        late = LATE_NS // 60_000_000_000
        paint.say(
            "asking the store once a second: events come when it can find them, as a rule 2 to 4 s after they were"
            f" logged; what comes more than {late} minutes late is not shown"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close()

    def wants(self, where: Node) -> None:
        """From here on only events that match are asked for."""
        self._where, self._poll = where, None

    def arrivals(self) -> list[bytes]:
        """What has come since the last call; the first one gives nothing."""
        begun = time.monotonic()
        if begun < self._due:
            return []
        found: list[bytes] = []
        try:
            if self._poll is None:
                self._poll = Poll(self._store, self._where, time.time_ns())
            else:
                found = self._poll.look(time.time_ns())
            self._told = ""
        except (ClusterlogError, OSError) as error:
            self._say(error)
        now = time.monotonic()
        self._due = now + max(POLL_S, (now - begun) * _BUSY_SHARE)
        return found

    def pause(self, reader: Reader) -> None:
        """Wait until it is worth looking again."""
        reader.wait(TICK_S)

    def find(self, query: Query) -> Iterator[Found]:
        """What the store has. What it cannot answer is said once."""
        try:
            for each in self._store.find(query):
                if self._poll is not None:
                    self._poll.note((each,))
                yield each
        except (ClusterlogError, OSError) as error:
            self._say(error)

    def store(self) -> Store:
        """The store."""
        return self._store

    def _say(self, error: Exception) -> None:
        if str(error) != self._told:
            self._told = str(error)
            what = "some events cannot be shown" if isinstance(error, Incomplete) else "the store cannot be asked"
            paint.say(f"clusterlog: {what}: {escaped(self._told)}")


def feed_of(settings: Settings, reader: Reader, deadline: float | None = None) -> Feed | Polled:
    """The feed of these settings; a home that is not there yet is waited for, until ``deadline`` (monotonic seconds).

    Raises TimedOut, and what ``open_store`` raises.
    """
    if settings.store:
        return Polled(settings)
    await_home(settings, reader, deadline)
    return Feed(settings)
