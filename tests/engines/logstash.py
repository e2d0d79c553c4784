"""A stand-in for Logstash's http and beats inputs and their queue: what the real ones were seen to do, row by row.

Logstash itself cannot be started here. Its two servers were run by themselves, and what they answer to what is the
table that the tests beside go through. Faults are switched on by a test; ``script`` draws one for each batch.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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

    def __init__(self, queue: Queue | None, tls: ssl.SSLContext | None, script: Script) -> None:
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
        event = _strict(payload)
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


def _strict(payload: bytes) -> Any:
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
        event = _strict(line)
        self.queue.put(event if isinstance(event, dict) else _unparsed(line))


def _unparsed(text: bytes) -> dict[str, Any]:
    return {"message": text.decode("utf-8", "replace"), "tags": [PARSE_FAILURE]}


class HttpInput:
    """The http input. Options as in its configuration; ``busy_s`` stands for the ten seconds of a blocked request.

    ``additional_codecs`` replaces the default as the option does: ``application/json`` is then read by the codec of the
    input, which knows ``codec_ecs``. ``fails`` answers 500 when half of a batch is queued.
    """

    def __init__(
        self,
        queue: Queue | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        script: Script = lambda: "none",
        login: tuple[str, str] | None = None,
        response_code: int = 200,
        threads: int = 8,
        max_pending_requests: int = 200,
        max_content_length: int = 100_000_000,
        ecs: bool = False,
        codec_ecs: bool = False,
        additional_codecs: dict[str, str] | None = None,
        busy_s: float = 10.0,
    ) -> None:
        self.queue = Queue() if queue is None else queue
        self.script, self.login, self.response_code = script, login, response_code
        self.max_content_length, self.ecs, self.codec_ecs, self.busy_s = max_content_length, ecs, codec_ecs, busy_s
        self.codecs = {"application/json": "json"} if additional_codecs is None else additional_codecs
        self.fails = 0
        self.page = b""
        self.requests: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.over = threading.Event()
        self._room = threading.Semaphore(threads)
        self._most = threads + max_pending_requests
        self._lock = threading.Lock()
        self._under_way: dict[object, float] = {}
        self._server = _HttpServer(("127.0.0.1", 0), _Handler)
        self._server.input = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *how: object) -> None:
        self.over.set()
        self.queue.go_on()
        self._server.shutdown()
        self._server.server_close()

    def begin(self) -> object | None:
        """A request may be handled; ``None`` if there are too many, or one of them has been waiting for too long."""
        with self._lock:
            now = time.monotonic()
            stuck = any(now - since > self.busy_s for since in self._under_way.values())
            if stuck or len(self._under_way) >= self._most:
                return None
            token = object()
            self._under_way[token] = now
            return token

    def handle(self, token: object, kind: str, encoding: str, body: bytes) -> int:
        """Hand a body over; the status to answer, 0 for none at all."""
        fault = self.script()
        try:
            with self._room:
                if fault == "cut":
                    return 0
                events = self.read(kind, encoding, body)
                half = fault in ("within", "partial") or self.fails > 0
                for event in events[: len(events) // 2] if half else events:
                    self.queue.put(event)
                if self.fails > 0 and fault == "none":
                    self.fails -= 1
                    return 500
                return self.response_code if fault == "none" else 0
        finally:
            with self._lock:
                del self._under_way[token]

    def read(self, kind: str, encoding: str, body: bytes) -> list[dict[str, Any]]:
        """The events that the codecs make of a body."""
        codec = self.codecs.get(kind) or ("json" if kind == "application/json" else "plain")
        if codec == "json_lines":
            return [_object(_strict(line), line) for line in body.split(b"\n") if line.strip()]
        if codec == "plain":
            return [{"message": body.decode("utf-8", "replace")}]
        told = _strict(body)
        if told is None or not isinstance(told, dict | list):
            return [_unparsed(body)]
        events = [_object(each, body) for each in (told if isinstance(told, list) else [told])]
        if self.codec_ecs and len(events) == 1:
            events[0].setdefault("event", {})["original"] = body.decode()
        if self.ecs:
            for event in events:
                event["url"] = {"path": "/", "domain": "127.0.0.1", "port": self.port}
                event.setdefault("http", {})["version"] = "HTTP/1.1"
        return events


def _object(told: Any, text: bytes) -> dict[str, Any]:
    return told if isinstance(told, dict) else _unparsed(text)


class _HttpServer(ThreadingHTTPServer):
    input: HttpInput
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked is gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _HttpServer

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # every method is taken
            return self._do
        raise AttributeError(name)

    def handle_expect_100(self) -> bool:
        if int(self.headers.get("content-length") or 0) > self.server.input.max_content_length:
            self._answer(413)
            return False
        return super().handle_expect_100()

    def _do(self) -> None:
        here = self.server.input
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        here.requests.append({name.lower(): value for name, value in self.headers.items()} | {"path": self.path})
        if here.login is not None:
            expected = f"Basic {base64.b64encode(':'.join(here.login).encode()).decode()}"
            if self.headers.get("authorization") != expected:
                self._answer(401)
                return
        encoding = self.headers.get("content-encoding", "")
        if encoding in ("gzip", "deflate"):
            body = gzip.decompress(body) if encoding == "gzip" else zlib.decompress(body)
        if len(body) > here.max_content_length:
            self.close_connection = bool(encoding)
            self._answer(413)
            return
        token = here.begin()
        if token is None:
            self.close_connection = "expect" not in self.headers
            self._answer(429)
            return
        kind = (self.headers.get("content-type") or "").partition(";")[0].strip()
        status = here.handle(token, kind, encoding, body)
        if not status:
            reset(self.connection)
            self.close_connection = True
            return
        self._answer(status, here.page or (b"" if status in (204, 500) else b"ok"))

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.server.input.answers.append(status)
        self.send_response_only(status)
        self.send_header("content-type", "text/html" if body[:1] == b"<" else "text/plain")
        if status != 204:
            self.send_header("content-length", str(len(body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)
