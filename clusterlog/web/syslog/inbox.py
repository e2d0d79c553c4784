"""What came as syslog and waits for the disk: bounded, stored in batches by one thread, and every loss counted."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from clusterlog.errors import StoreUnavailable
from clusterlog.web.faults import complain
from clusterlog.web.intake.bulk import Item
from clusterlog.web.intake.fates import Judged
from clusterlog.web.syslog.framing import Frame
from clusterlog.web.syslog.line import taken
from clusterlog.web.syslog.message import read

MOST_BYTES = 32 << 20
"""Bytes that may wait. While there are more, streams are not read, and datagrams lost."""
_AT_ONCE, _AT_ONCE_BYTES = 2_000, 4 << 20
AGAIN_S = 1.0
"""Between attempts to store what cannot be stored now."""
_OVERHEAD = 200


class Takes(Protocol):
    """Where items go that have come in."""

    def take(self, found: Sequence[Item], peer: str) -> list[Judged]:
        """How each ended. Raises StoreUnavailable where none of them could be judged: they are given again."""


class _Waiting(NamedTuple):
    peer: str
    frame: Frame


class Inbox:
    """Takes messages from any thread.

    ``received`` is how many came, ``stored`` how many of them are events now, ``unparsed`` of how many nothing but the
    text could be kept. ``counts`` are the others, by reason.
    """

    def __init__(self, intake: Takes) -> None:
        self.counts: Counter[str] = Counter()
        self.received = self.stored = self.unparsed = 0
        self.on_room: Callable[[], None] = lambda: None
        self._intake = intake
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="clusterlog-syslog", daemon=True)

    def begin(self) -> None:
        """Store what comes from now on."""
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether as much waits as may."""
        return self._bytes >= MOST_BYTES

    def count(self, reason: str, number: int = 1) -> None:
        """Something was lost, or did not come as it should."""
        with self._changed:
            self.counts[reason] += number

    def put(self, peer: str, frames: list[Frame]) -> None:
        """Messages from ``peer``. Whoever can wait asks ``is_full`` afterwards."""
        with self._changed:
            for frame in frames:
                self._waiting.append(_Waiting(peer, frame))
                self.received += bool(frame.data.strip())
                self._bytes += len(frame.data) + _OVERHEAD
                self.counts["cut"] += not frame.whole
            self._changed.notify()

    def end(self) -> None:
        """Store what waits, try once where that cannot be stored, and stop."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            size = sum(len(each.frame.data) + _OVERHEAD for each in batch)
            for peer in dict.fromkeys(each.peer for each in batch):
                self._store(peer, [each.frame for each in batch if each.peer == peer])
            with self._changed:
                before, self._bytes = self._bytes, self._bytes - size
            if before >= MOST_BYTES // 2 > self._bytes:
                self.on_room()

    def _next(self) -> list[_Waiting]:
        """Some messages, once there are any; none at the end."""
        with self._changed:
            while not self._waiting and not self._ending:
                self._changed.wait()
            batch: list[_Waiting] = []
            size = 0
            while self._waiting and len(batch) < _AT_ONCE and size < _AT_ONCE_BYTES:
                batch.append(self._waiting.popleft())
                size += len(batch[-1].frame.data)
            return batch

    def _store(self, peer: str, frames: list[Frame]) -> None:
        now = datetime.now().astimezone()
        items = [made for frame in frames if (made := self._item(frame, now)) is not None]
        while items:
            again: list[Item] = []
            try:
                for judged in self._intake.take(items, peer):
                    if judged.fate in ("busy", "full"):
                        again.append(judged.item)
                    else:
                        self._judge(judged.fate)
            except StoreUnavailable:
                again = items
            except Exception as error:  # whatever it is, the next message is not to be lost for it
                complain(error)
                self.count("refused", len(items))
                again = []
            items = again
            if items and self._ending:
                self.count("not_stored", len(items))
                return
            if items:
                with self._changed:
                    self._changed.wait_for(lambda: self._ending, AGAIN_S)

    def _judge(self, fate: str) -> None:
        if fate == "created":
            self.stored += 1
        else:
            self.count("known" if fate in ("same", "conflict") else "refused")

    def _item(self, frame: Frame, now: datetime) -> Item | None:
        try:
            if not frame.data.strip():
                return None
            made, parsed = taken(read(frame.data, now), whole=frame.whole)
            self.unparsed += not parsed
            return made
        except Exception as error:  # whatever a stranger's line does to it
            complain(error)
            self.count("refused")
            return None
