"""Data sets with a template, events that belong to them, and clients and sinks that are closed at the end."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack, closing

import pytest

from clusterlog.settings import load
from clusterlog.store.base import Delivery
from clusterlog.store.elasticsearch.bulk import ElasticsearchSink
from clusterlog.store.elasticsearch.transport import Answer, Client

INSTANCE = "0190aaaa0000700080000000000000f0"
MAPPINGS = {"properties": {"@timestamp": {"type": "date_nanos"}, "count": {"type": "long"}}}


def settings_of(**given):
    """Settings of a home that is not there, and of nothing outside."""
    return load({"home": "/nowhere", **given}, environ={})


def make_delivery(dataset, sequence, *, instance=INSTANCE, id=None, **more):
    """Event number ``sequence`` of a process, as our encoder writes it; ``more`` are further members."""
    id = f"{instance}-{sequence:011x}" if id is None else id
    event = {
        "@timestamp": f"2026-11-20T12:00:00.{sequence:09d}Z",
        "process": {"pid": 4711, "entity_id": instance},
        "event": {"id": id, "sequence": sequence, "kind": "event", "dataset": dataset},
        "log": {"level": "info", "logger": "shop.api"},
        "ecs": {"version": "9.1.0"},
        "service": {"name": "shop", "node": {"name": "shop-1"}, "environment": "test"},
        "host": {"name": "h"},
        "message": f"event number {sequence}",
        **more,
    }
    body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    return Delivery(id, instance, sequence, body)


def make_answer(body=None, status=200, content=None, **headers):
    """What a server may have answered: a body that is JSON, or any content."""
    content = json.dumps(body).encode() if content is None else content
    return Answer(status, body, {"content-type": "application/json", **headers}, "http://es:9200", content)


def make_streams(engine, dataset, **template):
    """A template that makes data streams of a data set."""
    made = {
        "index_patterns": [f"logs-{dataset}-*"],
        "priority": 500,
        "data_stream": {},
        "template": {"mappings": MAPPINGS, "settings": {"number_of_replicas": 0}, **template},
    }
    status, answer = engine.call("PUT", f"/_index_template/{dataset}", made)
    assert status == 200, answer


def stored_ids(engine, dataset):
    """The ids of all events in the streams of a data set, in their order of id."""
    engine.call("POST", f"/logs-{dataset}-*/_refresh")
    asked = {"size": 10_000, "_source": False, "query": {"match_all": {}}}
    status, answer = engine.call("POST", f"/logs-{dataset}-*/_search", asked)
    assert status == 200, answer
    return sorted(hit["_id"] for hit in answer["hits"]["hits"])


@pytest.fixture(scope="session")
def settings():
    return settings_of


@pytest.fixture(scope="session")
def delivery():
    return make_delivery


@pytest.fixture(scope="session")
def answered():
    return make_answer


@pytest.fixture(scope="session")
def streams():
    return make_streams


@pytest.fixture(scope="session")
def stored():
    return stored_ids


@pytest.fixture
def client():
    """Make clients for a URL and settings."""
    with ExitStack() as made:
        yield lambda url, **given: made.enter_context(closing(Client.of(settings_of(**given), url=url)))


@pytest.fixture
def sink():
    """Make sinks for a URL and settings."""
    with ExitStack() as made:

        def begin(url, **given):
            settings = settings_of(**given)
            return made.enter_context(closing(ElasticsearchSink(Client.of(settings, url=url, kind="write"), settings)))

        yield begin


@pytest.fixture
def unused_port():
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
