"""A syslog server that takes nothing but what RFC 5424 and RFC 6587 allow, and the real one where it is installed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from fetch import CACHE
from programs import program

PATIENCE = 30.0
_NAME = r"[\x21-\x7e]"
_SD_NAME = r"[\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}"
_PARAMETER = rf' {_SD_NAME}="(?:\\["\\\]]|[^"\\\]])*"'
_MESSAGE = re.compile(
    r"<(?P<priority>0|[1-9]\d?|1[0-8]\d|19[01])>1"
    r" (?P<time>-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))"
    rf" (?P<host>-|{_NAME}{{1,255}}) (?P<app>-|{_NAME}{{1,48}})"
    rf" (?P<process>-|{_NAME}{{1,128}}) (?P<kind>-|{_NAME}{{1,32}})"
    rf" (?P<data>-|(?:\[{_SD_NAME}(?:{_PARAMETER})*\])+)(?: (?P<text>.*))?",
    re.DOTALL | re.ASCII,
)
_VALUE = re.compile(rf' ({_SD_NAME})="((?:\\["\\\]]|[^"\\\]])*)"')


def strictly(message: bytes) -> dict[str, str]:
    """The parts of a message. Raises ValueError for what the grammar of RFC 5424 (6) does not allow."""
    found = _MESSAGE.fullmatch(message.decode())
    if found is None:
        raise ValueError(f"no message of RFC 5424: {message[:200]!r}")
    text = found["text"] or ""
    if not text.isascii() and not text.startswith("\ufeff"):
        raise ValueError("UTF-8 without a byte order mark")
    return found.groupdict()


def parameters(data: str) -> dict[str, str]:
    """The values of structured data without their escapes."""
    return {name: re.sub(r'\\(["\\\]])', r"\1", value) for name, value in _VALUE.findall(data)}


class SyslogServer:
    """Listens; ``messages`` are what came in whole, ``wrong`` what made it close a connection."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.messages: list[dict[str, str]] = []
        self.wrong: list[str] = []
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while count := self._count(stream):
                    frame = stream.read(count)
                    if len(frame) != count:
                        raise ValueError("half a frame")
                    self.messages.append(strictly(frame))
        except (OSError, ValueError) as error:
            self.wrong.append(str(error))

    def _count(self, stream) -> int:
        digits = b""
        while (one := stream.read(1)) != b" ":
            if not one and not digits:
                return 0
            if not one.isdigit() or (not digits and one == b"0"):
                raise ValueError(f"no MSG-LEN: {digits + one!r}")
            digits += one
        return int(digits)

    def wait_for(self, count: int) -> list[dict[str, str]]:
        """The messages, once there are so many."""
        end = time.monotonic() + PATIENCE
        while len(self.messages) < count:
            assert not self.wrong, self.wrong
            assert time.monotonic() < end, f"{len(self.messages)} of {count} came"
            time.sleep(0.01)
        return self.messages


class Rsyslog:
    """The real rsyslogd, with a configuration."""

    binary = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

    @classmethod
    def speaks_tls(cls) -> bool:
        """Whether it is installed with OpenSSL."""
        return cls.speaks("lmnsd_ossl")

    @classmethod
    def speaks(cls, module: str) -> bool:
        """Whether it is installed with a module, which may be of a package of its own."""
        return cls.binary is not None and any(Path("/usr/lib").glob(f"*/rsyslog/{module}.so"))

    def __init__(self, directory: Path, configuration: str) -> None:
        file = directory / "rsyslog.conf"
        file.write_text(f'global(workDirectory="{directory}" maxMessageSize="1m")\n{configuration}')
        self._told = directory / "rsyslog.log"
        argv = [self.binary, "-n", "-f", str(file), "-i", str(directory / "rsyslog.pid")]
        with self._told.open("ab") as told:
            self._process = subprocess.Popen(argv, stdout=told, stderr=told, cwd=directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    def wait_for_port(self, port: int) -> None:
        """Until it listens."""
        _wait_for_port(port, self._process, self._told)


class SyslogNg:
    """The real syslog-ng, with a configuration. Its package cannot be installed beside rsyslog's: see ``.ci/run``."""

    @classmethod
    def speaks(cls, module: str) -> bool:
        """Whether it is here with a module, which may be of a package of its own."""
        places = (CACHE / "syslog-ng" / "usr/lib/syslog-ng", Path("/usr/lib/syslog-ng"))
        return any(found for place in places for found in place.glob(f"*/lib{module}.so"))

    def __init__(self, directory: Path, configuration: str) -> None:
        root = CACHE / "syslog-ng"
        unpacked = root / "usr/sbin/syslog-ng"
        file = directory / "syslog-ng.conf"
        file.write_text(f"@version: 3.38\noptions {{ log-msg-size(1048576); stats-freq(0); }};\n{configuration}")
        argv = [str(unpacked) if unpacked.exists() else program("syslog-ng", "syslog-ng-core"), "-F", "-f", str(file)]
        argv += ["--persist-file", str(directory / "persist"), "--control", str(directory / "control")]
        argv += ["--pidfile", str(directory / "syslog-ng.pid"), "--no-caps", "--stderr"]
        env = dict(os.environ)
        if unpacked.exists():
            modules = next((root / "usr/lib/syslog-ng").glob("[0-9]*"))
            argv += ["--module-path", str(modules)]
            env["LD_LIBRARY_PATH"] = str(modules.parent)
        self._told = directory / "syslog-ng.log"
        with self._told.open("ab") as told:
            self._process = subprocess.Popen(argv, stdout=told, stderr=told, cwd=directory, env=env)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    def wait_for_port(self, port: int) -> None:
        """Until it listens."""
        _wait_for_port(port, self._process, self._told)


def _wait_for_port(port: int, process: subprocess.Popen[bytes], told: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None and time.monotonic() < end, told.read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody has, for now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
