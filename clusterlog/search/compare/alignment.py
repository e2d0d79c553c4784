"""Two sequences laid side by side: the longest part they have in common, and what stands elsewhere in the other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

CELLS = 1_000_000
"""Up to this product of lengths the longest common subsequence is found exactly; it takes half a second."""

Item = tuple[Hashable, Hashable]
"""(key, detail): items of equal keys correspond; of several that could, those of equal detail as well."""

Pair = tuple[int, int]


class Alignment(NamedTuple):
    """Indices of corresponding items: ``pairs`` in the order of both sequences, ``moved`` are out of that order."""

    pairs: tuple[Pair, ...]
    moved: tuple[Pair, ...]


def aligned(a: Sequence[Item], b: Sequence[Item]) -> Alignment:
    """Lay ``b`` beside ``a``. What is in neither pairs nor moved is in one of them alone.

    The pairs are a longest common subsequence of the keys, among those one with the most equal details. For sequences
    too long for that, items correspond by how often they have occurred, and the longest part in common order is kept.
    """
    begin = 0
    while begin < min(len(a), len(b)) and a[begin] == b[begin]:
        begin += 1
    end = 0
    while end < min(len(a), len(b)) - begin and a[-1 - end] == b[-1 - end]:
        end += 1
    inner_a, inner_b = a[begin : len(a) - end], b[begin : len(b) - end]
    exact = len(inner_a) * len(inner_b) <= CELLS
    inner = _longest(inner_a, inner_b) if exact else _in_order(_by_occurrence(inner_a, inner_b))
    pairs = [(n, n) for n in range(begin)]
    pairs += [(i + begin, j + begin) for i, j in inner]
    pairs += [(len(a) - n, len(b) - n) for n in range(end, 0, -1)]
    taken_a, taken_b = {i for i, _ in pairs}, {j for _, j in pairs}
    left_a = [i for i in range(len(a)) if i not in taken_a]
    left_b = [j for j in range(len(b)) if j not in taken_b]
    moved = _by_occurrence([a[i] for i in left_a], [b[j] for j in left_b])
    return Alignment(tuple(pairs), tuple(sorted((left_a[i], left_b[j]) for i, j in moved)))


def _longest(a: Sequence[Item], b: Sequence[Item]) -> list[Pair]:
    """A longest common subsequence of keys, by the scores of all pairs of endings (Wagner and Fischer, 1974)."""
    one = min(len(a), len(b)) + 1  # one pair more is worth more than equal details in all pairs
    scores = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        key, detail = a[i]
        row, below = scores[i], scores[i + 1]
        for j in range(len(b) - 1, -1, -1):
            best = max(row[j + 1], below[j])
            if b[j][0] == key:
                best = max(best, below[j + 1] + one + (b[j][1] == detail))
            row[j] = best
    pairs, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        score = scores[i][j]
        if a[i][0] == b[j][0] and score == scores[i + 1][j + 1] + one + (a[i][1] == b[j][1]):
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif score == scores[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _by_occurrence(a: Sequence[Item], b: Sequence[Item]) -> list[Pair]:
    """The first of a kind with the first, the second with the second; those of equal detail before the others."""
    pairs = _matched(enumerate(a), enumerate(b))
    taken_a, taken_b = {i for i, _ in pairs}, {j for _, j in pairs}
    rest_a = ((i, item[0]) for i, item in enumerate(a) if i not in taken_a)
    rest_b = ((j, item[0]) for j, item in enumerate(b) if j not in taken_b)
    return sorted(pairs + _matched(rest_a, rest_b))


def _matched(a: Iterable[tuple[int, Hashable]], b: Iterable[tuple[int, Hashable]]) -> list[Pair]:
    waiting: dict[Hashable, list[int]] = {}
    for j, key in b:
        waiting.setdefault(key, []).append(j)
    for places in waiting.values():
        places.reverse()
    return [(i, waiting[key].pop()) for i, key in a if waiting.get(key)]


def _in_order(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest part of the pairs, ascending on their first side, that ascends on the second one as well."""
    ends: list[int] = []  # the smallest last index of an ascending part of each length
    at: list[int] = []
    before: list[int | None] = []
    for number, (_, j) in enumerate(pairs):
        length = bisect_left(ends, j)
        before.append(at[length - 1] if length else None)
        ends[length : length + 1] = [j]
        at[length : length + 1] = [number]
    found = []
    step = at[-1] if at else None
    while step is not None:
        found.append(pairs[step])
        step = before[step]
    return found[::-1]
