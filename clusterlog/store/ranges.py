"""Sets of whole numbers as sorted, disjoint, inclusive ranges that do not touch, and what can be asked of two of them.

Sequence numbers are dense: the millions of a process are a handful of ranges.
"""

from __future__ import annotations

from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The numbers of any ranges, in whatever order, overlapping or not; one that ends before it begins holds none."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if first > last:
            continue
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return tuple(found)


def minus(some: Ranges, others: Ranges) -> Ranges:
    """The numbers of ``some`` that are not in ``others``."""
    found = []
    at = 0
    for begin, last in some:
        first = begin
        while at < len(others) and others[at][1] < first:
            at += 1
        near = at  # the last of these may reach into the next of ``some``
        while near < len(others) and others[near][0] <= last:
            low, high = others[near]
            if low > first:
                found.append((first, low - 1))
            first = high + 1
            near += 1
        if first <= last:
            found.append((first, last))
    return tuple(found)


def common(some: Ranges, others: Ranges) -> Ranges:
    """The numbers in both."""
    return minus(some, minus(some, others))


def repeated(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The numbers that more than one of these ranges holds."""
    found = []
    reached = 0
    for number, (first, last) in enumerate(sorted(ranges)):
        if number and first <= reached:
            found.append((first, min(last, reached)))
        reached = max(reached, last) if number else last
    return merged(found)


def amount(ranges: Iterable[tuple[int, int]]) -> int:
    """How many numbers there are."""
    return sum(last - first + 1 for first, last in ranges)
