"""A server's parent process, which serves nobody: it starts others, watches them and starts them again.

It keeps no file of the spool open and its everyday lines stay on its console. What is worth a search, a worker that
was killed or did not answer, becomes a short instance of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from clusterlog.context.patching import Patch

WARNING = 30
_SERVERS = ("gunicorn.", "uvicorn.", "werkzeug")

_pid = 0
_watches = False
_told = False


def install() -> None:
    """Recognise the parents of gunicorn, of uvicorn's workers and reloader, and of werkzeug's reloader."""
    for patch in _PATCHES:
        patch.install()


def here() -> bool:
    """Whether this process is such a parent."""
    return _pid != 0 and _pid == os.getpid()


def keeps_quiet(record: Any) -> bool:
    """Whether a record is one of the everyday lines that stay on the console."""
    return record.levelno < WARNING and here() and record.name.startswith(_SERVERS)


def settle() -> None:
    """After a line of a parent that watches: let its file go at once."""
    if _watches and here():
        _pause()


def _mark() -> None:
    global _pid, _watches, _told
    _pid, _watches = os.getpid(), False
    if not _told:
        _told = True
        os.register_at_fork(before=_forking)
    _pause()


def _forking() -> None:
    """A parent's own lines so far, of an application that is loaded before the fork, are an instance of their own."""
    global _watches
    if here():
        _pause()
        _watches = True


def _pause() -> None:
    rooms = sys.modules.get("clusterlog.start")
    if rooms is not None:
        rooms.pause()


def _becoming(patch: Patch) -> Any:
    """What only a parent calls."""
    return _becoming_if(patch, lambda args, options: True)


def _serving(patch: Patch) -> Any:
    """What no parent calls: a program may bind a socket by itself and then serve on it."""
    original = patch.original

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        global _pid
        if patch.on and here():
            _pid = 0
        return original(*args, **kwargs)

    return call


def _reloading(patch: Patch) -> Any:
    """``run_simple(hostname, port, application, use_reloader)``, outside of what the reloader has started."""
    return _becoming_if(patch, lambda args, options: bool(options.get("use_reloader", args[3:4] == (True,))))


def _configured(patch: Patch) -> Any:
    """uvicorn's configuration already says what it watches, in the parent alone: children get it ready made."""
    return _becoming_if(patch, lambda args, options: bool(options.get("reload")))


def _becoming_if(patch: Patch, parent: Callable[[tuple[Any, ...], dict[str, Any]], bool]) -> Any:
    original = patch.original

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if patch.on and parent(args, kwargs) and os.environ.get("WERKZEUG_RUN_MAIN") != "true":
            _mark()
        return original(*args, **kwargs)

    return call


_PATCHES = (
    Patch("gunicorn.arbiter:Arbiter.__init__", _becoming),
    Patch("uvicorn.config:Config.__init__", _configured),
    Patch("uvicorn.config:Config.bind_socket", _becoming),
    Patch("uvicorn.supervisors.basereload:BaseReload.__init__", _becoming),
    Patch("uvicorn.supervisors.multiprocess:Multiprocess.__init__", _becoming),
    Patch("uvicorn.server:Server.serve", _serving),
    Patch("werkzeug.serving:run_simple", _reloading),
)
