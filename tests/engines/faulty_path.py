"""The way to a server with all that can befall it: cut, frozen, slow, closed in one direction, gone."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Literal, Self

from logstash_inputs import reset

Direction = Literal["there", "back"]
_PIECE = 1 << 16


class FaultyPath:
    """Stands before ``target``, a port of this machine, at ``port``.

    ``cut`` ends all connections at once, ``refuse`` lets in no more; ``freeze`` leaves them open and carries nothing on
    in one direction or both, connections made meanwhile included; ``hang`` does that to one connection; ``delay_s``
    slows down each piece; ``half_close`` ends what the server says, so that the client reads an end and can still
    write. ``connections`` counts them.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay_s = 0.0
        self.connections = 0
        self._flows: dict[Direction, threading.Event] = {"there": threading.Event(), "back": threading.Event()}
        self.thaw()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._order: list[tuple[socket.socket, socket.socket]] = []
        self._hanging: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._listening = True
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *how: object) -> None:
        self.refuse()
        self.thaw()
        self.cut()

    def cut(self) -> None:
        """Reset every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for each in pair:
                reset(each)

    def half_close(self) -> None:
        """Tell every client that the server says no more."""
        with self._lock:
            pairs = tuple(self._pairs)
        for near, _ in pairs:
            with suppress(OSError):
                near.shutdown(socket.SHUT_WR)

    def freeze(self, *directions: Direction) -> None:
        """Carry nothing on any more, in ``directions`` (both, where none is named)."""
        for each in directions or self._flows:
            self._flows[each].clear()

    def hang(self, number: int) -> None:
        """Carry nothing on, for good, between the ends of the connection that was made as the ``number``-th."""
        self._hanging.add(self._order[number])

    def thaw(self) -> None:
        """Carry on what waits, but for what hangs."""
        for each in self._flows.values():
            each.set()

    def refuse(self) -> None:
        """As if nobody listened there."""
        if self._listening:
            self._listening = False
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def accept(self) -> None:
        """Listen again, at the same port."""
        if not self._listening:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._listening = True
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.target), 10)
                except OSError:
                    reset(near)
                    continue
                far.settimeout(None)
                self.connections += 1
                with self._lock:
                    self._pairs.add((near, far))
                    self._order.append((near, far))
                for source, sink, direction in ((near, far, "there"), (far, near, "back")):
                    threading.Thread(target=self._pump, args=(source, sink, direction), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, direction: Direction) -> None:
        pair = (source, sink) if direction == "there" else (sink, source)
        with suppress(OSError):
            while data := source.recv(_PIECE):
                if self.delay_s:
                    time.sleep(self.delay_s)
                self._flows[direction].wait()
                if pair not in self._hanging:
                    sink.sendall(data)
            self._flows[direction].wait()
        with self._lock:
            self._pairs.discard(pair)
        for each in pair:
            reset(each)
