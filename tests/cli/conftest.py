"""A home with events that are always the same, and the command line called as a function or as a process."""

from __future__ import annotations

import fcntl
import http.client
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pyte
import pytest

from clusterlog.cli import commands, paint
from clusterlog.context import request as context
from clusterlog.context.request import Request
from clusterlog.spool.writer import Writer

ROOT = Path(__file__).parents[2]
UNTOUCHED = Path(__file__).parent / "untouched"
NOON = 1_793_707_200_000_000_000
"""2026-11-03T12:00:00Z in nanoseconds."""
PATIENCE = 30.0
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def until(condition: Callable[[], Any], what: str) -> Any:
    """Ask again and again until the answer is true, and give it."""
    end = time.monotonic() + PATIENCE
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)


def environment(**more: str) -> dict[str, str]:
    """What processes get: this package, and none of the switches of whoever runs the tests."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**known, "PYTHONPATH": str(ROOT), **more}


class Speaker:
    """One process of a service; it says one event a millisecond."""

    def __init__(self, home: Path, number: int, service: str, node: str, host: str = "host-1") -> None:
        from clusterlog.encode.ecs import Encoder
        from clusterlog.encode.facts import Origin
        from clusterlog.record.redact import Redactor

        self.id = f"019ad0{number:026x}"
        self._encoder = Encoder(Origin(service, node, "development", host), redactor=Redactor(()))
        self._moments = count(NOON + number * 1_000_000_000, 1_000_000)
        self._now = NOON + number * 1_000_000_000
        self.writer = Writer(
            home / "spool",
            head=self._encoder.head,
            state=self._encoder.state,
            new_instance=lambda: self.id,
            clock=lambda: self._now,
        )

    def say(self, message: str, level: str = "info", request: str = "", **fields: Any) -> None:
        """One line, of a request if there is one."""
        if request:
            context.enter(Request(request, "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"))
        try:
            rest = self._encoder.line(LEVELS[level], "shop.api", message, (), fields)
        finally:
            context.leave()
        self.writer.append(LEVELS[level] >= 30, self._next(), rest)

    def _next(self) -> int:
        self._now = next(self._moments)
        return self._now

    def answer(self, request: str, status: int) -> None:
        """The access event of a request."""
        body = {
            "http": {"request": {"method": "GET"}, "response": {"status_code": status}},
            "url": {"path": "/orders"},
            "event": {"duration": 5_000_000, "outcome": "success" if status < 500 else "failure"},
        }
        context.enter(Request(request, "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"))
        rest = self._encoder.document("clusterlog.access", 20, "clusterlog.access", f"GET /orders {status}", body)
        context.leave()
        self.writer.append(False, self._next(), rest)

    def end(self) -> None:
        """Say good-bye."""
        self.writer.close(self._next())

    def die(self) -> None:
        """Let everything go as the kernel does for a process that was killed: no good-bye."""
        self.writer.after_fork()
        (self.writer.spool / f"{self.id}.lock").unlink()


class Home:
    """A state directory and those who write in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.speakers: list[Speaker] = []

    def speaker(self, service: str = "shop", node: str = "shop-1", host: str = "host-1") -> Speaker:
        """Another process."""
        self.speakers.append(Speaker(self.path, len(self.speakers) + 1, service, node, host))
        return self.speakers[-1]

    def segments(self) -> list[Path]:
        """Every segment in the spool."""
        return sorted((self.path / "spool").glob("*.seg"))

    def __str__(self) -> str:
        return str(self.path)


@pytest.fixture(name="until")
def _until() -> Callable[[Callable[[], Any], str], Any]:
    """Wait for a condition."""
    return until


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that does not exist yet."""
    return Home(tmp_path / "home")


@dataclass(frozen=True)
class Result:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of standard output, split where a line ends and nowhere else."""
        return self.out.removesuffix("\n").split("\n") if self.out else []


@pytest.fixture
def run(capsysbinary: Any, home: Home) -> Callable[..., Result]:
    """Call a command in this process, with ``--home`` of the test's home unless there is one."""

    def called(*arguments: object) -> Result:
        words = [str(each) for each in arguments]
        if words and not words[0].startswith("-") and not {"--home", "--help"} & set(words):
            words += ["--home", str(home)]
        capsysbinary.readouterr()
        code = commands.call(words)
        captured = capsysbinary.readouterr()
        return Result(code, captured.out.decode(), captured.err.decode())

    return called


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a command in a group of its own; what of it still runs at the end of the test is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "clusterlog", *map(str, arguments)]
        options.setdefault("cwd", tmp_path)
        options.setdefault("env", environment())
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("start_new_session", True)
        started.append(subprocess.Popen(command, **options))
        return started[-1]

    yield begin
    for each in started:
        with suppress(ProcessLookupError):
            os.killpg(each.pid, signal.SIGKILL)
        each.communicate()


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both streams are looked at by a person, without colours."""
    monkeypatch.setattr(paint, "terminal", lambda stream: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("CLUSTERLOG_PAGER", "")


def _in_front() -> None:
    """Own the terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A command on a terminal of its own, seen as a person sees it."""

    def __init__(self, command: list[str], columns: int, lines: int, cwd: Path, env: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (lines, columns))
        self.screen = pyte.HistoryScreen(columns, lines, history=100_000)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env=env,
            start_new_session=True,
            preexec_fn=_in_front,  # noqa: PLW1509 - no thread of ours holds a lock
        )
        os.close(theirs)

    @property
    def shown(self) -> list[str]:
        """The lines on the screen now."""
        return [line.rstrip() for line in self.screen.display]

    def _read(self, patience: float) -> bool:
        """Take in what was written meanwhile; false when nothing comes any more."""
        if not select.select([self._ours], [], [], patience)[0]:
            return True
        try:
            written = os.read(self._ours, 1 << 16)
        except OSError:  # how Linux tells that nobody holds the other side
            return False
        self.raw += written
        self._stream.feed(written)
        return bool(written)

    def look(self) -> None:
        """Take in what comes next."""
        assert self._read(0.1), "ended:\n" + "\n".join(self.shown)

    def see(self, text: str) -> None:
        """Wait until the text stands somewhere on the screen."""
        end = time.monotonic() + PATIENCE
        while not any(text in line for line in self.shown):
            assert time.monotonic() < end, f"waited for {text!r}:\n" + "\n".join(self.shown)
            self.look()

    def press(self, keys: str) -> None:
        r"""What somebody types; ``\x03`` is Ctrl-C."""
        os.write(self._ours, keys.encode())

    def ended(self) -> int:
        """Wait until it ends and everything is on the screen; its exit code."""
        end = time.monotonic() + PATIENCE
        while self._read(0.1):
            assert time.monotonic() < end, "does not end:\n" + "\n".join(self.shown)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """Let go of the terminal; what still runs on it is hung up."""
        os.close(self._ours)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def on_pty(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Run a command on a terminal of so many columns and lines."""
    started: list[Terminal] = []

    def begin(*arguments: object, columns: int = 100, lines: int = 24, **env: str) -> Terminal:
        command = [sys.executable, "-m", "clusterlog", *map(str, arguments)]
        given = environment(**{"TERM": "xterm", "LC_ALL": "C.UTF-8", "HOME": str(tmp_path), **env})
        for name in ("COLUMNS", "LINES", "LESS", "PAGER", "CLUSTERLOG_PAGER"):
            if name not in env:
                given.pop(name, None)
        started.append(Terminal(command, columns, lines, tmp_path, given))
        return started[-1]

    yield begin
    for each in started:
        each.close()


class Served:
    """A server of an untouched application under ``clusterlog run``, and its console."""

    def __init__(self, begun: subprocess.Popen[bytes], console: Path, port: int) -> None:
        self.process = begun
        self.port = port
        self._console = console
        until(self._listens, "the server listens")

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.console
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def console(self) -> str:
        """Both streams so far."""
        return self._console.read_text()

    def ask(self, path: str) -> tuple[int, str]:
        """Status and ``X-Request-ID`` of an answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers["X-Request-ID"]

    def stop(self) -> int:
        """End it as an operator would; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@pytest.fixture
def serve(process: Any, home: Home, tmp_path: Path) -> Callable[..., Served]:
    """Run a server under ``clusterlog run``; ``{port}`` in its arguments is a free one."""

    def begin(*command: str, options: tuple[str, ...] = (), cwd: Path = UNTOUCHED) -> Served:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = [word.format(port=port) for word in command]
        environ = environment(PYTHONUNBUFFERED="1", HOME=str(tmp_path))
        console = tmp_path / "console"
        with console.open("wb") as out:
            begun = process(
                *("run", "--home", home, *options, "--", *words), cwd=cwd, env=environ, stdout=out, stderr=out
            )
        return Served(begun, console, port)

    return begin
