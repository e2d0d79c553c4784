"""Waiting for proof: how many have applied a change is counted, cheaply; who they are is read when it is worth it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from clusterlog.control.bus.base import Lease, Link
from clusterlog.control.members import Node
from clusterlog.control.operator.proof import Meant, Minimum, Progress, Proof, proof

SOONEST_S = 0.002
LATEST_S = 0.1
"""Between two counts of the leases under the version: the first, and the longest."""
ALL_S = 1.0
"""Somebody else's change meanwhile, or a process that ended, shows only in the leases themselves."""
_SHARE = 10
"""A look at all leases is taken for at most about one part in so many of the time, until all are there."""


def live(leases: Iterable[Lease]) -> int:
    """How many leases have not run out."""
    return sum(lease.age_s < lease.ttl_s for lease in leases)


def awaited(
    link: Link,
    change: Meant,
    nodes: Callable[[tuple[Lease, ...]], tuple[Node, ...]],
    timeout_s: float,
    minimum: Minimum | None = None,
    tell: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
    leases: int = 0,
) -> Proof:
    """The proof of ``change`` as soon as ``minimum`` of those expected confirm it, or nobody is left who could.

    After ``timeout_s`` it is whatever there is; 0 looks once. ``nodes`` makes a roster of leases; ``tell`` hears of all
    that comes; ``leases`` is how many lived when it was written: when so many count under the version it is looked at
    once, and not before that if it is not 0. Raises BusUnreachable.
    """
    minimum = minimum or Minimum()
    end = clock() + timeout_s
    full = leases == 0 or (bool(timeout_s) and _counted(link, change, min(end, clock() + ALL_S), 0.0, leases, clock))
    while True:
        begun = clock()
        found = proof(change, nodes(link.leases()))
        if tell is not None:
            tell(found)
        now = clock()
        if found.settled or found.enough(minimum) or now >= end:
            return found
        soonest = now + _SHARE * (now - begun)
        full = _counted(link, change, min(end, now + ALL_S), soonest, 0 if full else leases, clock) or full


def _counted(link: Link, change: Meant, end: float, soonest: float, leases: int, clock: Callable[[], float]) -> bool:
    """Wait until ``end``, or until more count than before and it is ``soonest``; 0: that alone is no reason.

    Whether it ended because as many as ``leases`` count, where that is not 0.
    """
    pause, before = SOONEST_S, -1
    while (now := clock()) < end:
        link.wait(max(0.0, min(pause, end - now)))
        count = link.leased(str(change.version))
        if leases and count >= leases:
            return True
        if count == before:
            pause = min(pause * 1.5, LATEST_S)
        elif before >= 0:
            pause = SOONEST_S
            if soonest:
                end = min(end, max(soonest, clock()))
        before = count
    return False
