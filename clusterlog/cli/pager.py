"""Output that is longer than the screen, through the pager of whoever looks at it, as git does it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping

from clusterlog.cli.line import columns
from clusterlog.encode.console.hyperlink import LINK

_INK = re.compile(r"\x1b\[[\d;]*m")
_FOR_A_SHELL = re.compile(r"[|&;<>()$`\\\"'*?#~=%{}\[\]\n]")


def command_of(environ: Mapping[str, str]) -> str:
    """The pager somebody wants: ``CLUSTERLOG_PAGER``, else ``PAGER``, else less; empty if none is wanted or there.

    One set to nothing, or to ``cat``, means no pager.
    """
    wanted = environ.get("CLUSTERLOG_PAGER", environ.get("PAGER", "less")).strip()
    if wanted in ("", "cat"):
        return ""
    if _FOR_A_SHELL.search(wanted):
        return wanted
    return wanted if shutil.which(shlex.split(wanted)[0], path=environ.get("PATH")) else ""


class Paged:
    """Lines on their way to the terminal: directly if they fit on the screen, else through the pager.

    The pager is begun when the screen is full, so that short output never waits for it, whatever it is.
    """

    def __init__(self, command: str, screen: os.terminal_size) -> None:
        self._command = command
        self._columns = max(1, screen.columns)
        self._left = screen.lines - 1  # the shell's prompt needs one
        self._held: list[str] = []
        self._pager: subprocess.Popen[str] | None = None
        self.left = False
        """Whether the reader has ended the pager, so that nobody wants the rest."""
        self.talk: list[str] = []
        """What is to be said when the screen is free again."""

    def write(self, line: str) -> None:
        """One line without its end. Raises BrokenPipeError when the reader has seen enough, see ``left``."""
        if self._pager is not None:
            self._feed(f"{line}\n")
            return
        self._held.append(line)
        self._left -= max(1, -(-columns(_INK.sub("", LINK.sub("", line))) // self._columns))
        if self._left < 0:
            self._begin()

    def _begin(self) -> None:
        sys.stdout.flush()
        environ = {"LESS": "FRX", "LV": "-c", **os.environ}
        encoding = sys.stdout.encoding or "utf-8"
        self._pager = subprocess.Popen(
            self._command,
            shell=True,
            env=environ,
            stdin=subprocess.PIPE,
            text=True,
            encoding=encoding,
            errors="replace",
        )
        self._feed("".join(f"{line}\n" for line in self._held))
        self._held.clear()

    def _feed(self, text: str) -> None:
        assert self._pager is not None
        assert self._pager.stdin is not None
        try:
            self._pager.stdin.write(LINK.sub("", text))  # few pagers know them; less does from version 566 on
        except BrokenPipeError:
            self.left = True
            raise

    def end(self) -> None:
        """Let the reader read to the end. Ctrl-C belongs to the pager by then."""
        if self._pager is None:
            sys.stdout.writelines(f"{line}\n" for line in self._held)
            return
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            # Closing writes what is still buffered.
            self._pager.communicate()
        finally:
            signal.signal(signal.SIGINT, before)
