"""A proxy before a real server that does to requests what networks, gateways and overloaded servers do.

Plain HTTP, a thread for each connection. For each request a fault is drawn; a seeded script makes a run repeatable as
far as the order of requests is.
"""

from __future__ import annotations

import gzip
import http.client
import json
import random
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

Fault = Literal["none", "401", "413", "429", "503", "html", "hang", "cut", "cut within", "lost", "fewer", "slow"]
"""``hang``: no answer for a while, then the connection is closed. ``cut``: closed before anything is done. ``lost``:
the server does it, and the answer never comes; ``cut within``: half of it comes. ``fewer``: some items are missing.
``413`` is what a gateway says to what is larger than ``FaultProxy.most``; what is not passes."""

FAULTS: tuple[Fault, ...] = ("429", "503", "html", "hang", "cut", "cut within", "lost", "fewer", "slow")
"""Those that may be over with the next request."""

Script = Callable[[str], Fault]
"""The path of a request → what is done to it."""

PAGE = b"<!doctype html><html><title>Sign in</title><body>Please sign in to the network</body></html>"
_KEPT = ("content-type", "content-encoding", "authorization", "accept", "accept-encoding", "user-agent")


def drawn(seed: int, share: float, faults: tuple[Fault, ...] = FAULTS) -> Script:
    """Of all bulk requests such a share meets a fault, each of them as often as the others."""
    chance, lock = random.Random(seed), threading.Lock()

    def draw(path: str) -> Fault:
        if "/_bulk" not in path:
            return "none"
        with lock:
            return chance.choice(faults) if chance.random() < share else "none"

    return draw


def always(fault: Fault) -> Script:
    """Every bulk request meets this."""
    return lambda path: fault if "/_bulk" in path else "none"


def everywhere(fault: Fault) -> Script:
    """Every request meets this, whatever it asks."""
    return lambda path: fault


class FaultProxy:
    """Stands before ``target`` (a URL) at ``url``. A context manager; ``script`` may be changed at any time.

    ``counts`` tells what was done, by fault; ``seconds`` are how long it hangs or is slow, ``most`` how many bytes of a
    request pass it. With ``tls`` it speaks that, with whatever certificate is set when somebody connects.
    """

    def __init__(
        self,
        target: str,
        script: Script = lambda path: "none",
        *,
        seconds: float = 0.5,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.script = script
        self.seconds = seconds
        self.most = 0
        self.tls = tls
        self.counts: Counter[str] = Counter()
        self.ended = threading.Event()
        where = urlsplit(target)
        self._target = where.hostname or "", where.port or 80
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_address[1]

    @property
    def requests(self) -> int:
        """How many bulk requests have come."""
        return self.counts["bulk"]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, fault: str, path: str) -> None:
        """A request has come, and this is done to it."""
        with self._lock:
            self.counts[fault] += 1
            self.counts["bulk"] += "/_bulk" in path

    def forward(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask the server. Raises OSError."""
        connection = http.client.HTTPConnection(*self._target, timeout=60)
        try:
            connection.request(method, path, body or None, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    proxy: FaultProxy
    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, Any]:
        """Who comes next; hands are shaken in the thread of that connection."""
        connection, address = super().get_request()
        if self.proxy.tls is not None:
            connection = self.proxy.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked is gone, or was killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def _handle(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        fault = proxy.script(self.path)
        if fault == "413" and len(body) <= proxy.most:
            fault = "none"
        proxy.count(fault, self.path)
        match fault:
            case "401":
                self._answer(401, b'{"error":{"type":"security_exception","reason":"unable to authenticate"}}')
            case "413":
                self._answer(413, PAGE, "text/html")
            case "429":
                self._answer(429, b'{"error":{"type":"es_rejected_execution_exception","reason":"full"},"status":429}')
            case "503":
                self._answer(503, PAGE, "text/html")
            case "html":
                self._answer(200, PAGE, "text/html")
            case "hang":
                proxy.ended.wait(proxy.seconds)
                self._close()
            case "cut":
                self._close()
            case _:
                self._through(fault, body)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def _through(self, fault: Fault, body: bytes) -> None:
        proxy = self.server.proxy
        headers = {name: value for name, value in self.headers.items() if name.lower() in _KEPT}
        if fault == "slow":
            proxy.ended.wait(proxy.seconds)
        try:
            status, told, content = proxy.forward(self.command, self.path, body, headers)
        except OSError:
            self._answer(502, PAGE, "text/html")
            return
        if fault == "lost":
            self._close()
            return
        if fault == "fewer":
            told, content = _without_some(told, content)
        if fault == "cut within":
            self._head(status, told, len(content))
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True  # politely: a reset could overtake what was written
            return
        self._head(status, told, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: int, headers: list[tuple[str, str]], length: int) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _answer(self, status: int, content: bytes, kind: str = "application/json") -> None:
        self._head(status, [("Content-Type", kind)], len(content))
        self.wfile.write(content)

    def _close(self) -> None:
        """With a reset, as a firewall or a dead peer does it, and not politely."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


def _without_some(headers: list[tuple[str, str]], content: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """An answer that lacks some of its items."""
    packed = any(name.lower() == "content-encoding" and value == "gzip" for name, value in headers)
    told = json.loads(gzip.decompress(content) if packed else content)
    if isinstance(told.get("items"), list):
        told["items"] = told["items"][: len(told["items"]) // 2]
    kept = [(name, value) for name, value in headers if name.lower() != "content-encoding"]
    return kept, json.dumps(told).encode()


def wait_until(condition: Callable[[], Any], what: str, patience_s: float = 120.0) -> Any:
    """Ask again and again until the answer is true, and give it."""
    end = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)
    return found
