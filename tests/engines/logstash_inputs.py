"""A stand-in for Logstash's beats and tcp inputs and their queue: what the real ones were seen to do, row by row.

Logstash itself cannot be started here. Its two servers were run by themselves, and what they answer to what is the
table that the tests beside go through. Faults are switched on by a test; ``script`` draws one for each batch.
"""

from __future__ import annotations

import json
import random
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal, Self

PARSE_FAILURE = "_jsonparsefailure"

Fault = Literal["none", "cut", "lost", "within", "partial"]
"""``cut``: the connection ends before the batch is read to its end. ``within``: it ends when half of the batch is
queued. ``lost``: all of it is queued, and the answer never comes. ``partial``: half is queued and acknowledged, then
the connection ends; over http that is ``within``."""

FAULTS: tuple[Fault, ...] = ("cut", "lost", "within", "partial")
Script = Callable[[], Fault]


def drawn(seed: int, share: float, faults: Sequence[Fault] = FAULTS) -> Script:
    """Such a share of all batches meets a fault, each of them as often as the others."""
    chance, lock = random.Random(seed), threading.Lock()

    def draw() -> Fault:
        with lock:
            return chance.choice(list(faults)) if chance.random() < share else "none"

    return draw


def in_turn(*faults: Fault) -> Script:
    """These for the first batches, and none after them."""
    left, lock = list(faults), threading.Lock()

    def draw() -> Fault:
        with lock:
            return left.pop(0) if left else "none"

    return draw


class Queue:
    """What the inputs have handed over, in order. ``block`` lets it take nothing more, as a pipeline that stands."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._free = threading.Event()
        self._free.set()
        self._lock = threading.Lock()

    def block(self) -> None:
        self._free.clear()

    def go_on(self) -> None:
        self._free.set()

    @property
    def is_blocked(self) -> bool:
        return not self._free.is_set()

    def put(self, event: dict[str, Any], wait_s: float | None = None) -> bool:
        """Whether it was taken within that time."""
        if not self._free.wait(wait_s):
            return False
        with self._lock:
            self.events.append(event)
        return True

    def ids(self) -> list[str]:
        with self._lock:
            return [event["event"]["id"] for event in self.events if "event" in event]

    def tagged(self, tag: str) -> list[dict[str, Any]]:
        with self._lock:
            return [event for event in self.events if tag in event.get("tags", ())]


class _Listening:
    """Accepts connections, each in a thread."""

    def __init__(
        self, queue: Queue | None = None, tls: ssl.SSLContext | None = None, script: Script = lambda: "none"
    ) -> None:
        self.queue = Queue() if queue is None else queue
        self.script = script
        self.tls = tls
        self.over = threading.Event()
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *how: object) -> None:
        self.over.set()
        self.queue.go_on()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End every connection there is, without a word."""
        for connection in tuple(self._open):
            reset(connection)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._guarded, args=(connection,), daemon=True).start()

    def _guarded(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.settimeout(30)
            made = connection if self.tls is None else self.tls.wrap_socket(connection, server_side=True)
            self._open.add(made)
            try:
                self.serve(made)
            finally:
                self._open.discard(made)
                reset(made)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError


def reset(connection: socket.socket) -> None:
    """Close as Netty does with SO_LINGER 0: what was not sent is thrown away, and the other side told so."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


class _Ended(Exception):
    """The connection is closed without another word."""


class BeatsInput(_Listening):
    """The beats input: ``keepalive_s`` and ``idle_s`` are its 5 and 60 seconds, for tests that cannot wait.

    ``events_s`` is how long its pipeline takes for an event. ``answer`` replaces every acknowledgement, if it is set.
    """

    def __init__(
        self,
        queue: Queue | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        script: Script = lambda: "none",
        keepalive_s: float = 5.0,
        idle_s: float = 60.0,
    ) -> None:
        super().__init__(queue, tls, script)
        self.keepalive_s, self.idle_s = keepalive_s, idle_s
        self.answer = b""
        self.windows: list[int] = []
        self.kinds: list[str] = []
        self.alive_said = 0

    def serve(self, connection: socket.socket) -> None:
        connection.settimeout(self.idle_s)
        session = _Session(self, connection)
        with suppress(_Ended, TimeoutError):
            session.run()


class _Session:
    """One connection of the beats input: its parser, and the batch that it fills."""

    def __init__(self, beats: BeatsInput, connection: socket.socket) -> None:
        self.beats, self.connection = beats, connection
        self.window = 0
        self.batch: list[tuple[int, dict[str, Any]]] = []
        self.fault: Fault = "none"
        self.hung = False

    def run(self) -> None:
        while True:
            self.frame(self.exactly)

    def exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            more = self.connection.recv(size - len(data))
            if not more:
                raise _Ended
            data += more
        return bytes(data)

    def frame(self, read: Callable[[int], bytes]) -> None:
        head = read(2)
        kind = head[1:].decode("latin-1")
        if head[:1] != b"2" or kind not in "WJC":
            raise _Ended
        self.beats.kinds.append(kind)
        if kind == "W":
            self._open(struct.unpack(">I", read(4))[0])
        elif kind == "J":
            number, length = struct.unpack(">II", read(8))
            self._event(number, read(length))
        else:
            inner = _Reader(zlib.decompress(read(struct.unpack(">I", read(4))[0])))
            while inner:
                self.frame(inner.read)

    def _open(self, events: int) -> None:
        self.beats.windows.append(events)
        if self.batch:  # the window before was not complete: what there is of it goes on, what comes next hangs
            self._done()
            self.hung = True
        self.window, self.fault = events, self.beats.script()
        if not events:
            self._acknowledge(0)

    def _event(self, number: int, payload: bytes) -> None:
        if self.hung:
            return
        if self.fault == "cut" and len(self.batch) * 2 >= self.window:
            raise _Ended
        event = strict(payload)
        if not isinstance(event, dict):
            for _, before in self.batch:
                self._put(before)
            raise _Ended
        self.batch.append((number, event))
        if len(self.batch) == self.window:
            self._done()

    def _done(self) -> None:
        batch, self.batch = self.batch, []
        half = batch if self.fault in ("none", "lost") else batch[: len(batch) // 2]
        for _, event in half:
            self._put(event)
        if self.fault == "none":
            self._acknowledge(batch[-1][0])
            return
        if self.fault == "partial" and half:
            self._acknowledge(half[-1][0])
            with suppress(OSError):  # so that the acknowledgement is not thrown away with the connection
                self.connection.shutdown(socket.SHUT_WR)
                self.connection.settimeout(5)
                self.connection.recv(1)
        raise _Ended

    def _put(self, event: dict[str, Any]) -> None:
        while not self.beats.queue.put(event, self.beats.keepalive_s):
            if self.beats.over.is_set():
                raise _Ended
            self.beats.alive_said += 1
            self._acknowledge(0)

    def _acknowledge(self, number: int) -> None:
        self.connection.sendall(self.beats.answer or struct.pack(">2sI", b"2A", number))


class _Reader:
    """Bytes, read from their beginning."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def read(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise _Ended
        self._at += size
        return self._data[self._at - size : self._at]


def strict(payload: bytes) -> Any:
    """As Jackson parses: no NaN, nothing behind the value; ``None`` for what it refuses."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        return json.loads(payload, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None


class LinesInput(_Listening):
    """The tcp input with json_lines: reads, and says nothing."""

    def serve(self, connection: socket.socket) -> None:
        rest = b""
        while more := connection.recv(65536):
            *lines, rest = (rest + more).split(b"\n")
            for line in lines:
                self._take(line)
        if rest:
            self._take(rest)

    def _take(self, line: bytes) -> None:
        event = strict(line)
        self.queue.put(event if isinstance(event, dict) else unparsed(line))


def unparsed(text: bytes) -> dict[str, Any]:
    return {"message": text.decode("utf-8", "replace"), "tags": [PARSE_FAILURE]}
