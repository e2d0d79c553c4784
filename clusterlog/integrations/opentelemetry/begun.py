"""The spans that have begun and not ended, and what was known when they did."""

from __future__ import annotations

import weakref
from typing import Any

from clusterlog.context.request import Scope


class Begun:
    """One span under way: the scope it began in, the span itself (weakly), and the span around it as we tell it.

    ``stands``: another event stands for it. ``told`` are then the names of its attributes in that event.
    """

    __slots__ = ("parent", "scope", "span", "stands", "told")

    def __init__(self, scope: Scope | None, span: weakref.ref[Any] | None, parent: str) -> None:
        self.scope = scope
        self.span = span
        self.parent = parent
        self.stands = False
        self.told: frozenset[str] | None = None


begun: dict[int, Begun] = {}
"""By span id."""
