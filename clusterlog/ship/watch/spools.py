"""All spools of a home, followed: new records of every instance, and the numbers that no spool shows any more."""

from __future__ import annotations

import errno
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from clusterlog.errors import NotAllowed
from clusterlog.ship.acknowledged import Acknowledged, IntervalSet
from clusterlog.ship.watch.segment import FollowedSegment
from clusterlog.spool.reader import Instance, instances
from clusterlog.spool.segment import PRIORITY, Record, SegmentName

LIST_S = 1.0
"""How often the directory is listed although nothing tells of a change: a writer that was killed leaves no trace."""
GRACE_S = 0.25
"""How long a number may be missing before it is looked for elsewhere: the lanes of an instance are two files."""
STALL_S = 0.5
"""After looking away for so long, whole instances may have come and gone."""

_SETTLED_NS = 20_000_000
"""Directories tell their changes in steps of the kernel's clock, 10 ms at most: a fresh one is listed again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as it lies in a spool; ``priority`` is the lane (WARNING and above), ``body`` its final JSON."""

    instance: str
    sequence: int
    priority: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """Numbers of an instance that were in no spool when one could look: delivered and removed meanwhile, or dropped.

    ``last`` is ``None`` where the instance is gone and nobody saw it end.
    """

    instance: str
    first: int
    last: int | None


@dataclass(slots=True)
class _Followed:
    """One instance: its open segments by lane, and the numbers that were seen or acknowledged."""

    numbers: IntervalSet
    base: int | None = None
    """Above this number nothing may be missing; ``None`` until everything was read that lay there at the beginning."""
    lanes: dict[str, deque[FollowedSegment]] = field(default_factory=dict)
    opened: dict[str, int] = field(default_factory=dict)
    changed: bool = False
    incomplete_since: float | None = None
    greatest: int = 0
    ended: bool = False
    """Whether the record with the greatest number is a state event, as the last word of an instance is."""
    gone: bool = False

    def take(self, records: list[Record]) -> list[Record]:
        """Those of them that were not seen before."""
        new = [record for record in records if record.sequence not in self.numbers]
        for record in records:
            self.numbers.add(record.sequence)
            if record.sequence >= self.greatest:
                self.greatest, self.ended = record.sequence, record.state
        self.changed |= bool(records)
        return new

    def holes(self) -> list[tuple[int, int]]:
        """The ranges above ``base`` that are missing below the greatest number."""
        found, expected = [], (self.base or 0) + 1
        for first, last in self.numbers:
            if first > expected:
                found.append((expected, first - 1))
            expected = max(expected, last + 1)
        return found


class Watch:
    """Follows the spools of ``home`` and changes nothing there.

    The first looks give what no store has acknowledged, later ones what is new. Segments are opened as soon as they
    are noticed and read to their end, whoever removes them. ``behind``: there is more to be had at once.
    ``monotonic`` is in seconds, ``wall`` in nanoseconds.
    """

    def __init__(
        self,
        home: Path,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self.spool = home / "spool"
        self.behind = False
        self.stalled_since_ns: int | None = None
        """The last look before one looked away for so long that instances may have come and gone unseen."""
        self._acknowledged = Acknowledged.load(home).instances
        self._monotonic, self._wall = monotonic, wall
        self._followed: dict[str, _Followed] = {}
        self._left: list[str] = []
        self._beginning = True
        self._changed_ns = -1
        self._listed_ns = 0
        self._listed_at = self._looked_at = monotonic()
        self._looked_ns = wall()

    @property
    def instances(self) -> frozenset[str]:
        """Every instance that was seen."""
        return frozenset(self._followed)

    @property
    def segments(self) -> int:
        """How many segments are open: a look costs some microseconds for each."""
        return sum(len(lane) for followed in self._followed.values() for lane in followed.lanes.values())

    def look(self) -> list[Seen]:
        """What was written since, lane by lane in order, WARNING and above first; never waits.

        Raises NotAllowed where the spools may not be read.
        """
        now = self._monotonic()
        self.stalled_since_ns = self._looked_ns if now - self._looked_at > STALL_S else None
        self._looked_at, self._looked_ns = now, self._wall()
        self.behind = False
        if self._is_to_list(now):
            self._list()
        found = []
        for lane in ("priority", "bulk"):
            for instance, followed in self._followed.items():
                if lane in followed.lanes:
                    found += self._read(instance, followed, lane)
        self._judge(now)
        return found

    def claim(self, instance: str, sequence: int) -> bool:
        """Whether an event that was found elsewhere is new. From now on it is not, should a spool still show it."""
        followed = self._followed.setdefault(instance, _Followed(IntervalSet(), 0, gone=True))
        if sequence in followed.numbers:
            return False
        followed.numbers.add(sequence)
        return True

    def missing(self) -> list[Missing]:
        """Numbers that were skipped for good, each told once."""
        found: list[Missing] = []
        if self.behind:
            return found
        for instance, followed in self._followed.items():
            since = followed.incomplete_since
            if since is not None and self._looked_at - since >= GRACE_S:
                found += [Missing(instance, first, last) for first, last in followed.holes()]
                followed.base = max(last for _, last in followed.numbers)
        for instance in self._left:
            if not self._followed[instance].ended:
                found.append(Missing(instance, self._followed[instance].greatest + 1, None))
        self._left.clear()
        return found

    def close(self) -> None:
        """Let go of all files. Idempotent."""
        for followed in self._followed.values():
            for lane in followed.lanes.values():
                for segment in lane:
                    segment.close()
            followed.lanes.clear()

    def _is_to_list(self, now: float) -> bool:
        try:
            changed = os.stat(self.spool).st_mtime_ns
        except OSError:
            changed = -1
        if changed == self._changed_ns and self._listed_ns - changed > _SETTLED_NS and now - self._listed_at < LIST_S:
            return False
        self._changed_ns, self._listed_ns, self._listed_at = changed, self._wall(), now
        return True

    def _list(self) -> None:
        """Open what is new, and see what has come to its end."""
        try:
            found = {each.id: each for each in instances(self.spool)}
        except PermissionError as error:
            raise NotAllowed(f"cannot read {self.spool}: {error.strerror}; run as its owner") from None
        for id, snapshot in found.items():
            followed = self._followed.get(id)
            if followed is None:
                known = self._acknowledged.pop(id, None) or IntervalSet()
                last = max((last for _, last in known), default=0)
                followed = self._followed[id] = _Followed(known, None if self._beginning else 0, greatest=last)
            followed.gone = False
            for name in snapshot.segments:
                if name.number > followed.opened.get(name.lane, 0):
                    self._open(followed, name)
        self._acknowledged.clear()  # what begins later was never seen by anybody
        for id, followed in self._followed.items():
            _finish(followed, found.get(id))
            if id not in found and not followed.gone:
                followed.gone = True
                self._left.append(id)

    def _open(self, followed: _Followed, name: SegmentName) -> None:
        try:
            segment = FollowedSegment(self.spool, name)
        except FileNotFoundError:  # removed meanwhile: its numbers will be missing
            followed.opened[name.lane] = name.number
            return
        except PermissionError as error:
            raise NotAllowed(f"cannot read {self.spool / str(name)}: {error.strerror}; run as its owner") from None
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self.behind, self._changed_ns = True, -1  # again when others are read to their ends and closed
            return
        if self._beginning and len(followed.numbers):
            segment.pass_by(followed.numbers)
        followed.opened[name.lane] = name.number
        followed.lanes.setdefault(name.lane, deque()).append(segment)

    def _read(self, instance: str, followed: _Followed, lane: str) -> list[Seen]:
        segments = followed.lanes[lane]
        found: list[Seen] = []
        while segments:
            records, more = segments[0].read()
            new = followed.take(records)
            found += [Seen(instance, each.sequence, bool(each.flags & PRIORITY), each.payload) for each in new]
            if more or not segments[0].final:
                self.behind |= more
                break
            segments.popleft().close()
        else:
            del followed.lanes[lane]
        return found

    def _judge(self, now: float) -> None:
        """See whose numbers have holes, once nothing more is to be had at once."""
        if self.behind:
            return
        self._beginning = False
        for followed in self._followed.values():
            if followed.base is None:
                followed.base = max((last for _, last in followed.numbers), default=0)
            elif followed.changed or followed.incomplete_since is not None:
                since = now if followed.incomplete_since is None else followed.incomplete_since
                followed.incomplete_since = since if followed.holes() else None
            followed.changed = False


def _finish(followed: _Followed, snapshot: Instance | None) -> None:
    """A segment is final if its lane has a later one, or its writer is dead or gone."""
    for lane, segments in followed.lanes.items():
        for segment in segments:
            is_last = followed.opened[lane] == segment.name.number
            if snapshot is None or not snapshot.alive or not is_last:
                segment.final = True
