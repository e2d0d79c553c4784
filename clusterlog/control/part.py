"""Where this process's part in its cluster is found by whoever needs it; empty until ``start`` has put it there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clusterlog.control.node.worker import Worker
    from clusterlog.settings import Settings


class Part(Protocol):
    """What ``start`` knows of this process's part in its cluster."""

    @property
    def settings(self) -> Settings:
        """Those of this process."""

    @property
    def clustered(self) -> bool:
        """Whether it has, or is about to have, a part in a cluster."""

    def used(self) -> Worker | None:
        """As ``begin``, but where this process only starts others: what it has imported begins in its children."""

    def begin(self) -> Worker | None:
        """Take part from now on. Raises SettingError, NotAllowed and MissingExtra."""


class Slot:
    """Holds the part, or ``None``. ``taken`` is called with each that is put there."""

    __slots__ = ("part", "taken")

    def __init__(self) -> None:
        self.part: Part | None = None
        self.taken: Callable[[], None] | None = None


slot = Slot()
