"""Real servers in their own processes, clients that talk to them over sockets, and what came to lie in their spools."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import clusterlog
from clusterlog.context import request as context
from clusterlog.context import tracing
from clusterlog.spool.reader import instances, records
from clusterlog.spool.segment import Damage

ROOT = Path(__file__).parents[2]
SERVED = Path(__file__).parent / "served"
FILE = SERVED / "wsgi_flask.py"
PATIENCE = 30.0


class Events(list[dict[str, Any]]):
    """Events in the order of their time stamps."""

    def of(self, id: str) -> Events:
        """Those of one request."""
        return Events(each for each in self if each.get("http", {}).get("request", {}).get("id") == id)

    def __getitem__(self, key: Any) -> Any:
        """By number as ever; by name of a data set its events, without the ``clusterlog.``."""
        if isinstance(key, str):
            return Events(each for each in self if each["event"]["dataset"] == f"clusterlog.{key}")
        return super().__getitem__(key)

    @property
    def messages(self) -> list[str]:
        """What they say."""
        return [each["message"] for each in self]


def read(home: Path) -> Events:
    """Every event in the spool of a home."""
    spool = home / "spool"
    found = Events()
    for instance in instances(spool):
        for _, record in records(spool, instance):
            assert not isinstance(record, Damage)
            found.append(json.loads(record.payload))
    found.sort(key=lambda event: event["@timestamp"])
    return found


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """Ask again and again until the answer is true, and give it."""
    end = time.monotonic() + PATIENCE
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)


class Answer:
    """A response: ``status``, ``body``, ``id`` as ``X-Request-ID`` has it, and all values of that header."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.ids = response.headers.get_all("X-Request-ID") or []
        self.id = self.ids[0] if self.ids else ""
        self.truncated = False
        try:
            self.body = response.read()
        except http.client.IncompleteRead as error:
            self.body, self.truncated = error.partial, True


class Served:
    """A server in its own process group, with its console in two files."""

    def __init__(self, directory: Path, command: list[str], port: int, **environ: str) -> None:
        self.home = directory / "home"
        self.port = port
        self.out, self.err = directory / "out", directory / "err"
        known = {name: value for name, value in os.environ.items() if not name.startswith("CLUSTERLOG_")}
        paths = os.pathsep.join([str(SERVED), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environ = {
            **known,
            "PYTHONPATH": paths,
            "PYTHONUNBUFFERED": "1",
            "HOME": str(directory),
            "SERVED_FILE": str(FILE),
            "CLUSTERLOG_HOME": str(self.home),
            **environ,
        }
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, *command], cwd=directory, env=environ, stdout=out, stderr=err, start_new_session=True
            )
        try:
            wait_until(self._listens, f"{command} listens")
        except AssertionError:
            self.stop()
            raise

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.err.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def ask(self, path: str, method: str = "GET", connection: Any = None, **headers: str) -> Answer:
        """Send one request, over a connection of its own if there is none. Header names have ``_`` for ``-``."""
        if connection is None:
            with closing(self.connect()) as opened:
                return self.ask(path, method, opened, **headers)
        connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        with connection.getresponse() as response:
            return Answer(response)

    def connect(self) -> http.client.HTTPConnection:
        """A connection to the server."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def abort(self, path: str, **headers: str) -> None:
        """Send a request, take the first bytes of the answer, and reset the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as opened:
            lines = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in headers.items())
            opened.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\n{lines}\r\n".encode())
            assert opened.recv(1024)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def events(self) -> Events:
        """What lies in the spool by now."""
        return read(self.home)

    def console(self) -> list[str]:
        """The lines on both streams by now."""
        return [*self.out.read_text().splitlines(), *self.err.read_text().splitlines()]

    def stop(self) -> None:
        """End it as an operator would, and wait until it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Waits for a condition, and gives what it gave."""
    return wait_until


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def uvicorn(application: str, *options: str) -> Callable[..., Served]:
    """How to start uvicorn with an application of ``served``."""

    def begin(directory: Path, **environ: str) -> Served:
        port = free_port()
        return Served(directory, ["-m", "uvicorn", application, "--port", str(port), *options], port, **environ)

    return begin


def gunicorn(application: str, *options: str) -> Callable[..., Served]:
    """How to start gunicorn with an application of ``served`` and an access log."""

    def begin(directory: Path, **environ: str) -> Served:
        port = free_port()
        bound = ["-b", f"127.0.0.1:{port}", "--access-logfile", "-", "--no-control-socket", "--graceful-timeout", "5"]
        return Served(directory, ["-m", "gunicorn", application, *bound, *options], port, **environ)

    return begin


def development(application: str, *options: str) -> Callable[..., Served]:
    """How to start Flask's own development server with an application of ``served``."""

    def begin(directory: Path, **environ: str) -> Served:
        port = free_port()
        command = ["-m", "flask", "--app", application, "run", "--port", str(port), *options]
        return Served(directory, command, port, **environ)

    return begin


def program(module: str, *options: str) -> Callable[..., Served]:
    """How to start a module of ``served`` that has a server of its own; its first argument is the port."""

    def begin(directory: Path, **environ: str) -> Served:
        port = free_port()
        return Served(directory, ["-m", module, str(port), *options], port, **environ)

    return begin


@pytest.fixture(scope="session")
def servers() -> Any:
    """The functions that say how to start a server, by its name."""
    return {"uvicorn": uvicorn, "gunicorn": gunicorn, "flask": development, "program": program}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start servers for one test; they are stopped after it."""
    started: list[Served] = []

    def begin(how: Callable[..., Served], **environ: str) -> Served:
        directory = tmp_path / f"server-{len(started)}"
        directory.mkdir()
        started.append(how(directory, **environ))
        return started[-1]

    yield begin
    for each in started:
        each.stop()


class Started:
    """This very process logs into a home of its own; called, it gives what lies in its spool."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self) -> Events:
        return read(self.home)

    def again(self, **settings: Any) -> None:
        """Stop, and start with other settings in the same home."""
        clusterlog.stop()
        clusterlog.start("tested", home=self.home, **settings)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """While clusterlog is started in this process."""
    started = Started(tmp_path / "home")
    started.again()
    yield started
    clusterlog.stop()


@pytest.fixture
def no_provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """OpenTelemetry as it is before anybody has set a provider, which can be done only once; again if called."""
    from opentelemetry import trace
    from opentelemetry.util._once import Once

    def forget() -> None:
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
        monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())

    forget()
    before = dict(tracing.lost)
    tracing.lost.clear()
    yield forget
    tracing.lost.clear()
    tracing.lost.update(before)


@pytest.fixture
def provider(started: Started, no_provider: Any) -> Any:
    """The global provider of OpenTelemetry, which clusterlog has joined."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    made = TracerProvider(shutdown_on_exit=False)
    trace.set_tracer_provider(made)
    return made


@pytest.fixture
def tracer(provider: Any) -> Any:
    """The tracer of an application."""
    return provider.get_tracer("shop")


@pytest.fixture
def run_program(tmp_path: Path) -> Callable[..., Events]:
    """Run a program of its own with a home as its argument; gives what lies in the spool afterwards.

    ``before`` are arguments of Python's in front of the program; ``{home}`` in one of them is the home.
    """

    def run(code: str, *before: str) -> Events:
        file, home = tmp_path / "program.py", tmp_path / "of-the-program"
        file.write_text(code, encoding="utf-8")
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, *(each.format(home=home) for each in before), str(file), str(home)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)
        assert done.returncode == 0, done.stderr
        assert not [line for line in done.stderr.splitlines() if "Error" in line], done.stderr
        return Events(event for event in read(home) if event["event"]["kind"] != "state")

    return run


@pytest.fixture(autouse=True)
def _nobody_before_and_after() -> Iterator[None]:
    """Each test begins and ends outside of any request."""
    context.leave()
    yield
    context.leave()
