"""Which ids are stored: per instance the ranges of its sequences, so that a second copy is known without a look-up.

The ids of our own events, ``<instance>-<sequence>``, are dense, and a week of them is a handful of ranges. Any other id
is looked up in the index instead.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from zlib import crc32

Place = tuple[bytes, int]
"""An id of our own form: instance (16 bytes) and sequence."""

IdRange = tuple[bytes, int, int]
"""Instance (16 bytes), first and last sequence."""

_OWN_ID = re.compile(r"([0-9a-f]{32})-([0-9a-f]{11})").fullmatch

_RECORD = struct.Struct("<16s 6s 6s I")
RECORD_BYTES = _RECORD.size


def place_of(id: str) -> Place | None:
    """The place an id of our own form names, ``None`` for any other id."""
    own = _OWN_ID(id)
    return None if own is None else (bytes.fromhex(own[1]), int(own[2], 16))


class Ranges:
    """A set of whole numbers as sorted, disjoint, inclusive ranges."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def __contains__(self, number: int) -> bool:
        if not self._lasts or number > self._lasts[-1]:
            return False
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    def __len__(self) -> int:
        return len(self._firsts)

    def add(self, first: int, last: int) -> None:
        """Put ``first`` to ``last`` in, joining what overlaps or touches."""
        firsts, lasts = self._firsts, self._lasts
        if not firsts or first > lasts[-1] + 1:
            firsts.append(first)
            lasts.append(last)
            return
        begin = bisect_right(firsts, first)
        if begin and lasts[begin - 1] >= first - 1:
            begin -= 1
            first = firsts[begin]
        end = bisect_right(firsts, last + 1)
        if end > begin:
            last = max(last, lasts[end - 1])
        firsts[begin:end] = [first]
        lasts[begin:end] = [last]


class Ledger:
    """The ids of our own form that are stored, by instance."""

    __slots__ = ("_instances",)

    def __init__(self) -> None:
        self._instances: dict[bytes, Ranges] = {}

    def of(self, instance: bytes) -> Ranges:
        """The sequences of one instance (16 bytes), to ask and to add to."""
        ranges = self._instances.get(instance)
        if ranges is None:
            ranges = self._instances[instance] = Ranges()
        return ranges

    def add(self, ids: Iterable[IdRange]) -> None:
        """Put ranges in."""
        for instance, first, last in ids:
            self.of(instance).add(first, last)

    def ids(self) -> Iterator[IdRange]:
        """Everything in it, as few ranges as there can be."""
        for instance, ranges in self._instances.items():
            for first, last in ranges:
                yield instance, first, last


def ranges_of(places: dict[bytes, set[int]]) -> list[IdRange]:
    """The sequences of some instances as ranges."""
    found: list[IdRange] = []
    for instance, numbers in places.items():
        ordered = sorted(numbers)
        if not ordered:
            continue
        if ordered[-1] - ordered[0] == len(ordered) - 1:
            found.append((instance, ordered[0], ordered[-1]))
            continue
        first = last = ordered[0]
        for number in ordered[1:]:
            if number != last + 1:
                found.append((instance, first, last))
                first = number
            last = number
        found.append((instance, first, last))
    return found


def write_records(ids: Iterable[IdRange]) -> bytes:
    """Ranges as they stand in the side file of ids, each with its checksum."""
    packed = []
    for instance, first, last in ids:
        record = _RECORD.pack(instance, first.to_bytes(6, "little"), last.to_bytes(6, "little"), 0)[:-4]
        packed.append(record + crc32(record).to_bytes(4, "little"))
    return b"".join(packed)


def read_records(data: bytes) -> list[IdRange] | None:
    """The ranges of a side file, ``None`` when a record is not what was written."""
    found = []
    for at in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
        instance, first, last, checksum = _RECORD.unpack_from(data, at)
        if crc32(data[at : at + RECORD_BYTES - 4]) != checksum:
            return None
        found.append((instance, int.from_bytes(first, "little"), int.from_bytes(last, "little")))
    return found
