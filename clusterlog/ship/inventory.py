"""What lies in the spools and in ``dead/`` of a home, by number: what a store need not have yet.

It is taken while writers write and a shipper removes, and needs no state file. Every number that was written before the
first look is seen, or was removed because it is safe elsewhere: so whoever asks the store afterwards misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from clusterlog.ship.dead.letters import letters
from clusterlog.spool.budget import used_bytes
from clusterlog.spool.reader import Instance, LaneReader, instances
from clusterlog.spool.segment import LANES, Record
from clusterlog.store.base import Progress, unseen
from clusterlog.store.ranges import Ranges, merged


@dataclass(slots=True)
class Remains:
    """What the spool holds of one instance.

    ``states`` are its own state events and ``first`` any event of it, as they were written. ``until`` is the last
    number that was looked for; a living instance says more meanwhile.
    """

    numbers: Ranges = ()
    alive: bool = False
    until: int = 0
    states: list[bytes] = field(default_factory=list)
    first: bytes = b""


def inventory(home: Path, progress: Progress = unseen) -> dict[str, Remains]:
    """What lies in the spools, by instance; ``progress`` counts bytes."""
    spool = home / "spool"
    total = used_bytes(spool)
    counted: dict[str, _Count] = {}
    done = 0
    # Two looks: between the files of one look a writer goes on, and a number in the file that was looked at first may
    # be smaller than one that was seen in the second.
    for _ in range(2):
        for snapshot in instances(spool):
            count = counted.get(snapshot.id)
            if count is None:
                count = counted[snapshot.id] = _Count(spool, snapshot.id)
            for size in count.look(snapshot):
                done = min(total, done + size)
                progress(done, total)
        for count in counted.values():
            count.remains.until = count.remains.until or count.last
    return {instance: count.finished() for instance, count in counted.items()}


class _Count:
    """Reads one instance's spool."""

    def __init__(self, spool: Path, instance: str) -> None:
        self.remains = Remains()
        self.looks = 0
        self.last = 0
        self._numbers: list[tuple[int, int]] = []
        self._readers = [LaneReader(spool, instance, lane) for lane in LANES]

    def look(self, snapshot: Instance) -> Iterable[int]:
        """Read on; yields bytes."""
        self.remains.alive = snapshot.alive
        self.looks += 1
        for reader in self._readers:
            while records := reader.read(snapshot):
                for record in records:
                    self._take(record)
                yield sum(len(record.payload) for record in records)

    def _take(self, record: Record) -> None:
        self.last = max(self.last, record.sequence)
        if self._numbers and self._numbers[-1][1] == record.sequence - 1:
            self._numbers[-1] = self._numbers[-1][0], record.sequence
        else:
            self._numbers.append((record.sequence, record.sequence))
        if record.state:
            self.remains.states.append(record.payload)
        if not self.remains.first:
            self.remains.first = record.payload

    def finished(self) -> Remains:
        self.remains.numbers = merged(self._numbers)
        if not self.remains.alive:
            self.remains.until = self.last
        elif self.looks == 1 and self._numbers:  # it began between the two looks
            self.remains.until = self.remains.numbers[0][1]
        return self.remains


def kept_aside(home: Path) -> dict[str, list[tuple[int, str]]]:
    """The numbers whose events lie in ``dead/``, by instance, each with its reason."""
    found: dict[str, list[tuple[int, str]]] = {}
    for letter in letters(home / "dead"):
        found.setdefault(letter.instance, []).append((letter.sequence, letter.reason))
    return found
