"""Requests that lie in the store of a home already, told as in the tests of the search room."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusterlog.cli.find import follow
from clusterlog.search.live import stream
from clusterlog.store.base import Delivery
from clusterlog.store.embedded import EmbeddedStore

_FILE = Path(__file__).parents[2] / "stories.py"
if "stories" not in sys.modules:
    _SPEC = importlib.util.spec_from_file_location("stories", _FILE)
    assert _SPEC is not None
    assert _SPEC.loader is not None
    sys.modules["stories"] = importlib.util.module_from_spec(_SPEC)  # where dataclasses look for their own module
    _SPEC.loader.exec_module(sys.modules["stories"])


@pytest.fixture
def stories() -> Any:
    """The module that tells requests."""
    return sys.modules["stories"]


@pytest.fixture
def story() -> Any:
    """An empty request, to be told."""
    return sys.modules["stories"].Story()


@pytest.fixture
def checkout() -> Any:
    """Makes the failing checkout; its arguments are those of ``stories.failing_checkout``."""
    return sys.modules["stories"].failing_checkout


@pytest.fixture
def keep(home: Any) -> Callable[..., Any]:
    """Put documents into the store of the test's home, which is made."""

    def put(*documents: dict[str, Any]) -> Any:
        store = EmbeddedStore.open(home.path / "store", "write")
        batch = [
            Delivery(
                each["event"]["id"], each["process"]["entity_id"], each["event"]["sequence"], json.dumps(each).encode()
            )
            for each in documents
        ]
        assert all(outcome.status == "stored" for outcome in store.deliver(batch))
        store.flush()
        store.close()
        return home

    return put


@pytest.fixture
def checkouts(stories: Any, keep: Any) -> Any:
    """A home with a failing checkout, and three healthy ones a second, two and three later."""
    documents = [*stories.failing_checkout().documents]
    for number, at in enumerate((1000, 2000, 3000)):
        documents += stories.healthy_checkout(id=f"healthy-{number}", first=0x20 * (number + 1), at=at).documents
    return keep(*documents)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What happens while a command looks on: a step each time it waits, and when none is left, Ctrl-C."""

    def happen(*steps: Callable[[], object]) -> None:
        left = iter(steps)

        def wait(reader: follow.Reader, seconds: float) -> None:
            step = next(left, None)
            if step is None:
                raise KeyboardInterrupt
            step()

        monkeypatch.setattr(follow.Reader, "wait", wait)
        monkeypatch.setattr(stream, "WINDOW_NS", 1)  # no event is held back for another

    return happen
