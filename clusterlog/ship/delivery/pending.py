"""What waits to be sent: cut into batches as it was read, or put back to be sent again when it is due. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from clusterlog.ship.delivery.batch import PROBE_EVENTS, Batch, Limits, cut, size_of
from clusterlog.store.base import Delivery

AGE_S = 1.0
"""How long events wait for a batch to fill while others are under way."""


class Pending:
    """Batches in the order in which they go. ``perhaps(delivery)``: it may have been sent before, by an earlier life.

    Times are monotonic seconds. ``limits`` may be changed; what was cut before is cut again.
    """

    def __init__(self, limits: Limits, perhaps: Callable[[Delivery], bool] | None = None) -> None:
        self.limits = limits
        self._perhaps = perhaps
        self._trays: dict[bool, list[Delivery]] = {False: [], True: []}
        self._since: float | None = None
        self._full: deque[Batch] = deque()
        self._back: list[Batch] = []

    def __bool__(self) -> bool:
        return bool(self._back) or self.has_fresh

    @property
    def size(self) -> int:
        """Bytes of all that waits."""
        return sum(batch.size for batch in chain(self._full, self._back)) + sum(map(size_of, self._trays.values()))

    @property
    def has_fresh(self) -> bool:
        """Whether anything waits that was never put back."""
        return bool(self._full or self._trays[False] or self._trays[True])

    @property
    def reason(self) -> str:
        """Why the first waits of what was put back with a reason."""
        return next((batch.reason for batch in self._back if batch.reason), "")

    def deliveries(self) -> Iterator[Delivery]:
        """Every event that waits."""
        batches = (batch.deliveries for batch in chain(self._full, self._back))
        return chain(chain.from_iterable(batches), *self._trays.values())

    def offer(self, deliveries: Sequence[Delivery], now: float) -> None:
        """These were read. Full batches are cut off; what is left is joined with what is read next."""
        self._since = now if self._since is None else self._since
        if self._perhaps is None:
            self._trays[False] += deliveries
        else:
            for each in deliveries:
                self._trays[self._perhaps(each)].append(each)
        for doubtful, tray in self._trays.items():
            batches = list(cut(tray, self.limits))
            self._trays[doubtful] = list(batches.pop()) if batches else []
            self._full.extend(Batch(each, size_of(each), doubtful=doubtful) for each in batches)

    def put_back(self, batch: Batch, *, first: bool = False) -> None:
        """To be sent when it is due, ``first`` before all others that are."""
        self._back.insert(0 if first else len(self._back), batch)

    def due(self) -> float:
        """When the first of what was put back is due; 0 if something else waits, or nothing."""
        if self.has_fresh:
            return 0.0
        return min((batch.due for batch in self._back), default=0.0)

    def next(self, now: float, *, idle: bool) -> Batch | None:
        """What is sent now: what is due again, then full batches, then what there is; ``None`` if it had better wait.

        ``idle``: nothing else is under way, so that nothing is gained by waiting for more.
        """
        batch = self._due_again(now) or (self._full.popleft() if self._full else self._tray(now, idle))
        if batch is None or batch.size <= self.limits.bytes or len(batch.deliveries) == 1:
            return batch
        head, *rest = (batch.part(each) for each in cut(batch.deliveries, self.limits))
        self._back[:0] = rest
        return head

    def probe(self, now: float, *, fresh: bool) -> Batch | None:
        """A few events, to try whether they are taken; of those that were not sent yet, or of the others.

        Of what was put back the rest goes to the end: if something that is never taken is among these few, the next
        probe has others.
        """
        new = self.has_fresh and (fresh or not self._back)
        if new:
            batch = self._full.popleft() if self._full else self._tray(now, idle=True)
        else:
            batch = self._back.pop(0) if self._back else None
        if batch is None or len(batch.deliveries) <= PROBE_EVENTS:
            return batch
        rest = batch.part(batch.deliveries[PROBE_EVENTS:])
        if new:
            self._full.appendleft(rest)
        else:
            self._back.append(rest)
        return batch.part(batch.deliveries[:PROBE_EVENTS])

    def _due_again(self, now: float) -> Batch | None:
        at = next((at for at, batch in enumerate(self._back) if batch.due <= now), None)
        return None if at is None else self._back.pop(at)

    def _tray(self, now: float, idle: bool) -> Batch | None:
        if not idle and (self._since is None or now - self._since < AGE_S):
            return None
        for doubtful, tray in self._trays.items():
            if tray:
                self._trays[doubtful] = []
                self._since = now if self._trays[not doubtful] else None
                return Batch(tray, size_of(tray), doubtful=doubtful)
        return None

    def resize(self, size: int) -> None:
        """Batches have at most so many bytes from now on."""
        self.limits = replace(self.limits, bytes=size)
