"""One instance's spool as the shipper sees it: two lanes read on and on, and what has become of each number."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from clusterlog.ship.acknowledged import IntervalSet
from clusterlog.spool.reader import Instance, LaneReader
from clusterlog.spool.segment import PRIORITY, Record, SegmentName
from clusterlog.store.base import Delivery


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
    _lanes: dict[str, LaneReader] = field(default_factory=dict)

    def read(self, lane: str, max_bytes: int) -> list[Delivery] | None:
        """The next events of a lane, without those acknowledged already; ``None`` when the lane holds no more."""
        reader = self._lanes.get(lane)
        if reader is None:
            reader = self._lanes[lane] = LaneReader(self.spool, self.snapshot.id, lane)
        found = reader.read(self.snapshot, max_bytes)
        if not found:
            return None
        deliveries = []
        for record in found:
            self.last = max(self.last, record.sequence)
            new = record.sequence not in self.acknowledged
            if record.state:
                self._note(record, new)
            if new:
                deliveries.append(self._delivery(record))
        return deliveries

    def _delivery(self, record: Record) -> Delivery:
        instance = self.snapshot.id
        document = f"{instance}-{record.sequence:011x}"
        return Delivery(document, instance, record.sequence, record.payload, bool(record.flags & PRIORITY))

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

    def take_finished(self) -> list[SegmentName]:
        """Segments that may be removed once all that was read from them is acknowledged durably."""
        return [name for reader in self._lanes.values() for name in reader.finished]

    def removed(self, name: SegmentName) -> None:
        """A finished segment is gone."""
        self._lanes[name.lane].finished.remove(name)
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
