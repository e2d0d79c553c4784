"""What the shipper reads: the spools of all instances, lane by lane and instance by instance, a portion at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from clusterlog.ship.acknowledged import Acknowledged
from clusterlog.ship.delivery.pace.lanes import Lanes
from clusterlog.ship.source import Source
from clusterlog.spool.reader import instances
from clusterlog.spool.segment import LANES, SegmentName
from clusterlog.store.base import Delivery


class Reading:
    """The sources of a home, by instance. What drop events told is counted in ``acknowledged`` as it is read."""

    def __init__(self, spool: Path, acknowledged: Acknowledged) -> None:
        self.sources: dict[str, Source] = {}
        self.spool = spool
        self._acknowledged = acknowledged
        self._lanes = Lanes()
        self._turns = dict.fromkeys(LANES, 0)

    def look(self) -> list[str]:
        """Who is there; returns who is gone."""
        found = {each.id: each for each in instances(self.spool)}
        gone = [instance for instance in self.sources if instance not in found]
        for instance in gone:
            del self.sources[instance]
        for instance in self._acknowledged.known() - found.keys():  # removed by a shipper that ended with it
            self._acknowledged.forget(instance)
        for instance, snapshot in found.items():
            source = self.sources.get(instance)
            if source is None:
                self.sources[instance] = Source(self.spool, snapshot, self._acknowledged.of(instance))
            else:
                source.snapshot = snapshot
        return gone

    def read(self, portion: int) -> list[Delivery] | None:
        """About ``portion`` bytes of what is new, each time of another instance; ``None`` when there is no more."""
        for lane in self._lanes.order(portion):
            sources = list(self.sources.values())
            for ahead in range(len(sources)):
                at = (self._turns[lane] + ahead) % len(sources)
                read = self.read_of(sources[at], lane, portion)
                if read is not None:
                    self._turns[lane] = at + 1
                    self._lanes.read(lane, sum(len(each.body) for each in read), portion)
                    return read
        return None

    def read_of(self, source: Source, lane: str, portion: int) -> list[Delivery] | None:
        """The same of one instance's lane."""
        read = source.read(lane, portion)
        if source.dropped:
            self._acknowledged.dropped.update(source.dropped)
            known = self._acknowledged.pulse(source.snapshot.id).dropped
            for reason, count in source.dropped.items():
                known[reason] = known.get(reason, 0) + count
            source.dropped.clear()
        return read

    def sync(self) -> None:
        """The interval sync that living writers leave to the shipper."""
        for source in self.sources.values():
            if source.snapshot.alive:
                source.sync()

    def is_past(self, segments: Mapping[SegmentName, int]) -> bool:
        """Whether all that lay in these segments at one moment has been read, however much was written since."""
        known = ((self.sources.get(name.instance), name, size) for name, size in segments.items())
        return all(source is None or source.is_past(name, size) for source, name, size in known)
