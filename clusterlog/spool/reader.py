"""The shipper's end of the spool: which instances there are, and their records in order, read on from where one was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clusterlog.spool import liveness
from clusterlog.spool.segment import LANES, Damage, Record, SegmentName, scan

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Instance:
    """The files of one instance as they lay in the directory at one moment.

    ``pid`` is that of its living writer, 0 if it is dead (-1: alive in another pid namespace).
    """

    id: str
    pid: int
    segments: tuple[SegmentName, ...]

    @property
    def alive(self) -> bool:
        """Whether its writer lives, so that a bad tail means "not yet"."""
        return self.pid != 0

    def lane(self, lane: str) -> list[SegmentName]:
        """The segments of one lane, oldest first."""
        return [name for name in self.segments if name.lane == lane]


def instances(spool: Path) -> list[Instance]:
    """Every instance of a spool, oldest first. An absent directory holds none.

    Liveness is asked before the files are listed: what is dead here will not grow any more.
    """
    try:
        before = os.listdir(spool)
    except FileNotFoundError:
        return []
    alive = {name[:-5]: liveness.holder(spool / name) for name in before if name.endswith(".lock") and name[0] != "."}
    segments: dict[str, list[SegmentName]] = {instance: [] for instance in alive}
    for name in os.listdir(spool):
        segment = SegmentName.parse(name)
        if segment is None:
            continue
        if segment.instance not in segments:
            segments[segment.instance] = []
            alive[segment.instance] = liveness.holder(spool / f"{segment.instance}.lock")
        segments[segment.instance].append(segment)
    return [Instance(each, alive[each], tuple(sorted(segments[each]))) for each in sorted(segments)]


@dataclass(slots=True)
class LaneReader:
    """Reads one lane of one instance on and on; remembers where it was and how many bytes were damaged."""

    spool: Path
    instance: str
    lane: str
    number: int = 0
    offset: int = 0
    damaged: int = 0
    finished: list[SegmentName] = field(default_factory=list)
    """Segments read to their final end, oldest first; whoever deletes them takes them from here."""

    def read(self, snapshot: Instance, max_bytes: int = CHUNK) -> list[Record]:
        """The next records, about ``max_bytes`` of them; empty when there is nothing (yet)."""
        records: list[Record] = []
        names = [name for name in snapshot.lane(self.lane) if name.number >= self.number]
        taken = 0
        for position, name in enumerate(names):
            final = position + 1 < len(names) or not snapshot.alive
            if name.number != self.number:
                self.number, self.offset = name.number, 0
            taken += self._read_segment(name, final, max_bytes - taken, records)
            if taken >= max_bytes or not final:
                break
            if self.offset >= (self.spool / str(name)).stat().st_size and name not in self.finished:
                self.finished.append(name)
        return records

    def _read_segment(self, name: SegmentName, final: bool, max_bytes: int, into: list[Record]) -> int:
        start = self.offset
        try:
            for item in scan(self.spool / str(name), self.offset, max_bytes):
                if isinstance(item, Damage):
                    if item.tail and not final:
                        break
                    self.damaged += item.end - item.offset
                else:
                    into.append(item)
                self.offset = item.end
        except FileNotFoundError:  # removed by its owner's clean-up
            return 0
        return self.offset - start


def records(spool: Path, instance: Instance) -> Iterator[tuple[SegmentName, Record | Damage]]:
    """Everything in an instance's segments, for looking at: lane by lane, oldest first."""
    for lane in LANES:
        for name in instance.lane(lane):
            for item in scan(spool / str(name)):
                yield name, item
