"""Processes that serve nobody: a server's parent, which starts workers, watches them and starts them again.

Known by what their main thread is in the middle of, so that it does not matter who was there first, the server or us.
"""

from __future__ import annotations

import sys
import threading
from types import FrameType

_PARENTS = (
    ("gunicorn/arbiter.py", frozenset({"__init__", "run"}), "spawn_worker"),
    ("uvicorn/supervisors/multiprocess.py", frozenset({"run"}), ""),
    ("uvicorn/supervisors/basereload.py", frozenset({"run"}), ""),
    ("werkzeug/_reloader.py", frozenset({"restart_with_reloader"}), ""),
)
"""File and functions of a parent, and the function below which it is a child that was forked off."""


def here() -> bool:
    """Whether this process is such a parent, now."""
    frame: FrameType | None = sys._current_frames().get(threading.main_thread().ident or 0)
    children: set[str] = set()
    while frame is not None:
        code = frame.f_code
        for file, functions, child in _PARENTS:
            if code.co_filename.endswith(file):
                if child and code.co_name == child:
                    children.add(file)
                if code.co_name in functions and file not in children:
                    return True
        frame = frame.f_back
    return False
