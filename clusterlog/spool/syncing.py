"""When what was written is synced, and by whom: the shipper where one lives, else whoever logs.

Descriptors are copied while the writer's lock is held and synced when it is free, so that nobody waits for a disk but
the one who asked for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Literal

from clusterlog.spool.lane import Lane

Durability = Literal["page-cache", "interval", "level", "strict"]
SYNC_NS = 200_000_000
ASK_SHIPPER_NS = 5_000_000_000

Unsynced = tuple[Lane, int, int]
"""A lane, the number of the segment it had, and a descriptor of that segment's own, to be closed."""


class Syncing:
    """The state between two syncs. ``mode`` is the setting ``durability``; ``shipper_lives`` is asked now and then."""

    __slots__ = ("_answer", "_asked_at", "_at", "_due", "_from", "_mode", "_shipper_lives")

    def __init__(self, mode: Durability, shipper_lives: Callable[[], bool]) -> None:
        self._mode = mode
        self._shipper_lives = shipper_lives
        self._from = self._at = self._asked_at = 0
        self._due = self._answer = False

    def next_due(self, now: int) -> int:
        """When to come back; once the time has come, the next ``asked`` is one that syncs all lanes."""
        if not self._from <= now < self._at:
            self._from, self._at, self._due = now, now + SYNC_NS, True
        return self._at

    def asked(self, lane: Lane, lanes: tuple[Lane, Lane], clock: Callable[[], int]) -> list[Unsynced]:
        """What to sync after a write to ``lane``.

        Never on a running event loop's thread, unless every event was asked for.
        """
        due, self._due = self._due, False
        if self._mode == "page-cache" or (self._mode != "strict" and asyncio._get_running_loop() is not None):
            return []
        found = collected(lane) if lane.eager else []
        if due and not self._by_shipper(clock()):
            found += collected(*lanes)
        return found

    def leaving(self, lane: Lane, now: int) -> list[Unsynced]:
        """A full segment is not looked at again by this process: sync it, unless that is the shipper's to do."""
        if self._mode == "page-cache" or asyncio._get_running_loop() is not None or self._by_shipper(now):
            return []
        return collected(lane)

    def _by_shipper(self, now: int) -> bool:
        if not self._asked_at <= now < self._asked_at + ASK_SHIPPER_NS:
            self._asked_at, self._answer = now, self._shipper_lives()
        return self._answer


def collected(*lanes: Lane) -> list[Unsynced]:
    """Those of the lanes with something unsynced, which counts as synced from here on."""
    found = []
    for lane in lanes:
        if lane.unsynced and lane.fd >= 0:
            try:
                found.append((lane, lane.number, os.dup(lane.fd)))
            except OSError:  # no descriptor is left; the next sync is due soon
                continue
            lane.unsynced = False
    return found


def failures(files: list[Unsynced]) -> Iterator[tuple[Lane, int]]:
    """fdatasync all of them; which ones failed."""
    for lane, number, fd in files:
        try:
            os.fdatasync(fd)
        except OSError:
            yield lane, number
        finally:
            os.close(fd)
