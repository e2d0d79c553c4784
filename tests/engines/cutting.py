"""A proxy for any protocol that cuts connections at random: after so many bytes in either direction, without a word."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress
from typing import Self

from logstash_inputs import reset

_PIECE = 4096


class CuttingProxy:
    """Stands before ``target`` (a port of this machine) at ``port``.

    Such a share of all connections is cut after a random number of bytes, ``most`` at most; ``cuts`` counts them. What
    was on its way when it happened has arrived or not, as chance will have it.
    """

    def __init__(self, target: int, seed: int, *, share: float = 0.8, most: int = 200_000) -> None:
        self.cuts = 0
        self.connections = 0
        self._target, self._share, self._most = target, share, most
        self._chance = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *how: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in tuple(self._open):
            reset(each)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target), 10)
            except OSError:
                return
            self.connections += 1
            left = [self._chance.randrange(self._most) if self._chance.random() < self._share else -1]
            self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink, left), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, left: list[int]) -> None:
        with suppress(OSError):
            source.settimeout(None)
            while data := source.recv(_PIECE):
                if left[0] >= 0:
                    if len(data) > left[0]:
                        sink.sendall(data[: left[0]])
                        self.cuts += 1
                        break
                    left[0] -= len(data)
                sink.sendall(data)
        for each in (source, sink):
            reset(each)
            self._open.discard(each)
