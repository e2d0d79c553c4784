"""Functions of somebody else's, replaced by name and put back; also in modules that nobody has imported yet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Told = Callable[[ModuleType], None]


class Patch:
    """One attribute, replaced while ``on``.

    ``target`` names it: ``"threading:Thread.start"``. ``make(patch)`` gives the replacement, once ``patch.original``
    is known. The replacement must do nothing of its own unless ``patch.on``: where somebody else has wrapped it
    meanwhile it cannot be taken away, and only falls silent.
    """

    def __init__(self, target: str, make: Callable[[Patch], Any]) -> None:
        self.target = target
        self.on = False
        self.original: Any = None
        self._module, _, path = target.partition(":")
        self._path = path.split(".")
        self._make = make
        self._replacement: Any = None

    def install(self) -> None:
        """Replace it now, or when its module is imported: who does not use it shall not pay for it."""
        self.on = True
        when_imported(self._module, self._apply)

    def remove(self) -> None:
        """Put the original back if the replacement is still on top; silence it in any case."""
        self.on = False
        wait_no_more(self._module, self._apply)
        module = sys.modules.get(self._module)
        if module is None or self._replacement is None:
            return
        owner, name = self._owner(module)
        if owner is not None and vars(owner).get(name) is self._replacement:
            setattr(owner, name, self.original)
            self._replacement = None

    def _apply(self, module: ModuleType) -> None:
        owner, name = self._owner(module)
        present = None if owner is None else vars(owner).get(name)
        # Neither ours nor what was there before ours: somebody has wrapped the replacement, and calls it.
        if present is None or (self._replacement is not None and present is not self.original):
            return
        self.original = present
        self._replacement = self._make(self)
        setattr(owner, name, self._replacement)

    def _owner(self, module: ModuleType) -> tuple[Any, str]:
        owner: Any = module
        for name in self._path[:-1]:
            owner = getattr(owner, name, None)
        return owner, self._path[-1]


def when_imported(name: str, told: Told) -> None:
    """Call ``told(module)`` now if the module is there, else once it has been imported."""
    module = sys.modules.get(name)
    if module is not None:
        told(module)
        return
    waiting = _waiting.setdefault(name, [])
    if told not in waiting:
        waiting.append(told)
    if _watch not in sys.meta_path:
        sys.meta_path.insert(0, _watch)


def wait_no_more(name: str, told: Told) -> None:
    """Take a ``when_imported`` back; nothing if it has been told, or was never asked for."""
    waiting = _waiting.get(name, [])
    if told in waiting:
        waiting.remove(told)
    _tidy(name)


def _tidy(name: str) -> None:
    if not _waiting.get(name):
        _waiting.pop(name, None)
    if not _waiting and _watch in sys.meta_path:
        sys.meta_path.remove(_watch)


_waiting: dict[str, list[Told]] = {}


class _Watch:
    """Finds nothing itself: it lets the others find, and is told when what they found has run."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders find."""
        if name not in _waiting:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if finder is self or find is None else find(name, path, target)
            if spec is not None:
                _announce(name, spec.loader)
                return spec
        return None


def _announce(name: str, loader: Any) -> None:
    """Have the loader tell when it has run the module; one that is shared by all modules as a class is left alone."""
    execute = getattr(loader, "exec_module", None)
    if execute is None or isinstance(loader, type):
        return

    def exec_module(module: ModuleType) -> None:
        vars(loader).pop("exec_module", None)
        execute(module)
        if module.__name__ == name:
            for told in _waiting.pop(name, ()):
                try:
                    told(module)
                except Exception:  # the import is the host's, and went well
                    continue
            _tidy(name)

    try:
        loader.exec_module = exec_module
    except AttributeError:  # a loader without room for it; the next install() finds the module
        return


_watch: Any = _Watch()
