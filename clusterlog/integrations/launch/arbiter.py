"""A server's parent process, which serves nobody: it starts others, watches them and starts them again.

It keeps no file of the spool open and its everyday lines stay on its console. What is worth a search, a worker that
was killed or did not answer, becomes a short instance of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from clusterlog.context.patching import Patch

WARNING = 30
_SERVERS = ("gunicorn.", "uvicorn.", "werkzeug")

_pid = 0
_watches = False


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


def _mark(forks: bool) -> None:
    """This process is a parent; ``forks`` if its application may be loaded and say something before it forks."""
    global _pid, _watches
    _pid, _watches = os.getpid(), not forks
    if forks:
        _before_forks()
    _pause()


@cache
def _before_forks() -> None:
    os.register_at_fork(before=_forking)


def _forking() -> None:
    """What the application has said so far is an instance of its own; from here on the parent watches."""
    global _watches
    if here():
        _pause()
        _watches = True


def _pause() -> None:
    rooms = sys.modules.get("clusterlog.start")
    if rooms is not None:
        rooms.pause()


def _becoming(
    forks: bool = False, when: Callable[[tuple[Any, ...], dict[str, Any]], bool] = lambda args, options: True
) -> Callable[[Patch], Any]:
    """What a parent calls, and nobody else with arguments ``when`` says yes to."""

    def make(patch: Patch) -> Any:
        original = patch.original

        @wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if patch.on and when(args, kwargs):
                _mark(forks)
            return original(*args, **kwargs)

        return call

    return make


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


def _wants_reloader(args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """``run_simple(hostname, port, application, use_reloader)``, outside of what the reloader has started."""
    wanted = options.get("use_reloader", args[3] if len(args) > 3 else False)
    return bool(wanted) and os.environ.get("WERKZEUG_RUN_MAIN") != "true"


def _wants_reload(args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """uvicorn's configuration says what is watched; children are handed theirs ready made."""
    return bool(options.get("reload"))


_PATCHES = (
    Patch("gunicorn.arbiter:Arbiter.__init__", _becoming(forks=True)),
    Patch("uvicorn.config:Config.__init__", _becoming(when=_wants_reload)),
    Patch("uvicorn.config:Config.bind_socket", _becoming()),
    Patch("uvicorn.supervisors.basereload:BaseReload.__init__", _becoming()),
    Patch("uvicorn.supervisors.multiprocess:Multiprocess.__init__", _becoming()),
    Patch("uvicorn.server:Server.serve", _serving),
    Patch("werkzeug.serving:run_simple", _becoming(when=_wants_reloader)),
)
