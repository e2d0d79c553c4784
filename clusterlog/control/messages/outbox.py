"""What waits to be sent: a bounded line between the application's threads and the one that speaks to the bus."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

MOST_BYTES = 8 << 20
MOST_MESSAGES = 10_000
LIFE_S = 30.0
"""A message that could not be sent for so long says something that is no longer true."""


class Outbox:
    """Bodies in the order in which they were put; what is too old or too many is dropped and counted.

    Any thread may ``put``; one takes: ``first`` as often as it likes, ``sent`` when that has been sent.
    """

    def __init__(
        self,
        life_s: float = LIFE_S,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._life_s = life_s
        self._most_bytes = most_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self.dropped = 0

    def put(self, body: bytes) -> bool:
        """Whether there was room for it."""
        with self._lock:
            self._forget_old()
            if self._bytes + len(body) > self._most_bytes or len(self._waiting) >= MOST_MESSAGES:
                self.dropped += 1
                return False
            self._waiting.append((self._clock(), body))
            self._bytes += len(body)
            return True

    def first(self) -> bytes | None:
        """What is to be sent next; it stays where it is. None where nothing waits."""
        with self._lock:
            self._forget_old()
            return self._waiting[0][1] if self._waiting else None

    def sent(self, body: bytes) -> None:
        """``body``, which was the first, has been sent."""
        with self._lock:
            if self._waiting and self._waiting[0][1] is body:
                self._take()

    def clear(self) -> None:
        """In a forked child: what waited is the parent's to send, and nobody holds the lock."""
        self._lock = threading.Lock()
        self._waiting.clear()
        self._bytes = self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def _take(self) -> None:
        self._bytes -= len(self._waiting.popleft()[1])

    def _forget_old(self) -> None:
        oldest = self._clock() - self._life_s
        while self._waiting and self._waiting[0][0] < oldest:
            self._take()
            self.dropped += 1
