"""Three strict parsers as judges, and the hostile values as a parameter."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import orjson
import pydantic_core
import pytest

_FILE = Path(__file__).parent.parent / "hostile_values.py"
_SPEC = importlib.util.spec_from_file_location("hostile_values", _FILE)
hostile_values = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hostile_values)


def pytest_generate_tests(metafunc):
    """A test with the argument ``hostile`` runs once for each hostile value's factory."""
    if "hostile" in metafunc.fixturenames:
        names, factories = zip(*hostile_values.HOSTILE, strict=True)
        metafunc.parametrize("hostile", factories, ids=names)


def _without_doubles(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"a name twice: {names}"
    return dict(pairs)


def _constant(name):
    raise AssertionError(f"not JSON: {name}")


def judge(encoded: bytes):
    """What ``encoded`` says, if three strict parsers accept it and agree."""
    found = json.loads(encoded.decode("utf-8"), parse_constant=_constant, object_pairs_hook=_without_doubles)
    assert orjson.loads(encoded) == found
    assert pydantic_core.from_json(encoded, allow_inf_nan=False) == found
    return found


@pytest.fixture(name="judge", scope="session")
def _judge():
    return judge


@pytest.fixture(scope="session")
def hostile_table():
    """All (name, factory) pairs."""
    return hostile_values.HOSTILE
