"""What survives a process: the document and the deadlines of its rules, in ``control/state.json`` of the home.

A worker that starts reads it before anything else, so that its first line is judged by the rules in force. It is
written anew as a whole, 0600; a half of it is never seen. What it says is believed no more than its signature.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from clusterlog.control.rules.expiry import Deadlines, Saved

SCHEMA = "clusterlog.state/1"
_MOST_BYTES = 256 << 10


class StateFile:
    """The file; its methods never raise, as a node does without it where it must."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[bytes, Saved] | None:
        """The signed document and its deadlines as they were saved; None where there are none to be read."""
        try:
            with open(self.path, "rb") as stream:
                told: dict[str, Any] = json.loads(stream.read(_MOST_BYTES))
            if told["schema"] != SCHEMA:
                return None
            by_rule = {str(rule): None if due is None else int(due) for rule, due in told["deadlines"].items()}
            saved = Saved(Deadlines(str(told["boot"]), by_rule), int(told["boot_ns"]), int(told["wall_ns"]))
            return told["document"].encode("utf-8"), saved
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def write(self, document: bytes, saved: Saved) -> bool:
        """Put both in place of what is there; False where that cannot be done."""
        told = {
            "schema": SCHEMA,
            "document": document.decode("utf-8", "replace"),
            "boot": saved.deadlines.boot,
            "deadlines": dict(saved.deadlines.by_rule),
            "boot_ns": saved.boot_ns,
            "wall_ns": saved.wall_ns,
        }
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(fd, "w", encoding="utf-8") as stream:
                json.dump(told, stream)
            os.replace(beside, self.path)
        except OSError:
            with suppress(OSError):
                beside.unlink()
            return False
        return True
