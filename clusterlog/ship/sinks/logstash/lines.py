"""Lines of JSON over TCP: for far ends that take nothing else. Nobody acknowledges anything, so this is best effort.

Syslog goes the same way. A line counts as stored when the kernel has taken it. Whether the far end was still there to
read it, nobody knows.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from clusterlog.errors import StoreUnavailable
from clusterlog.ship.sinks.endpoint import Endpoint, is_alive
from clusterlog.ship.sinks.logstash.strict import joined, one_line, sorted_out
from clusterlog.store.base import STORED, Delivery, Outcome

SEND_S = 30.0
_CLOSE_S = 2.0
_PIECE = 64 << 10


def line(body: bytes) -> bytes:
    """An event as a line."""
    return one_line(body) + b"\n"


class LinesSink:
    """Writes lines to the first host that can be reached, until that ends the connection. One thread uses it.

    ``written`` is how an event is written: as a line, unless it is said otherwise.
    """

    def __init__(self, endpoints: Sequence[Endpoint], written: Callable[[bytes], bytes] = line) -> None:
        self._endpoints = list(endpoints)
        self._written = written
        self._socket: socket.socket | None = None

    def deliver(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Stored is what the kernel has taken. Raises StoreUnavailable where it did not take all of it.

        Of a line that was sent in part the far end makes an event that cannot be parsed.
        """
        bodies, refused = sorted_out(batch)
        if not bodies:
            return joined((), refused)
        data = memoryview(b"".join(map(self._written, bodies)))
        connection = self._connected()
        try:
            while data:
                data = data[connection.send(data[:_PIECE]) :]
        except OSError as error:
            self._drop()
            why = f"takes nothing for {SEND_S:g} s" if isinstance(error, TimeoutError) else "closed the connection"
            raise StoreUnavailable(f"{self._endpoints[0].url}: {why}") from None
        return joined([STORED] * len(bodies), refused)

    def _connected(self) -> socket.socket:
        """A far end that has gone is noticed before anything is given to it, as far as its good-bye has come."""
        if self._socket is not None and is_alive(self._socket):
            return self._socket
        self._drop()
        told: list[str] = []
        for endpoint in tuple(self._endpoints):
            try:
                made = endpoint.connect()
            except StoreUnavailable as error:
                told.append(str(error))
                self._endpoints.append(self._endpoints.pop(0))
                continue
            made.settimeout(SEND_S)
            self._socket = made
            return made
        raise StoreUnavailable("; ".join(told))

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def flush(self) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        """Say that no more comes, and wait a moment for the far end to have read it. Idempotent."""
        connection, self._socket = self._socket, None
        if connection is None:
            return
        with suppress(OSError), connection:
            connection.settimeout(_CLOSE_S)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(_PIECE):
                continue
