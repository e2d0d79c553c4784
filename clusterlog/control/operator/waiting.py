"""Waiting for proof: what the workers say is read again and again, cheaply while nothing comes, until it is enough."""

from __future__ import annotations

import time
from collections.abc import Callable

from clusterlog.control.bus.base import Lease, Link
from clusterlog.control.members import Node
from clusterlog.control.operator.proof import Meant, Minimum, Progress, Proof, proof

SOONEST_S = 0.002
LATEST_S = 0.1
"""Between two looks at how many leases count under the version: the first, and the longest."""
ALL_S = 1.0
"""Somebody else's change meanwhile, or a process that ended, shows only in the leases themselves."""


def awaited(
    link: Link,
    change: Meant,
    nodes: Callable[[tuple[Lease, ...]], tuple[Node, ...]],
    timeout_s: float,
    minimum: Minimum | None = None,
    tell: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Proof:
    """The proof of ``change`` as soon as ``minimum`` of those expected confirm it, or nobody is left who could.

    After ``timeout_s`` it is whatever there is; 0 looks once. ``nodes`` makes a roster of leases; ``tell`` hears of all
    that comes. Raises BusUnreachable.
    """
    minimum = minimum or Minimum()
    end = clock() + timeout_s
    pause, counted = SOONEST_S, -1
    while True:
        begun = clock()
        found = proof(change, nodes(link.leases()))
        if tell is not None:
            tell(found)
        if found.settled or found.enough(minimum) or clock() >= end:
            return found
        # A look at all leases costs more than a count of them: it is not taken for more than a part of the time.
        taken = clock() - begun
        due = clock() + ALL_S
        soonest = clock() + 2 * taken
        while clock() < min(due, end):
            link.wait(max(0.0, min(pause, end - clock())))
            now = link.leased(str(change.version))
            if now != counted:
                counted, pause = now, SOONEST_S
                due = min(due, soonest)
            else:
                pause = min(pause * 1.5, LATEST_S)
