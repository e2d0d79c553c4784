"""A server in this process whose store is changed under it, and one as a process of its own that can be killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clusterlog.settings import load
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.web import address, faults, server
from clusterlog.web.app import Parts, application
from clusterlog.web.intake.events import Strangers
from clusterlog.web.tokens import Tokens

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
TOKENS = Tokens("w" * 20, "r" * 20, "c" * 20)


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """Ask again and again until the answer is true, and give it."""
    end = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)
    return answer


@dataclass(frozen=True)
class Said:
    """One answer."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.content.splitlines()]

    @property
    def items(self) -> list[tuple[str, int]]:
        """Action and status of each item of a bulk answer."""
        return [(action, told["status"]) for item in self.json["items"] for action, told in item.items()]

    @property
    def reason(self) -> str:
        return self.json["error"]["reason"]


class Asked:
    """Asks one server, each time over a connection of its own."""

    def __init__(self, url: str, tokens: Any = TOKENS) -> None:
        self.url, self.tokens = url, tokens
        self.host, _, port = url.partition("//")[2].rpartition(":")
        self.port = int(port)

    def __call__(
        self, method: str, path: str, body: bytes | str | None = None, right: str = "write", **headers: str
    ) -> Said:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if right:
            named.setdefault("Authorization", f"Bearer {getattr(self.tokens, right)}")
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Said(answer.status, answer.headers, answer.read())

    def bulk(self, *lines: Any, path: str = "/_bulk", **headers: str) -> Said:
        """Send lines: dicts as JSON, bytes as they are."""
        body = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        return self("POST", path, body, **headers)

    def search(self, query: Any = None, path: str = "/api/v1/search") -> Said:
        return self("POST", path, json.dumps(query or {}), right="read")

    def found(self, query: Any = None) -> list[Any]:
        """The documents, without the last line."""
        return self.search({"order": "oldest", "limit": None, **(query or {})}).lines[:-1]


class Switch:
    """An application that is another one from one moment to the next."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Running:
    """uvicorn in a thread, with whatever application is put into it."""

    def __init__(self) -> None:
        self.switch = Switch()
        self.socket = address.Address("127.0.0.1", 0).listen()
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self._stop, ready = threading.Event(), threading.Event()
        http = server.Http(self.switch, None, self._stop, ready.set)
        self._thread = threading.Thread(target=http.run, args=([self.socket],), daemon=True)
        self._thread.start()
        assert ready.wait(PATIENCE)

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    @contextmanager
    def serving(self, store: Any, home: Path, **parts: Any) -> Iterator[Asked]:
        """This store, until the block ends."""
        strangers = Strangers(load({"home": str(home)}))
        given = {"strangers": strangers, "tokens": TOKENS, "node": "here", "names": ("127.0.0.1", "localhost"), **parts}
        self.switch.app = application(Parts(store, **given))
        yield Asked(self.url)


@pytest.fixture(autouse=True)
def _complains_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another test has made it complain of is said again."""
    monkeypatch.setattr(faults, "_complained", set())


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.end()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    with closing(EmbeddedStore.open(tmp_path / "home" / "store", "write")) as opened:
        yield opened


@pytest.fixture
def ask(running: Running, store: EmbeddedStore, tmp_path: Path) -> Iterator[Asked]:
    """A server on an empty store."""
    with running.serving(store, tmp_path / "home") as asked:
        yield asked


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def environment(**more: str) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**known, "PYTHONPATH": str(ROOT), **more}


class Process:
    """``clusterlog serve`` as a process; ``kill`` and ``begin`` again keep home and port."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.options = options
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.console = home.parent / "serve.log"
        self.begin()

    def begin(self) -> None:
        argv = ["serve", "--home", str(self.home), "--listen", f"127.0.0.1:{self.port}", "--json", *self.options]
        with self.console.open("ab") as console:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "clusterlog", *argv],
                stdout=subprocess.PIPE,
                stderr=console,
                env=environment(),
                cwd=self.home.parent,
            )
        line = self.process.stdout.readline()
        if not line:
            self.kill()
            raise AssertionError(self.console.read_text())
        self.told = json.loads(line)
        self.url = self.told["url"]
        told = json.loads((self.home / "run" / "serve.json").read_bytes())["tokens"]
        self.ask = Asked(self.url, Tokens(**told))

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it, however it is; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@pytest.fixture(scope="session")
def process() -> type[Process]:
    """For servers that several tests share, or that are more than one."""
    return Process


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    begun: list[Process] = []

    def begin(*options: str, home: str = "served") -> Process:
        begun.append(Process(tmp_path / home, *options))
        return begun[-1]

    yield begin
    for each in begun:
        each.end()
