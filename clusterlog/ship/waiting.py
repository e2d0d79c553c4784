"""Waiting for somebody else's shipper: until all that lay in the spools at one moment is acknowledged."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from clusterlog.errors import HomeBusy, TimedOut
from clusterlog.ship.acknowledged import Acknowledged, IntervalSet
from clusterlog.ship.homelock import HomeLock
from clusterlog.spool.reader import instances, records
from clusterlog.spool.segment import Record

POLL_S = 0.05


def wait_delivered(
    home: Path, timeout: float | None, progress: Callable[[int, int], None] = lambda done, total: None
) -> int:
    """Wait until the holder of the home's lock has delivered what the spools hold now; returns how many events.

    Raises TimedOut after ``timeout`` seconds (``None``: never), HomeBusy if the holder is gone before it was done.
    """
    awaited = _present(home / "spool")
    total = sum(len(numbers) for numbers in awaited.values())
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        _strike_out(home, awaited)
        left = sum(len(numbers) for numbers in awaited.values())
        progress(total - left, total)
        if not left:
            return total
        if HomeLock.holder(home) == 0:
            raise HomeBusy(str(home), 0)
        if deadline is not None and time.monotonic() >= deadline:
            raise TimedOut(f"{left} of {total} events are not delivered yet: see `clusterlog status`")
        time.sleep(POLL_S)


def undelivered(home: Path) -> bool:
    """Whether the spools hold anything that is not acknowledged; looks no further than to the first of it."""
    acknowledged = Acknowledged.load(home)
    for instance in instances(home / "spool"):
        known = acknowledged.instances.get(instance.id, IntervalSet())
        for _, item in records(home / "spool", instance):
            if isinstance(item, Record) and item.sequence not in known:
                return True
    return False


def _present(spool: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for instance in instances(spool):
        numbers = [item.sequence for _, item in records(spool, instance) if isinstance(item, Record)]
        if numbers:
            found[instance.id] = numbers
    return found


def _strike_out(home: Path, awaited: dict[str, list[int]]) -> None:
    """Take away what is acknowledged: an instance whose files are gone is, since they go only after that."""
    acknowledged = Acknowledged.load(home)
    there = {each.id for each in instances(home / "spool") if each.segments}
    for instance, numbers in list(awaited.items()):
        known = acknowledged.instances.get(instance, IntervalSet())
        awaited[instance] = [number for number in numbers if number not in known] if instance in there else []
