"""One instance's spool as the shipper sees it: two lanes read on and on, and what has become of each number."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusterlog.ship.acknowledged import IntervalSet
from clusterlog.spool.reader import Instance, LaneReader
from clusterlog.spool.segment import (
    HEADER_SIZE,
    LANES,
    MAX_PAYLOAD,
    OF_A_FILE,
    OWN_ID,
    PRIORITY,
    STATE,
    Damage,
    Record,
    SegmentName,
    scan,
)
from clusterlog.store.base import Delivery
from clusterlog.store.document import id_of, parse

MAX_RECORD = HEADER_SIZE + MAX_PAYLOAD


@dataclass(slots=True)
class Source:
    """What the shipper remembers of one instance."""

    spool: Path
    snapshot: Instance
    acknowledged: IntervalSet
    dropped: Counter[str] = field(default_factory=Counter)
    closed: bool = False
    last: int = 0
    synced: dict[SegmentName, int] = field(default_factory=dict)
    _tips: dict[str, tuple[int, int]] = field(default_factory=dict)
    _lanes: dict[str, LaneReader] = field(default_factory=dict)

    def read(self, lane: str, max_bytes: int) -> list[Delivery] | None:
        """The next events of a lane, without those acknowledged already; ``None`` when the lane holds no more."""
        reader = self._lanes.get(lane)
        if reader is None:
            reader = self._lanes[lane] = LaneReader(self.spool, self.snapshot.id, lane)
        found = reader.read(self.snapshot, max_bytes)
        if not found:
            return None
        if found[0].flags & OF_A_FILE:
            self.closed = True
        deliveries = []
        instance, acknowledged = self.snapshot.id, self.acknowledged
        behind = acknowledged.last  # what lies beyond is new, as nearly everything is
        for record in found:  # every event comes by here: no call that it can do without
            sequence, flags = record.sequence, record.flags
            if sequence > self.last:
                self.last = sequence
            new = sequence > behind or sequence not in acknowledged
            if flags & STATE:
                self._note(record, new)
            if new:
                id = document_id(instance, record) if flags & OWN_ID else f"{instance}-{sequence:011x}"
                priority = bool(flags & PRIORITY)
                deliveries.append(Delivery(id, instance, sequence, record.payload, priority, record.wall_ns))
        return deliveries

    def _note(self, record: Record, new: bool) -> None:
        """State events tell of the instance itself: its end, and what it could not keep."""
        try:
            told = json.loads(record.payload)
            action, facts = told["event"]["action"], told["clusterlog"]["state"]
            if action == "close":
                self.closed = facts.get("instance") == self.snapshot.id
            elif action == "drop" and new:
                self.dropped[str(facts["reason"])] += int(facts["count"])
        except (ValueError, KeyError, TypeError):
            return

    @property
    def damaged(self) -> int:
        """Bytes that were no record, in segments that are final."""
        return sum(reader.damaged for reader in self._lanes.values())

    def read_to_the_end(self) -> bool:
        """Whether every segment is final and read: nothing more will come."""
        finished = sum(len(reader.finished) for reader in self._lanes.values())
        return not self.snapshot.alive and finished == len(self.snapshot.segments)

    def is_past(self, name: SegmentName, size: int) -> bool:
        """Whether a segment has been read up to ``size`` bytes."""
        reader = self._lanes.get(name.lane)
        return reader is not None and (reader.number, reader.offset) >= (name.number, size)

    def condition(self, waiting: Sequence[Delivery], dropped: Mapping[str, int], now_ns: int) -> dict[str, Any]:
        """What a heartbeat tells: how far the instance is on disk, and how much of it is not acknowledged.

        ``waiting`` are its events that were read and not judged yet, ``dropped`` its losses by reason. A number that is
        neither acknowledged nor told to be lost counts as waiting, as long as there is anything unread.
        """
        reached = self._reached()
        unread = self._unread()
        events, age_ns = len(waiting), [now_ns - each.wall_ns for each in waiting]
        if unread:
            events = max(events, reached - len(self.acknowledged) - sum(dropped.values()))
            age_ns += [now_ns - first.wall_ns for first in map(self._first_unread, LANES) if first is not None]
        return {
            "instance": self.snapshot.id,
            "last_seq": reached,
            "backlog_events": events,
            "backlog_bytes": unread + sum(len(each.body) + HEADER_SIZE for each in waiting),
            "oldest_age_s": round(max(0, *age_ns) / 1e9, 3) if events and age_ns else 0.0,
            "dropped": dict(dropped),
        }

    def _reached(self) -> int:
        """The greatest number on disk. What lies between what was read and the newest segment need not be looked at."""
        for lane in LANES:
            names = self.snapshot.lane(lane)
            if not names:
                continue
            newest, size = names[-1], self.snapshot.segments[names[-1]]
            number, offset = max(self._tips.get(lane, (0, 0)), self._position(lane))
            offset = offset if number == newest.number else 0
            for item in _scanned(self.spool / str(newest), offset, size):
                if isinstance(item, Record):
                    self.last = max(self.last, item.sequence)
                    offset = item.end
            self._tips[lane] = newest.number, offset
        self.last = max(self.last, self.acknowledged.last)
        return self.last

    def _position(self, lane: str) -> tuple[int, int]:
        reader = self._lanes.get(lane)
        return (reader.number, reader.offset) if reader is not None else (0, 0)

    def _unread(self) -> int:
        """Bytes on disk behind what was read."""
        total = 0
        for name, size in self.snapshot.segments.items():
            number, offset = self._position(name.lane)
            if name.number >= number:
                total += size - offset if name.number == number else size
        return total

    def _first_unread(self, lane: str) -> Record | None:
        number, offset = self._position(lane)
        for name in self.snapshot.lane(lane):
            if name.number >= number:
                start = offset if name.number == number else 0
                found = _scanned(self.spool / str(name), start, min(self.snapshot.segments[name], start + MAX_RECORD))
                first = next((item for item in found if isinstance(item, Record)), None)
                if first is not None:
                    return first
        return None

    def take_finished(self, unsettled: Mapping[str, int | None]) -> list[SegmentName]:
        """Segments that may be removed when what was settled is acknowledged durably.

        ``unsettled`` are, by lane, the smallest numbers that are not; within a lane numbers only grow.
        """
        found = []
        for lane, reader in self._lanes.items():
            lowest = unsettled.get(lane)
            found += [name for name, last in reader.finished.items() if lowest is None or last < lowest]
        return found

    def removed(self, name: SegmentName) -> None:
        """A finished segment is gone."""
        del self._lanes[name.lane].finished[name]
        self.synced.pop(name, None)

    def sync(self) -> None:
        """fdatasync the segments that have grown: the interval sync the writers leave to the shipper."""
        for lane in ("bulk", "priority"):
            for name in self.snapshot.lane(lane)[-1:]:
                path = self.spool / str(name)
                try:
                    size = path.stat().st_size
                    if size != self.synced.get(name, 0):
                        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                        try:
                            os.fdatasync(fd)
                        finally:
                            os.close(fd)
                        self.synced[name] = size
                except OSError:  # removed, or trouble the writer will meet itself
                    continue


def document_id(instance: str, record: Record) -> str:
    """The ``event.id`` of a record's document: made of its place, unless it has one of its own."""
    if record.flags & OWN_ID:
        try:
            return id_of(parse(record.payload)) or ""
        except ValueError:  # whoever wrote it has looked; a sink refuses it with a reason
            return ""
    return f"{instance}-{record.sequence:011x}"


def _scanned(path: Path, offset: int, until: int) -> Iterator[Record | Damage]:
    try:
        yield from scan(path, offset, until)
    except FileNotFoundError:  # delivered and removed meanwhile
        return
