"""Which messages of a sender were heard: none twice, and none missed without its being noticed."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

WIDTH = 64
"""How far behind the newest a message may come and still be known for new or old."""
MOST_SENDERS = 4096

Heard = Literal["next", "hole", "late", "again"]
FIRST: Heard = "next"


class Sequences:
    """The numbers heard from each sender, by whatever names it; of the ``most`` that spoke last. For one thread."""

    def __init__(self, most: int = MOST_SENDERS) -> None:
        self._most = most
        self._seen: OrderedDict[tuple[str, ...], tuple[int, int]] = OrderedDict()

    def heard(self, sender: tuple[str, ...], number: int) -> Heard:
        """Take note of ``number``: ``again`` if it was heard before, or lies too far behind to know.

        ``hole``: something before it was not heard. ``late``: it fills one. The first that is heard of a sender is the
        next one, whatever its number.
        """
        known = self._seen.pop(sender, None)
        self._seen[sender], heard = _noted(*known, number) if known else ((number, 1), FIRST)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return heard

    def clear(self) -> None:
        """Forget all: what comes next is no hole."""
        self._seen.clear()


def _noted(newest: int, bits: int, number: int) -> tuple[tuple[int, int], Heard]:
    """``bits``: which of the ``WIDTH`` numbers up to ``newest`` were heard, the lowest bit being ``newest``."""
    ahead = number - newest
    if ahead > 0:
        bits = ((bits << ahead) | 1) & ((1 << WIDTH) - 1) if ahead < WIDTH else 1
        return (number, bits), "next" if ahead == 1 else "hole"
    mark = 1 << -ahead if -ahead < WIDTH else 0
    if not mark or bits & mark:
        return (newest, bits), "again"
    return (newest, bits | mark), "late"
