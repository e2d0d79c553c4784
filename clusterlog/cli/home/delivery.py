"""What lies in the spools of a home, delivered now: here, or by whoever ships it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from clusterlog.cli import paint
from clusterlog.cli.line import escaped
from clusterlog.errors import HomeBusy
from clusterlog.settings import Settings, without_credentials

if TYPE_CHECKING:
    from clusterlog.ship.homelock import HomeLock
    from clusterlog.ship.shipper import Report, Shipper


def deliver(settings: Settings, timeout: float | None = None) -> tuple[Report | None, str]:
    """Deliver what the spools hold now, here or by waiting for whoever ships this home; the report is ``None`` then.

    Raises TimedOut after ``timeout`` seconds of waiting, StoreUnavailable, NotAllowed.
    """
    from clusterlog.ship.homelock import HomeLock
    from clusterlog.ship.waiting import wait_delivered

    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            lock = HomeLock.take(settings.home_path)
        except HomeBusy:
            pass
        else:
            return _deliver_here(settings, lock)
        try:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            with paint.progress("waiting for the shipper", "events") as advance:
                wait_delivered(settings.home_path, left, advance)
            return None, without_credentials(settings.sink or settings.store) or str(settings.home_path / "store")
        except HomeBusy:  # the holder has gone before it was done: it is ours to do
            continue


def _deliver_here(settings: Settings, lock: HomeLock) -> tuple[Report, str]:
    with lock:
        shipper, sink = shipper_of(settings)
        with paint.progress("shipping", "bytes") as advance:
            return shipper.once(advance), sink


def shipper_of(settings: Settings) -> tuple[Shipper, str]:
    """A shipper on the sink of these settings, and the sink's name. The lock of the home is held."""
    from clusterlog.ship.shipper import Shipper
    from clusterlog.ship.sinks import open_sink
    from clusterlog.ship.state.voice import Voice

    sink, name, limits = open_sink(settings)
    return Shipper(settings.home_path, sink, voice=Voice(settings), sink_name=name, limits=limits), name


def told_of(report: Report | None) -> dict[str, Any]:
    """A report as data; ``None`` is what is known where another process's shipper did the work."""
    if report is None:
        return {"stored": None, "duplicates": None, "dead": None, "dropped": None}
    return {
        "stored": report.stored,
        "duplicates": report.duplicates,
        "dead": report.dead,
        "dropped": report.dropped,
    }


def dropped(reasons: dict[str, int]) -> str:
    """Losses by reason, for people."""
    return ", ".join(f"{paint.amount(count)} {escaped(reason)}" for reason, count in sorted(reasons.items()))
