"""Requests to put together again."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from clusterlog.testing.reference import ReferenceStore

NOON_NS = 1_793_707_200_000_000_000

_FILE = Path(__file__).parent.parent / "stories.py"
_SPEC = importlib.util.spec_from_file_location("stories", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
stories = importlib.util.module_from_spec(_SPEC)
sys.modules["stories"] = stories  # where dataclasses look for their own module
_SPEC.loader.exec_module(stories)


@pytest.fixture
def story() -> Any:
    """An empty request, to be told."""
    return stories.Story()


@pytest.fixture(scope="session")
def checkout() -> Any:
    """Makes the failing checkout; its arguments are those of ``stories.failing_checkout``."""
    return stories.failing_checkout


@pytest.fixture(scope="session")
def healthy() -> Any:
    """Makes the checkout that went well; its arguments are those of ``stories.healthy_checkout``."""
    return stories.healthy_checkout


@pytest.fixture(scope="session")
def any_request() -> Any:
    """A strategy: a request of several processes, and which of its events are causes of which."""
    return stories.requests()


@pytest.fixture(scope="session")
def stored() -> Any:
    """Puts the documents of stories into a store."""

    def put(*told: Any) -> ReferenceStore:
        documents = [document for each in told for document in each.documents]
        return ReferenceStore(NOON_NS, {each["event"]["id"]: json.dumps(each).encode() for each in documents})

    return put
