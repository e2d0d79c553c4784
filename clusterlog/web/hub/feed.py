"""What has come over a bus, numbered and kept for a while, so that whoever asks again misses nothing in between."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable

from clusterlog.control.bus.base import Notice
from clusterlog.control.bus.hub.protocol import MOST_NOTICES, notice_told

MOST_KEPT = 4096
MOST_BYTES = 16 << 20


class Feed:
    """Notices of one life of a server, ``life``; another one's numbers mean nothing here. Not for several threads."""

    def __init__(self, life: str) -> None:
        self._life = life
        self._kept: deque[tuple[int, str]] = deque()
        self._bytes = 0
        self._last = 0

    def add(self, notices: Iterable[Notice]) -> None:
        """Number and keep them; the oldest make room."""
        for each in notices:
            told = json.dumps(notice_told(each))
            self._last += 1
            self._kept.append((self._last, told))
            self._bytes += len(told)
        while len(self._kept) > MOST_KEPT or self._bytes > MOST_BYTES:
            self._bytes -= len(self._kept.popleft()[1])

    def behind(self, after: str) -> bytes | None:
        """The answer to who has heard all up to ``after``; None where there is nothing new.

        Who comes for the first time, from another life or too late is told of a gap, and goes on from here.
        """
        number = self._number(after)
        if number == self._last:
            return None
        oldest = self._kept[0][0] if self._kept else self._last + 1
        if number is None or number + 1 < oldest or number > self._last:
            return self._answer(self._last, ['"gap"'])
        return self._some(number)

    def nothing(self, after: str) -> bytes:
        """The answer where nothing has come."""
        return self._answer(self._number(after) or 0, [])

    def _some(self, number: int) -> bytes:
        """What is behind a number, as much as an answer may have; more of it with the next."""
        told: list[str] = []
        size = 0
        for each, notice in self._kept:
            if each <= number:
                continue
            size += len(notice)
            if told and size > MOST_NOTICES:
                break
            number = each
            told.append(notice)
        return self._answer(number, told)

    def _answer(self, number: int, notices: Iterable[str]) -> bytes:
        return f'{{"after": "{self._life}.{number}", "notices": [{", ".join(notices)}]}}'.encode()

    def _number(self, after: str) -> int | None:
        life, _, number = after.partition(".")
        known = life == self._life and number.isascii() and number.isdecimal() and len(number) < 20
        return int(number) if known else None
