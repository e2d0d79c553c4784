"""What every bus can do, whatever server is behind it.

A ``Bus`` is an address and costs nothing. ``open()`` gives a ``Link``, used by one thread only but for ``wake``.
Whatever a link's method asks of a server ends within ``PATIENCE_S`` or raises ``BusUnreachable``, and a link that
raised it is of no further use: close it, and open another one. No method logs, retries for ever or starts a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from clusterlog.errors import Rejected

PATIENCE_S = 5.0
"""The longest time a call may take where a server does not answer."""

SILENCE_S = 15.0
"""A link that heard nothing for so long, not even an answer to its own ping, is dead: ``wait`` raises."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The document as it is kept, ``None`` where none was ever written, and the bus's clock at that moment."""

    document: bytes | None
    now_ns: int


@dataclass(frozen=True, slots=True)
class Lease:
    """What somebody last said of itself, ``age_s`` seconds ago by the bus's clock, good for ``ttl_s`` seconds."""

    key: str
    body: bytes
    age_s: float
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Changed:
    """The document may have changed; ``document`` is it where the bus sent it along."""

    document: bytes | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """Something sent to everybody, the sender included."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages may have been missed: said once after every subscription, the first included."""


Notice = Changed | Message | Gap


class Link(Protocol):
    """An open connection. Every method but ``wake`` and ``close`` may raise ``BusUnreachable``.

    So do those of a link that is closed, and of one that a parent process opened. Where a server answers that we may
    not, the error is ``BusDenied``.
    """

    def read(self) -> Snapshot:
        """The document as it is now, and the bus's clock, from one and the same look."""

    def write(self, document: bytes, instead_of: bytes | None) -> None:
        """Keep ``document`` in place of ``instead_of``, and tell everybody.

        Raises ``Conflict`` where something else is kept by now (compare-and-set on the exact bytes).
        """

    def lease(self, key: str, body: bytes, ttl_s: float, version: str) -> None:
        """Say of ``key`` what is to be known of it; it counts under ``version`` (``epoch/rev`` it has applied)."""

    def release(self, key: str) -> None:
        """Take the lease of ``key`` back: it left."""

    def leases(self) -> tuple[Lease, ...]:
        """All leases that were not released, also those that ran out less than a day ago."""

    def leased(self, version: str) -> int:
        """How many leases that have not run out count under ``version``; cheap, for whoever waits for proof."""

    def send(self, body: bytes) -> None:
        """Send ``body``, at most ``MOST_MESSAGE`` bytes, to everybody who listens now.

        At most once; what one sender sends stays in its order. Raises ``Rejected`` for a larger one.
        """

    def wait(self, timeout_s: float) -> tuple[Notice, ...]:
        """What has come, as soon as something has; empty after ``timeout_s``, or when woken.

        Raises ``BusUnreachable`` for a connection that is cut, and for one that has been silent for ``SILENCE_S``.
        """

    def wake(self) -> None:
        """End a ``wait`` that another thread is in, at once. Safe from any thread and from signal handlers."""

    def close(self) -> None:
        """Let go of everything. Never raises; leases stay."""


MOST_MESSAGE = 256 << 10
"""Bytes of one message."""

KEPT_S = 86_400.0
"""How long a lease that ran out is still told of."""


def sendable(body: bytes) -> bytes:
    """``body``, where it is not too large to be sent. Raises ``Rejected``."""
    if len(body) > MOST_MESSAGE:
        raise Rejected(f"a message of {len(body):,} bytes is more than a bus takes ({MOST_MESSAGE:,})", "size")
    return body


class Bus(Protocol):
    """An address of a bus."""

    @property
    def name(self) -> str:
        """Address without credentials, for people."""

    @property
    def local(self) -> bool:
        """Whether it reaches this host only, so that no agent needs to stand between it and the workers."""

    def open(self) -> Link:
        """Connect and subscribe. Raises ``BusUnreachable``, or ``SettingError`` for an address that cannot be right."""
