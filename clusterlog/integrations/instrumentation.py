"""What ``instrument`` has done to a library: a handle to undo it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusterlog.context.patching import Patch


class Instrumentation:
    """A library that is instrumented; ``remove`` leaves it as it was."""

    __slots__ = ("_undo", "name")

    def __init__(self, name: str, *undo: Callable[[], object]) -> None:
        self.name = name
        self._undo = list(undo)

    def remove(self) -> None:
        """Undo it. Idempotent."""
        while self._undo:
            self._undo.pop()()

    @property
    def removed(self) -> bool:
        """Whether ``remove`` was called."""
        return not self._undo

    def __repr__(self) -> str:
        return f"<clusterlog {'was' if self.removed else 'is'} in {self.name}>"


def patched(name: str, *replaced: tuple[str, Callable[[Any, Patch | None], Any]]) -> Instrumentation:
    """Replace functions of a library now, or when it is imported.

    Each is a target as ``Patch`` has it, and what makes the replacement of the original.
    """
    patches = [Patch(target, _making(wrap)) for target, wrap in replaced]
    for patch in patches:
        patch.install()
    return Instrumentation(name, *[patch.remove for patch in patches])


def _making(wrap: Callable[[Any, Patch | None], Any]) -> Callable[[Patch], Any]:
    return lambda patch: wrap(patch.original, patch)
