"""Events by number, and stores to put them in."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from clusterlog.store.base import Delivery
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Query
from clusterlog.testing.strategies import BEGIN, stamp

INSTANCE = "0190aaaa0000700080000000000000f0"


def make_event(sequence, instance=INSTANCE, at=None, **more):
    """Event number ``sequence`` of a process, a millisecond after the one before it."""
    id = f"{instance}-{sequence:011x}"
    event = {
        "@timestamp": stamp(BEGIN + (sequence * 1_000_000 if at is None else at)),
        "message": f"event number {sequence}",
        "event": {"id": id, "sequence": sequence},
        "process": {"entity_id": instance},
        "http": {"request": {"id": f"request-{sequence % 7}"}},
        **more,
    }
    return Delivery(id, instance, sequence, json.dumps(event).encode())


def sequences_of(store, where=None, **asked):
    """The sequences of what is found, oldest first."""
    query = Query(order="oldest", limit=None, **asked) if where is None else Query(where, order="oldest", limit=None)
    return [json.loads(found.body)["event"]["sequence"] for found in store.find(query)]


@pytest.fixture(scope="session")
def event():
    return make_event


@pytest.fixture
def sequences():
    return sequences_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def opened(path):
    """Open the store at ``path``; to be used in a ``with``."""

    def open_store(mode="write", **options):
        return closing(EmbeddedStore.open(path, mode, **options))

    return open_store


@pytest.fixture
def filled(opened, event):
    """Put events 1 to ``count`` into the store at ``path`` and close it."""

    def fill(count=20, **options):
        with opened(**options) as store:
            outcomes = store.deliver([event(sequence) for sequence in range(1, count + 1)])
            assert {outcome.status for outcome in outcomes} == {"stored"}

    return fill
