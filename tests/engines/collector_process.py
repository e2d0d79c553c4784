"""The OpenTelemetry collector as a process: OTLP over HTTP in, and out again."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from engine_servers import needed
from fetch import CACHE
from syslog_server import free_port

NAME = "collector-0.156"
PATIENCE_S = 240.0
_CONFIGURATION = """\
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{port}
exporters:
  otlp_http:
    endpoint: {to}
    encoding: {encoding}
    compression: {compression}
    headers: {{authorization: Bearer {token}}}
    sending_queue: {{enabled: false}}
    retry_on_failure: {{enabled: false}}
service:
  telemetry:
    metrics: {{level: none}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [otlp_http]}}
    traces: {{receivers: [otlp], exporters: [otlp_http]}}
"""


class Collector:
    """Takes OTLP at ``port`` and answers when ``to``, a URL, has taken it: without a queue or tries of its own."""

    def __init__(self, directory: Path, to: str, token: str, encoding: str = "proto", compression: str = "gzip"):
        needed(NAME)
        self._file, self._told = directory / "collector.yaml", directory / "collector.log"
        self._own = {"to": to, "token": token, "encoding": encoding, "compression": compression}

    def __enter__(self) -> Self:
        for _ in range(5):  # somebody else may get a port that was free
            self._start()
            end = time.monotonic() + PATIENCE_S
            while self._process.poll() is None and time.monotonic() < end:
                with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                    return self
                time.sleep(0.02)
            self.__exit__()
        raise AssertionError(self._told.read_text())

    def _start(self) -> None:
        self.port = free_port()
        self._file.write_text(_CONFIGURATION.format(port=self.port, **self._own))
        with self._told.open("ab") as told:
            command = [CACHE / NAME / "collector", "--config", self._file]
            self._process = subprocess.Popen(command, stdout=told, stderr=told, cwd=self._file.parent)

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
