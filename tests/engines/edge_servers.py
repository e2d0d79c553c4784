"""The real HAProxy and nginx with the files of ``examples/``, what stands behind them, and what they log to."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

from programs import program

from clusterlog.cli.demo.leash import leash
from clusterlog.web.syslog.line import item
from clusterlog.web.syslog.message import read

PATIENCE = 60.0
EXAMPLES = Path(__file__).parents[2] / "examples"
BELIEVED = "127.0.0.2"
"""Where a balancer that is believed connects from; everybody else is a stranger."""
_NAME = "192.0.2.10"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nX-Request-ID: node\r\n\r\nok"


def until(condition: Callable[[], Any], what: str = "it") -> Any:
    """Ask again and again until the answer is true, and give it."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


class Datagrams:
    """Takes syslog by UDP; ``documents`` are what `clusterlog serve --syslog` would store of it."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        while data := self._socket.recv(65_536):
            self.lines.append(data)

    def close(self) -> None:
        """Take no more."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def documents(self) -> list[dict[str, Any]]:
        """What has come of ``clusterlog.edge``."""
        return [document for _, document in self._events()]

    def of(self, path: str) -> dict[str, Any]:
        """The event of the request for a path, once it is there."""
        return self._of(path)[1]

    def line(self, path: str) -> bytes:
        """As it came."""
        return self._of(path)[0]

    def _of(self, path: str) -> tuple[bytes, dict[str, Any]]:
        def told() -> list[tuple[bytes, dict[str, Any]]]:
            return [(line, event) for line, event in self._events() if event.get("url", {}).get("path") == path]

        (found,) = until(told, f"the event of {path}")
        return found

    def _events(self) -> list[tuple[bytes, dict[str, Any]]]:
        now = datetime.now().astimezone()
        every = [(line, json.loads(item(read(line, now), whole=True).document)) for line in list(self.lines)]
        return [(line, event) for line, event in every if event.get("event", {}).get("dataset") == "clusterlog.edge"]


class Backend:
    """A node that keeps what it was asked, byte for byte, and answers 200; one request a connection.

    ``/fails`` is answered 503, ``/closes`` by the end of the connection, and ``/slow`` never.
    """

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Answer nobody any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(PATIENCE)
            data = b""
            while not _is_whole(data):
                more = connection.recv(65_536)
                if not more:
                    break
                data += more
            asked = data.partition(b"\r\n")[0]
            if b" /slow" not in asked and b" /closes" not in asked:
                connection.sendall(_ANSWER.replace(b"200 OK", b"503 No") if b" /fails" in asked else _ANSWER)
            if data:  # a health check says nothing
                self.asked.append(data)
            if b" /closes" in asked:
                return
            while connection.recv(65_536):
                continue

    def headers(self, path: str) -> dict[str, list[str]]:
        """What came with the request for a path, by lower-case names."""

        def sought() -> list[bytes]:
            return [each for each in list(self.asked) if each.split(b" ", 2)[1:2] == [path.encode()]]

        (data,) = until(sought, f"a request for {path}")
        found: dict[str, list[str]] = {}
        for line in data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            found.setdefault(name.strip().lower(), []).append(value.strip())
        return found


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        return body.endswith(b"0\r\n\r\n") or b"\r\n0\r\n" in body
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


class Edge:
    """A balancer that runs. ``port`` is where it listens."""

    port: int

    def __init__(self, process: subprocess.Popen[bytes], console: Path) -> None:
        self.process = process
        self.console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
        self.process.kill()
        self.process.wait()

    def raw(self, data: bytes, *, source: str = "127.0.0.1", patience: float = PATIENCE) -> bytes:
        """All that is answered to these bytes until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0)) as connection:
            connection.settimeout(patience)
            connection.sendall(data)
            answered = b""
            with suppress(TimeoutError, ConnectionResetError):
                while more := connection.recv(65_536):
                    answered += more
            return answered

    def get(self, path: str, *headers: tuple[str, str], source: str = "127.0.0.1", method: str = "GET") -> bytes:
        """What is answered to one request with these headers, each as it is given."""
        lines = [f"{method} {path} HTTP/1.1", "Host: shop", *(f"{name}: {value}" for name, value in headers)]
        if not any(name.lower() == "connection" for name, _ in headers):
            lines.append("Connection: close")
        return self.raw("\r\n".join([*lines, "", ""]).encode("latin-1"), source=source)


@contextmanager
def haproxy(
    directory: Path, file: Path, log: str, nodes: dict[str, int], changes: dict[str, str] | None = None
) -> Iterator[Edge]:
    """HAProxy with a file of the examples; its servers are ``nodes`` on this machine, by name and port."""
    text = _here(file.read_text(), nodes).replace("bind :8080", 'bind "fd@${EDGE_FD}"')
    assert re.findall(r"(?m)^ *server \S+ (\S+)", text) == [f"127.0.0.1:{port}" for port in nodes.values()]
    for old, new in (changes or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    made = directory / "haproxy.cfg"
    made.write_text(text)
    with (
        socket.create_server(("127.0.0.1", 0), backlog=128) as listener,
        (directory / "haproxy.log").open("ab") as told,
    ):
        listener.set_inheritable(True)
        process = subprocess.Popen(
            [program("haproxy"), "-db", "-f", str(made)],
            env={**os.environ, "EDGE_LOG": log, "EDGE_FD": str(listener.fileno())},
            pass_fds=[listener.fileno()],
            stdout=told,
            stderr=told,
            preexec_fn=partial(leash, os.getpid()),  # noqa: PLW1509 - a system call whose address is known
        )
        port = listener.getsockname()[1]
    with Edge(process, directory / "haproxy.log") as edge:
        edge.port = port
        _wait(edge)
        yield edge


@contextmanager
def nginx(directory: Path, log: str, nodes: dict[str, int], changes: dict[str, str] | None = None) -> Iterator[Edge]:
    """nginx with the files of the examples, with ``changes`` in its ``nginx.conf``."""
    for tried in range(5):
        port = _free_port()
        write_nginx(directory, log, nodes, port, changes)
        with (directory / "nginx.log").open("ab") as told:
            process = subprocess.Popen(
                [program("nginx", "nginx-light"), "-p", str(directory), "-c", "nginx.conf"],
                stdout=told,
                stderr=told,
                preexec_fn=partial(leash, os.getpid()),  # noqa: PLW1509 - a system call whose address is known
            )
        with Edge(process, directory / "nginx.log") as edge:
            edge.port = port
            if not _wait(edge, may_end=tried < 4):
                continue  # somebody else has taken the port meanwhile
            yield edge
            return


def write_nginx(
    directory: Path, log: str, nodes: dict[str, int], port: int, changes: dict[str, str] | None = None
) -> None:
    """Put the files of the examples into a directory, with what is different here: addresses, ports, where to write."""
    user = "user root;" if os.geteuid() == 0 else ""
    paths = " ".join(
        f"{name}_temp_path {directory}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    for file in ("nginx.conf", "clusterlog-http.conf", "clusterlog-proxy.conf"):
        text = _here((EXAMPLES / "edge" / file).read_text(), nodes)
        if file == "nginx.conf":
            text = re.sub(r"server=127\.0\.0\.1:5140", f"server={log}", text)
            for old, new in (changes or {}).items():
                assert old in text, old
                text = text.replace(old, new)
            text = text.replace("listen 8080;", f"listen 127.0.0.1:{port};")
            text = text.replace("worker_processes auto;", f"{user} worker_processes 1; daemon off; pid nginx.pid;")
            text = text.replace("http {", f"error_log stderr;\nhttp {{\n    {paths}", 1)
        (directory / file).write_text(text)


def _here(text: str, nodes: dict[str, int]) -> str:
    """A file with addresses of this machine in it, and none of another one."""
    for number, (name, port) in enumerate(nodes.items(), 11):
        text = text.replace(f" {name}:8001 ", f" 127.0.0.1:{port} ")
        text = text.replace(f"192.0.2.{number}:8001", f"127.0.0.1:{port}")
        text = text.replace(rf"192\.0\.2\.{number}:8001", rf"127\.0\.0\.1:{port}")
    text = text.replace(_NAME, BELIEVED)
    assert not re.search(r"192\\?\.0\\?\.2|:8001", text), "an address of elsewhere"
    return text


def _wait(edge: Edge, *, may_end: bool = False) -> bool:
    end = time.monotonic() + PATIENCE
    while True:
        if edge.process.poll() is not None and may_end:
            return False
        assert edge.process.poll() is None and time.monotonic() < end, edge.console.read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", edge.port), PATIENCE) as connection:
            connection.settimeout(PATIENCE)
            connection.sendall(b"GET /haproxy/alive HTTP/1.0\r\n\r\n")
            if connection.recv(1):
                return True
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
