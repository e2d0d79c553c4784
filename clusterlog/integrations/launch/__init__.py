"""A process under ``clusterlog run``: its own code is untouched, and what it says and serves goes on the road.

``begin`` runs before anything of the program. It opens no file, starts no thread and loads next to nothing: a program
may want to replace the standard library's sockets and locks (gevent) before they are loaded, and most Pythons that a
program starts never log at all. The rest follows with the first line, or with the first part that a request needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import wraps
from types import ModuleType
from typing import Any

from clusterlog.context.patching import Patch, when_imported
from clusterlog.integrations import everything
from clusterlog.integrations.launch import arbiter, tap
from clusterlog.record.slot import slot

LEVEL, DEBUG = "CLUSTERLOG_LEVEL", "CLUSTERLOG_DEBUG"
"""Where ``clusterlog run`` leaves these settings for its programs, which need them before all are worth loading."""


class Road:
    """Stands in the slot until something happens; then the real one is opened and takes its place."""

    def line(self, *arguments: Any, **options: Any) -> None:
        """A log line; see ``record.slot.Road``."""
        self._opened("line", arguments, options)

    def document(self, *arguments: Any, **options: Any) -> None:
        """An access, call or span event; see ``record.slot.Road``."""
        self._opened("document", arguments, options)

    def bound(self, fields: Mapping[str, Any]) -> None:
        """Nothing yet; see ``record.slot.Road``."""

    def _opened(self, name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        slot.road = None  # what is said while the road is being opened passes by, instead of opening it again
        try:
            from importlib import import_module

            _open(import_module("clusterlog.start"))
        except Exception as error:
            _give_up(error)
        opened: Any = slot.road
        if opened is not None:
            getattr(opened, name)(*arguments, **options)


def begin() -> None:
    """Take this process on. Never raises: whatever is wrong, the program runs."""
    try:
        slot.road = Road()
        debug = os.environ.get(DEBUG, "").split(",")
        tap.install(os.environ.get(LEVEL, "INFO"), tuple(name.strip() for name in debug if name.strip()))
        arbiter.install()
        _EXCEPTHOOK.install()
        when_imported("logging", _capture)
        when_imported("clusterlog.integrations.lines", _deafen)
        when_imported("clusterlog.start", _open)
        everything()
    except Exception as error:
        _give_up(error)


def _capture(logging: ModuleType) -> None:
    """Warnings and what nobody catches, from here on: whatever tells of those has loaded ``logging``."""
    from clusterlog.record import capture

    capture.install()


def _uncaught(patch: Patch) -> Any:
    """What ends a program that has never loaded ``logging``."""
    original = patch.original

    @wraps(original)
    def excepthook(kind: Any, error: Any, trace: Any) -> None:
        road: Any = slot.road
        if patch.on and isinstance(road, Road) and "logging" not in sys.modules and isinstance(error, Exception):
            road.line(_CRITICAL, "clusterlog.uncaught", "uncaught exception", (), {}, error)
        original(kind, error, trace)

    return excepthook


_EXCEPTHOOK = Patch("sys:excepthook", _uncaught)
_CRITICAL = 50


def _deafen(lines: ModuleType) -> None:
    """A server's lines reach the road through the tap; a second ear would hear them twice."""
    lines.listening = False  # type: ignore[attr-defined]


def _open(rooms: ModuleType) -> None:
    """Wire the rooms, as soon as one of them is needed; the program's own ``start`` may still follow, and wins."""
    try:
        rooms.launch()
    except Exception as error:
        _give_up(error)


def _give_up(error: Exception) -> None:
    slot.road = None
    tap.remove()
    try:
        os.write(2, f"clusterlog: process {os.getpid()} is not followed: {error}\n".encode(errors="backslashreplace"))
    except OSError:
        return
