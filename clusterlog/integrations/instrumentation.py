"""What ``instrument`` has done to a library: a handle to undo it, and the way to what was there before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusterlog.context.patching import Patch

_OURS = "__clusterlog__"


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
    def make(patch: Patch) -> Any:
        replacement = wrap(patch.original, patch)
        setattr(replacement, _OURS, patch.original)
        return replacement

    return make


def unpatched(function: Any) -> Any:
    """What a function was before we replaced it; another function as it is.

    One instrumented object stands beneath an instrumented class, so that nothing is told twice.
    """
    return getattr(function, _OURS, function)
