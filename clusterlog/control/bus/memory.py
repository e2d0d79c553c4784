"""A bus within one process, for tests and for programs that are a cluster of one."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from clusterlog.control.bus.base import KEPT_S, Changed, Gap, Lease, Message, Notice, Snapshot, sendable
from clusterlog.control.bus.bell import Waker
from clusterlog.control.bus.forking import closed_in_children
from clusterlog.control.rules.expiry import boot_ns
from clusterlog.errors import BusUnreachable, Conflict

MOST_WAITING = 4096
"""Notices that wait for one link; where it does not fetch them, it is told of a gap instead."""


class _Kept:
    """What the links of one name share."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.offset_ns = time.time_ns() - boot_ns()
        self.document: bytes | None = None
        self.leases: dict[str, tuple[bytes, int, float, str]] = {}
        self.links: set[MemoryLink] = set()

    def now_ns(self) -> int:
        return self.offset_ns + boot_ns()


_kept: dict[tuple[str, str], _Kept] = {}
_making = threading.Lock()


class MemoryBus:
    """The bus called ``name`` of this process, in the name space ``cluster``."""

    local = True

    def __init__(self, name: str = "", cluster: str = "") -> None:
        self.name = f"memory://{name}"
        self._key = (name, cluster)

    def open(self) -> MemoryLink:
        """Open a link. A forked child finds the bus empty."""
        with _making:
            kept = _kept.get(self._key)
            if kept is None or kept.pid != os.getpid():
                kept = _kept[self._key] = _Kept()
        return MemoryLink(kept)


class MemoryLink:
    """A link within this process; see ``Link``."""

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept
        self._waker = Waker()
        self._woken = False
        self._waiting: deque[Notice] = deque([Gap()])
        self._closed = False
        with kept.lock:
            kept.links.add(self)
        closed_in_children(self)

    def read(self) -> Snapshot:
        """See ``Link``."""
        with self._locked() as kept:
            return Snapshot(kept.document, kept.now_ns())

    def write(self, document: bytes, instead_of: bytes | None) -> None:
        """See ``Link``."""
        with self._locked() as kept:
            if kept.document != instead_of:
                raise Conflict("somebody else has changed the rules meanwhile: look at them, and decide anew")
            kept.document = document
            self._tell(Changed(document))

    def lease(self, key: str, body: bytes, ttl_s: float, version: str) -> None:
        """See ``Link``."""
        with self._locked() as kept:
            kept.leases[key] = (body, kept.now_ns(), ttl_s, version)

    def release(self, key: str) -> None:
        """See ``Link``."""
        with self._locked() as kept:
            kept.leases.pop(key, None)

    def leases(self) -> tuple[Lease, ...]:
        """See ``Link``."""
        with self._locked() as kept:
            ages = {key: (kept.now_ns() - at) / 1e9 for key, (_, at, _, _) in kept.leases.items()}
            for key, age in ages.items():
                if age > kept.leases[key][2] + KEPT_S:
                    del kept.leases[key]
            return tuple(Lease(key, body, ages[key], ttl_s) for key, (body, _, ttl_s, _) in kept.leases.items())

    def leased(self, version: str) -> int:
        """See ``Link``."""
        with self._locked() as kept:
            now = kept.now_ns()
            return sum(under == version and now < at + ttl_s * 1e9 for _, at, ttl_s, under in kept.leases.values())

    def send(self, body: bytes) -> None:
        """See ``Link``."""
        with self._locked():
            self._tell(Message(sendable(body)))

    def wait(self, timeout_s: float) -> tuple[Notice, ...]:
        """See ``Link``."""
        end = time.monotonic() + timeout_s
        while True:
            with self._locked():
                come = tuple(self._waiting)
                self._waiting.clear()
            left = end - time.monotonic()
            if come or self._woken or left <= 0:
                self._woken = False
                return come
            self._waker.wait(left)

    def wake(self) -> None:
        """See ``Link``."""
        self._woken = True
        self._waker.wake()

    def close(self) -> None:
        """See ``Link``."""
        if not self._closed and self._kept.pid == os.getpid():
            with self._kept.lock:
                self._kept.links.discard(self)
        self._closed = True
        self._waker.close()

    @contextmanager
    def _locked(self) -> Iterator[_Kept]:
        if self._closed or self._kept.pid != os.getpid():
            raise BusUnreachable("this link is closed, or a parent process opened it: open another one")
        with self._kept.lock:
            yield self._kept

    def _tell(self, notice: Notice) -> None:
        for each in self._kept.links:
            if len(each._waiting) >= MOST_WAITING:
                each._waiting.clear()
                each._waiting.append(Gap())
            each._waiting.append(notice)
            each._waker.wake()
