"""What the far end has: an interval set of sequence numbers per instance, and its durable form.

An interval set and never a maximum: lanes are shipped out of order. Losing the file costs only re-sending, since the
far end knows the ids; so it is replaced whole, at most once a second.
"""

from __future__ import annotations

import errno
import json
import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clusterlog.ship.state.heartbeat import Pulse

RESERVE_BYTES = 64 << 10


class IntervalSet:
    """A set of positive integers as sorted, disjoint, non-touching closed ranges."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Add ``first`` to ``last`` (or the one number)."""
        last = first if last is None else last
        firsts, lasts = self._firsts, self._lasts
        if lasts and lasts[-1] < first <= lasts[-1] + 1:  # in order, as nearly always
            lasts[-1] = last
            return
        low = bisect_right(lasts, first - 2)  # the first range that touches or lies behind
        high = bisect_right(firsts, last + 1)
        if low < high:
            first, last = min(first, firsts[low]), max(last, lasts[high - 1])
        firsts[low:high] = [first]
        lasts[low:high] = [last]

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    @property
    def last(self) -> int:
        """The greatest number, 0 if there is none."""
        return self._lasts[-1] if self._lasts else 0

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntervalSet) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(slots=True)
class Acknowledged:
    """All instances' interval sets, and the totals since the home was made."""

    path: Path
    instances: dict[str, IntervalSet] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    ended: set[str] = field(default_factory=set)
    """Dead instances whose end has been told, so that a second shipper does not tell it again."""
    pulses: dict[str, Pulse] = field(default_factory=dict)
    """What was told of living instances, so that commands that ship a moment each do not tell it every time."""

    @classmethod
    def load(cls, home: Path) -> Acknowledged:
        """Read ``run/acknowledged.json``; an absent or damaged file is an empty one, and everything is sent again."""
        found = cls(home / "run" / "acknowledged.json")
        try:
            told: Any = json.loads(found.path.read_bytes())
            found.instances = {name: IntervalSet(map(tuple, ranges)) for name, ranges in told["instances"].items()}
            found.totals.update(told["totals"])
            found.dropped.update(told["dropped"])
            found.ended.update(told["ended"])
            found.pulses = {name: Pulse(**pulse) for name, pulse in told["pulses"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return found
        return found

    def of(self, instance: str) -> IntervalSet:
        """The numbers of one instance; a new set where there is none."""
        return self.instances.setdefault(instance, IntervalSet())

    def known(self) -> set[str]:
        """Every instance of which there is anything to forget."""
        return {*self.instances, *self.pulses, *self.ended}

    def forget(self, instance: str) -> None:
        """The instance's files are gone; its numbers will not be asked for again."""
        self.instances.pop(instance, None)
        self.ended.discard(instance)
        self.pulses.pop(instance, None)

    def pulse(self, instance: str) -> Pulse:
        """What was told of one instance; a new one where nothing was."""
        return self.pulses.setdefault(instance, Pulse())

    def save(self) -> None:
        """Replace the file durably. Raises OSError."""
        told = {
            "format": 1,
            "instances": {name: list(ranges) for name, ranges in self.instances.items()},
            "totals": self.totals,
            "dropped": self.dropped,
            "ended": sorted(self.ended),
            "pulses": {name: asdict(pulse) for name, pulse in self.pulses.items()},
        }
        content = json.dumps(told).encode()
        reserve = self.path.with_name("reserve")
        try:
            replace(self.path, content)
        except OSError as error:
            # On a disk that our own spool has filled, nothing could ever be removed without this file's few blocks.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not reserve.exists():
                raise
            reserve.unlink()
            replace(self.path, content)
        _keep_in_reserve(reserve, 4 * len(content) + RESERVE_BYTES)


def _keep_in_reserve(path: Path, size: int) -> None:
    """Allocate some blocks to be given back on a full disk; where that cannot be had, there is none."""
    try:
        if path.exists() and path.stat().st_size * 2 >= size:
            return
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(fd, 0, size)
        finally:
            os.close(fd)
    except OSError:
        path.unlink(missing_ok=True)


def replace(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Put ``content`` at ``path`` in one step: readers see the old file or the new one, also after a power cut."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.rename(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names made, renamed or removed in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
