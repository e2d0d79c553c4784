"""Functions replaced by name: on top of others, below others, and in modules that come later."""

from __future__ import annotations

import importlib
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from clusterlog.context.patching import Patch, wait_no_more, when_imported

NAME = "somebody_elses_module"


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], ModuleType]]:
    """Imports a module that says "theirs"; it is not there before."""
    (tmp_path / f"{NAME}.py").write_text("class A:\n    def say(self): return 'theirs'\n")
    monkeypatch.syspath_prepend(tmp_path)
    importers = list(sys.meta_path)
    yield lambda: importlib.import_module(NAME)
    sys.modules.pop(NAME, None)
    sys.meta_path[:] = importers


def louder(patch: Patch) -> Any:
    original = patch.original
    return lambda self: f"ours({original(self)})" if patch.on else original(self)


@pytest.fixture
def patch() -> Iterator[Patch]:
    made = Patch(f"{NAME}:A.say", louder)
    yield made
    made.remove()


def test_a_function_is_replaced_once_however_often_it_is_installed(
    patch: Patch, theirs: Callable[[], ModuleType]
) -> None:
    module = theirs()
    original = module.A.say
    patch.install()
    patch.install()
    assert module.A().say() == "ours(theirs)"
    patch.remove()
    patch.remove()
    assert module.A.say is original


def test_a_module_that_comes_later_is_patched_as_soon_as_it_has_run(
    patch: Patch, theirs: Callable[[], ModuleType]
) -> None:
    patch.install()
    assert NAME not in sys.modules
    module = theirs()
    assert module.A().say() == "ours(theirs)"
    assert module.__loader__ is module.__spec__.loader
    assert "exec_module" not in vars(module.__loader__)


def test_a_module_that_comes_after_the_removal_is_left_alone(patch: Patch, theirs: Callable[[], ModuleType]) -> None:
    importers = list(sys.meta_path)
    patch.install()
    assert sys.meta_path != importers
    patch.remove()
    assert sys.meta_path == importers
    assert theirs().A().say() == "theirs"


def test_the_watch_over_imports_ends_with_the_last_module_waited_for(
    patch: Patch, theirs: Callable[[], ModuleType]
) -> None:
    importers = list(sys.meta_path)
    patch.install()
    theirs()
    assert sys.meta_path == importers


def test_a_replacement_that_somebody_has_wrapped_falls_silent_and_speaks_again(
    patch: Patch, theirs: Callable[[], ModuleType]
) -> None:
    module = theirs()
    patch.install()
    wrapped = module.A.say
    module.A.say = wrapper = lambda self: f"later({wrapped(self)})"
    patch.remove()
    assert module.A.say is wrapper
    assert module.A().say() == "later(theirs)"
    patch.install()
    assert module.A().say() == "later(ours(theirs))"


def test_a_replacement_that_somebody_has_thrown_away_is_made_anew(
    patch: Patch, theirs: Callable[[], ModuleType]
) -> None:
    """``warnings.catch_warnings`` puts back what it found, whatever came between."""
    module = theirs()
    original = module.A.say
    patch.install()
    module.A.say = original
    patch.install()
    assert module.A().say() == "ours(theirs)"


def test_an_attribute_that_is_not_there_stays_so(theirs: Callable[[], ModuleType]) -> None:
    """Another release of their module may have none."""
    theirs()
    missing = Patch(f"{NAME}:A.shout", louder)
    missing.install()
    assert not hasattr(sys.modules[NAME].A, "shout")
    nowhere = Patch(f"{NAME}:B.say", louder)
    nowhere.install()
    nowhere.remove()


def test_a_module_is_told_once_and_only_to_who_still_waits(theirs: Callable[[], ModuleType]) -> None:
    told: list[str] = []
    first, second = (lambda _: told.append("first")), (lambda _: told.append("second"))
    for each in (first, first, second):
        when_imported(NAME, each)
    wait_no_more(NAME, second)
    theirs()
    assert told == ["first"]
    when_imported(NAME, second)
    assert told == ["first", "second"]


def test_a_look_for_a_module_that_is_not_imported_afterwards_tells_nothing(
    patch: Patch, theirs: Callable[[], ModuleType]
) -> None:
    patch.install()
    assert importlib.util.find_spec(NAME) is not None
    assert theirs().A().say() == "ours(theirs)"


def test_a_module_that_fails_to_run_fails_as_it_would(patch: Patch, theirs: Any, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.py").write_text("raise KeyError('theirs')\n")
    patch.install()
    with pytest.raises(KeyError, match="theirs"):
        theirs()
    (tmp_path / f"{NAME}.py").write_text("class A:\n    def say(self): return 'mended'\n")
    importlib.invalidate_caches()
    assert theirs().A().say() == "ours(mended)"


def test_a_loader_that_several_modules_share_announces_only_the_module_that_was_waited_for(
    patch: Patch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "modules.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(f"{NAME}.py", "class A:\n    def say(self): return 'theirs'\n")
        file.writestr(f"{NAME}_beside.py", "")
    monkeypatch.syspath_prepend(archive)
    told: list[str] = []
    when_imported(NAME, lambda module: told.append(module.__name__))
    assert importlib.util.find_spec(NAME) is not None
    importlib.import_module(f"{NAME}_beside")
    assert told == []
    importlib.import_module(NAME)
    assert told == [NAME]
    del sys.modules[NAME], sys.modules[f"{NAME}_beside"]
