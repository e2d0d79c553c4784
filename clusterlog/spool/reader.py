"""The shipper's end of the spool: which instances there are, and their records in order, read on from where one was."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clusterlog.spool import liveness
from clusterlog.spool.segment import HEADER_SIZE, LANES, MAX_PAYLOAD, Damage, Record, SegmentName, scan

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Instance:
    """The files of one instance as they lay in the directory at one moment, with their sizes in bytes.

    ``pid`` is that of its living writer, 0 if it is dead (-1: alive in another pid namespace).
    """

    id: str
    pid: int
    segments: Mapping[SegmentName, int]

    @property
    def alive(self) -> bool:
        """Whether its writer lives, so that a bad tail means "not yet"."""
        return self.pid != 0

    def lane(self, lane: str) -> list[SegmentName]:
        """The segments of one lane, oldest first."""
        return [name for name in self.segments if name.lane == lane]


def instances(spool: Path) -> list[Instance]:
    """Every instance of a spool, oldest first. An absent directory holds none.

    Liveness is asked before the files are listed: what is dead here will not grow any more, and what has a successor
    in its lane will not either.
    """
    try:
        before = os.listdir(spool)
    except FileNotFoundError:
        return []
    alive = {name[:-5]: liveness.holder(spool / name) for name in before if name.endswith(".lock") and name[0] != "."}
    found: dict[str, dict[SegmentName, int]] = {instance: {} for instance in alive}
    with os.scandir(spool) as entries:
        # All names before the first size: a large directory is read piece by piece, and a segment that was looked at
        # before its successor was made may have grown in between.
        listed = list(entries)
    for entry in listed:
        name = SegmentName.parse(entry.name)
        if name is None:
            continue
        if name.instance not in found:
            # Made since, or its writer has said good-bye and taken its lock away.
            alive[name.instance] = liveness.holder(spool / f"{name.instance}.lock")
        found.setdefault(name.instance, {})[name] = _size(entry)
    return [Instance(each, alive[each], dict(sorted(found[each].items()))) for each in sorted(found)]


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # delivered and removed meanwhile
        return 0


@dataclass(slots=True)
class LaneReader:
    """Reads one lane of one instance on and on; remembers where it was and how many bytes were damaged."""

    spool: Path
    instance: str
    lane: str
    number: int = 0
    offset: int = 0
    damaged: int = 0
    last: int = 0
    finished: dict[SegmentName, int] = field(default_factory=dict)
    """Segments read to their final end, oldest first, and the greatest number up to there; whoever deletes them takes
    them from here."""

    def read(self, snapshot: Instance, max_bytes: int = CHUNK) -> list[Record]:
        """The next records, at least one and about ``max_bytes`` of them; empty when ``snapshot`` holds no more."""
        records: list[Record] = []
        names = [name for name in snapshot.lane(self.lane) if name.number >= self.number]
        left = max_bytes
        for name in names:
            if name.number != self.number:
                self.number, self.offset = name.number, 0
            size = snapshot.segments[name]
            final = name is not names[-1] or not snapshot.alive
            if self.offset < size:
                before = self.offset
                self._read_segment(name, size, left, final, records)
                left -= self.offset - before
            if self.offset < size or left <= 0 or not final:
                break
            if name not in self.finished:
                self.finished[name] = self.last
        return records

    def _read_segment(self, name: SegmentName, size: int, left: int, final: bool, into: list[Record]) -> None:
        start = self.offset
        until = min(size, start + max(left, MAX_PAYLOAD + HEADER_SIZE))
        try:
            for item in scan(self.spool / str(name), self.offset, until):
                if isinstance(item, Record):
                    into.append(item)
                    if item.sequence > self.last:  # a call of max() for every event would be dearer than all of this
                        self.last = item.sequence
                elif item.tail and (until < size or not final):
                    if until < size and item.offset == start:  # more damage than the longest record
                        self.damaged += MAX_PAYLOAD
                        self.offset += MAX_PAYLOAD
                    return
                else:
                    self.damaged += item.end - item.offset
                self.offset = item.end
        except FileNotFoundError:  # removed by somebody's clean-up: there is no more of it
            self.offset = size


def records(spool: Path, instance: Instance) -> Iterator[tuple[SegmentName, Record | Damage]]:
    """Everything in an instance's segments, for looking at: lane by lane, oldest first.

    A segment that was delivered and removed meanwhile holds nothing.
    """
    for lane in LANES:
        for name in instance.lane(lane):
            try:
                for item in scan(spool / str(name)):
                    yield name, item
            except FileNotFoundError:
                continue
