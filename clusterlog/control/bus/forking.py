"""What a forked child does with links that its parent opened: it lets go of them at once.

Else a connection would stay open for as long as any child lives, with nobody at the end of it. Where the fork is done
below Python no hook runs; there the links themselves compare process ids, and refuse.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet


class Closable(Protocol):
    """Whose ``close`` touches nothing of the parent's where it is called in a child."""

    def close(self) -> None:
        """Let go."""


_open: WeakSet[Closable] = WeakSet()


def closed_in_children(link: Closable) -> None:
    """Close ``link`` in every child that is forked while it lives."""
    _open.add(link)


def _in_child() -> None:
    for each in tuple(_open):
        with suppress(Exception):  # nothing of ours may fail a fork
            each.close()
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
