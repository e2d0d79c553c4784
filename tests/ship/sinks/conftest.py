"""Events for Logstash, the sinks that settings open, and certificates for both sides."""

import json
from contextlib import ExitStack, closing

import pytest
from certificates import Certificates

from clusterlog.settings import load
from clusterlog.ship.sinks import open_sink
from clusterlog.store.base import Delivery

INSTANCE = "0190aaaa0000700080000000000000c7"


def event(number, pad=0, **parts):
    id = f"{INSTANCE}-{number:011x}"
    told = {
        "@timestamp": "2026-11-03T12:00:00.123456789Z",
        "event": {"id": id, "sequence": number, "dataset": "clusterlog.access"},
        "url": {"path": "/checkout"},
        "message": "x" * pad,
        **parts,
    }
    return Delivery(id, INSTANCE, number, json.dumps(told).encode())


@pytest.fixture(scope="session")
def make():
    return event


@pytest.fixture(scope="session")
def batch():
    return lambda first, last, pad=0: [event(number, pad) for number in range(first, last + 1)]


@pytest.fixture(scope="session")
def id_of():
    return lambda number: f"{INSTANCE}-{number:011x}"


@pytest.fixture
def opened():
    """The sink of a URL and settings."""
    with ExitStack() as made:

        def begin(url, **given):
            sink, _, _ = open_sink(load({"home": "/nowhere", "sink": url, **given}, environ={}))
            return made.enter_context(closing(sink))

        yield begin


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def statuses():
    return lambda outcomes: [outcome.status for outcome in outcomes]
