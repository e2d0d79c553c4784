"""A terminal in memory, and a program that runs in it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import textwrap
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest


@pytest.fixture
def in_terminal(tmp_path: Path) -> Callable[..., list[str]]:
    """Run a program whose standard error is a terminal; the lines of that terminal in the end, without the empty ones.

    ``raw=True`` gives the bytes instead. The program has its home in ``home``.
    """

    def run(program: str, *, raw: bool = False, columns: int = 160, **environ: str) -> list[str] | bytes:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, columns))
        source = f"import sys, clusterlog\nhome = {str(tmp_path / 'home')!r}\n{textwrap.dedent(program)}"
        script = tmp_path / "program.py"
        script.write_text(source)
        environment = {**os.environ, "TERM": "xterm-256color", "TZ": "UTC", **environ}
        with subprocess.Popen(
            [sys.executable, str(script)], cwd=tmp_path, stderr=theirs, stdout=subprocess.PIPE, env=environment
        ) as process:
            os.close(theirs)
            seen = b""
            while True:
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # nobody has the other end any more
                    break
                if not piece:
                    break
                seen += piece
            process.communicate(timeout=30)
        os.close(ours)
        if raw:
            return seen
        screen = pyte.Screen(columns, 200)
        pyte.ByteStream(screen).feed(seen)
        return [line.rstrip() for line in screen.display if line.strip()]

    return run
