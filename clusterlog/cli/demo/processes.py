"""Child processes of the demo: started on a leash, each in a process group of its own, and ended to the last member."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from clusterlog.cli.demo.leash import leash

PATIENCE_S = 10.0
"""How long a child may take to end when it is asked to."""

_POLL_S = 0.02
_TAIL_BYTES = 8192
_FOREIGN = ("UVICORN_", "GUNICORN_", "FLASK_", "WEB_CONCURRENCY", "OTEL_SERVICE_NAME")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def environment(**more: str) -> dict[str, str]:
    """The environment of this process without what would make the servers of the demo other ones, and with ``more``."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN) and name.lower() not in _PROXIES
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


class Child:
    """A process and its console, which is a file. ``fds`` are handed to it under the same numbers.

    To be started in the main thread: the leash ends with the thread that started it.
    """

    def __init__(
        self, name: str, argv: Sequence[str], console: Path, env: Mapping[str, str], fds: Iterable[int] = ()
    ) -> None:
        self.name = name
        self.console = console
        with open(console, "ab", opener=partial(os.open, mode=0o600)) as out:
            self._start = os.fstat(out.fileno()).st_size
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=console.parent,
                env=env,
                pass_fds=tuple(fds),
                start_new_session=True,
                # Nothing but a system call whose address is known: safe also while other threads run.
                preexec_fn=partial(leash, os.getpid()),  # noqa: PLW1509
            )
        self.pid = self._process.pid

    def exit_code(self) -> int | None:
        """``None`` while it runs; minus the signal's number if one has ended it."""
        return self._process.returncode if self._process.returncode is not None else self._ended()

    def _ended(self) -> int | None:
        # Left a zombie until its group is gone: as long as it is one, nobody else is given the number of the group.
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def ask_to_end(self) -> None:
        """SIGTERM, to the process alone: a server tells its own workers."""
        if self.exit_code() is None:
            os.kill(self.pid, signal.SIGTERM)

    def end(self, patience: float = PATIENCE_S) -> int:
        """Wait until it has ended, by force after ``patience`` seconds, with all it has started. Returns the code."""
        if self._process.returncode is not None:
            return self._process.returncode
        deadline = time.monotonic() + patience
        while self._ended() is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self._process.wait()

    def last_words(self) -> str:
        """The last line it has written on its console, without our own name in front."""
        size = self.console.stat().st_size
        with open(self.console, "rb") as file:
            file.seek(max(self._start, size - _TAIL_BYTES))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
        return next((line for line in reversed(lines) if line), "it said nothing").removeprefix("clusterlog: ")

    def obituary(self) -> str:
        """How it has ended, in one line."""
        code = self.exit_code() or 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{self.name} has ended ({how}): {self.last_words()}; see {self.console}"
