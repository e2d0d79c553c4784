"""A stand-in for Logstash's http input: what the real one was seen to do, row by row."""

from __future__ import annotations

import base64
import gzip
import ssl
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from logstash_inputs import Queue, Script, reset, strict, unparsed


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
            return [_object(strict(line), line) for line in body.split(b"\n") if line.strip()]
        if codec == "plain":
            return [{"message": body.decode("utf-8", "replace")}]
        told = strict(body)
        if told is None or not isinstance(told, dict | list):
            return [unparsed(body)]
        events = [_object(each, body) for each in (told if isinstance(told, list) else [told])]
        if self.codec_ecs and len(events) == 1:
            events[0].setdefault("event", {})["original"] = body.decode()
        if self.ecs:
            for event in events:
                event["url"] = {"path": "/", "domain": "127.0.0.1", "port": self.port}
                event.setdefault("http", {})["version"] = "HTTP/1.1"
        return events


def _object(told: Any, text: bytes) -> dict[str, Any]:
    return told if isinstance(told, dict) else unparsed(text)


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
