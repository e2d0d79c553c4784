"""A real ``clusterlog serve`` for the tests of buses, that can be treated as badly as the servers of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bus_servers import Server
from engine_servers import free_ports

from clusterlog.cli.demo.leash import leash

_ROOT = Path(__file__).parents[2]


class HubServer(Server):
    """``clusterlog serve`` on a home of its own."""

    def __init__(self) -> None:
        super().__init__(free_ports(1)[0])
        self.home = self.directory / "home"

    @property
    def argv(self) -> Sequence[str]:
        listen = f"127.0.0.1:{self.port}"
        return (sys.executable, "-m", "clusterlog", "serve", "--home", str(self.home), "--listen", listen)

    @property
    def token_file(self) -> Path:
        """Where its tokens are."""
        return self.home / "run" / "serve.json"

    def token(self, right: str) -> str:
        """One of them."""
        found: str = json.loads(self.token_file.read_bytes())["tokens"][right]
        return found

    def ready(self) -> bool:
        with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as asked:
            asked.request("GET", "/")
            return asked.getresponse().status == 401
        return False

    def _spawn(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """As who runs the tests: only that one may be able to enter the work tree."""
        known = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CLUSTERLOG_"))}
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                argv,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
                env={**known, "PYTHONPATH": str(_ROOT)},
                preexec_fn=partial(leash, os.getpid()),  # noqa: PLW1509 - a system call whose address is known
            )
