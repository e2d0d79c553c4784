"""The terminal of whoever develops: events appear there as they are written, and progress bars stay whole."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import get_ident
from typing import IO, Any, Protocol

from clusterlog.encode.console import addresses, hyperlink
from clusterlog.encode.console.line import Lines, Piece
from clusterlog.record.capture import UNCAUGHT, WARNINGS

_SGR = {
    "time": "2",
    "D": "2",
    "W": "33",
    "E": "1;31",
    "C": "1;31",
    "logger": "34",
    "key": "2",
    "dim": "2",
    "raised": "1;31",
    "frame": "",
    "source": "",
    **{f"id{number}": code for number, code in enumerate(("36", "35", "32", "33", "94", "95"))},
}
"""Select Graphic Rendition of each ink (ECMA-48): the sixteen colours of the terminal's own theme."""

_PRINTED = frozenset({UNCAUGHT, WARNINGS})
"""Python prints these by itself."""
_SERVERS = ("uvicorn.access", "gunicorn.access", "werkzeug")
_shown: set[int] = set()


@contextmanager
def shown_already() -> Iterator[None]:
    """What this thread puts on the road inside the block is on the terminal by other means."""
    mine = get_ident()
    _shown.add(mine)
    try:
        yield
    finally:
        _shown.discard(mine)


class Writer(Protocol):
    """What numbers and keeps events: the spool's writer, for which a ``Shown`` stands in."""

    ledger: Any

    def append(self, priority: bool, ns: int, rest: bytes, flags: int = 0) -> None:
        """Number and keep one document."""

    def flush(self, timeout: float = 1.0) -> bool:
        """Make what was kept durable."""

    def close(self, ns: int, *, reopen: bool = False) -> None:
        """End the instance."""

    def after_fork(self) -> None:
        """Begin another one in a child."""


class Screen:
    """Shows documents on the standard error of the moment, which progress bars replace while they are drawn.

    ``always``: also what some handler of the application puts on the terminal as well. ``site``: the Kibana to which
    request ids lead where the terminal follows links.
    """

    def __init__(self, directory: str, *, always: bool = False, site: str = "") -> None:
        self._lines = Lines(directory)
        self._always = always
        self._site = site if site and hyperlink.known(os.environ) else ""

    def show(self, wall_ns: int, rest: bytes) -> None:
        """Show the document that ``rest`` is the end of; never raises."""
        try:
            if not self._always and get_ident() in _shown:
                return
            document = json.loads(b'{"event":{%b' % rest)
            if self._always or not _on_terminal_already(document):
                address = self._address(document, wall_ns)
                _write([_inked(line, coloured(), address) for line in self._lines.of(document, wall_ns)])
        except Exception:  # a terminal that went away takes no event with it: the event is in the spool
            return

    def _address(self, document: Mapping[str, Any], wall_ns: int) -> str:
        """Where the request of an event is seen; empty where nothing leads there."""
        if not self._site:
            return ""
        request = ((document.get("http") or {}).get("request") or {}).get("id")
        return addresses.of_request(self._site, request, wall_ns) if isinstance(request, str) and request else ""


def wanted(setting: str, environment: str) -> bool:
    """Whether lines are shown: only in development, only on a terminal, and unless they are turned off."""
    return setting != "off" and environment == "development" and _is_terminal(sys.stderr)


def coloured() -> bool:
    """Whether ink is used: unless ``NO_COLOR`` is set or the terminal is dumb; ``FORCE_COLOR`` wins over the latter."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or os.environ.get("TERM") != "dumb"


def _is_terminal(stream: IO[Any] | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):
        return False


def _on_terminal_already(document: Mapping[str, Any]) -> bool:
    """Whether a handler of the application, or a server's own access line, shows this."""
    log: Mapping[str, Any] = document.get("log") or {}
    if (document.get("event") or {}).get("dataset") == "clusterlog.access":
        return any(_heard(name, logging.INFO) for name in _SERVERS)
    name = str(log.get("logger") or "")
    if name in _PRINTED:
        return True
    level = logging.getLevelNamesMapping().get(str(log.get("level", "")).upper(), logging.INFO)
    return _heard(name, level)


def _heard(name: str, level: int) -> bool:
    """Whether some handler would write a record of that logger to a terminal. No logger is made by asking."""
    known = logging.root.manager.loggerDict.get(name)
    while not isinstance(known, logging.Logger) and name:
        name = name.rpartition(".")[0]
        known = logging.root.manager.loggerDict.get(name)
    logger: logging.Logger | None = known if isinstance(known, logging.Logger) else logging.root
    while logger is not None:
        if any(handler.level <= level and _shows(handler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _shows(handler: logging.Handler) -> bool:
    if isinstance(handler, logging.StreamHandler):
        return _is_terminal(handler.stream)
    console = getattr(handler, "console", None)  # rich's handler
    return console is not None and bool(getattr(console, "is_terminal", False))


def _inked(line: list[Piece], colours: bool, address: str) -> str:
    """The line with its ink; ``address`` is where the id of its request leads, if it is not empty."""
    shown = []
    for text, ink in line:
        painted = _painted(text, _SGR.get(ink, "")) if colours else text
        shown.append(hyperlink.linked(painted, address) if address and ink.startswith("id") else painted)
    return "".join(shown).rstrip()


def _painted(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if code and text.strip() else text


def _write(lines: list[str]) -> None:
    """One write, so that threads do not mix their lines. rich replaces ``sys.stderr`` while it draws; tqdm is asked."""
    stream = sys.stderr
    if not lines or stream is None:
        return
    text = "".join(f"{line}\n" for line in lines)
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if tqdm is not None and getattr(tqdm, "_instances", None):
        with tqdm.external_write_mode(file=stream):
            stream.write(text)
    else:
        stream.write(text)
    stream.flush()


class Shown:
    """Stands in for a writer: what it keeps is shown as well, after it is kept."""

    def __init__(self, writer: Writer, screen: Screen) -> None:
        self._writer = writer
        self._screen = screen

    @property
    def ledger(self) -> Any:
        """The writer's."""
        return self._writer.ledger

    @property
    def sequence(self) -> int | None:
        """The writer's, if it numbers what it writes."""
        found: int | None = getattr(self._writer, "sequence", None)
        return found

    def append(self, priority: bool, ns: int, rest: bytes, flags: int = 0) -> None:
        """Keep one document, then show it."""
        self._writer.append(priority, ns, rest, flags)
        self._screen.show(ns, rest)

    def flush(self, timeout: float = 1.0) -> bool:
        """The writer's."""
        return self._writer.flush(timeout)

    def close(self, ns: int, *, reopen: bool = False) -> None:
        """The writer's."""
        self._writer.close(ns, reopen=reopen)

    def after_fork(self) -> None:
        """The writer's."""
        self._writer.after_fork()
