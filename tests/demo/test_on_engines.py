"""The demo ships to real search servers, set up or as they come, and each of its requests is traced exactly there."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from contextlib import closing, contextmanager
from types import SimpleNamespace

import pytest

from clusterlog.cli import commands
from clusterlog.settings import load
from clusterlog.store.base import Delivery
from clusterlog.store.document import parse
from clusterlog.store.elasticsearch.find import ElasticsearchStore
from clusterlog.store.elasticsearch.transport import Client
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Query

ENGINES = ["elasticsearch", "elasticsearch_9", "opensearch"]
NAMES = {"elasticsearch": "Elasticsearch 8.19", "elasticsearch_9": "Elasticsearch 9.5", "opensearch": "OpenSearch 3.8"}
COMES_WITH = {"index_patterns": ["logs-*-*"], "priority": 100, "data_stream": {}, "template": {}}
"""What makes data streams of logs on a server that nobody has set up: every field is what its first value is."""


def clusterlog(*words, **settings):
    """A command of its own, to which no other settings are told from outside; its result."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLUSTERLOG_")}
    environ |= {f"CLUSTERLOG_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "clusterlog", *map(str, words)]
    return subprocess.run(command, env=environ, capture_output=True, timeout=900, check=False)


@contextmanager
def set_up(engine):
    """As ``clusterlog setup elasticsearch`` leaves a server; what it has made is taken back."""
    asked = ("setup", "elasticsearch", "--store", engine.url, "--replicas", 0)
    done = clusterlog(*asked, "--yes")
    assert done.returncode == 0, done.stderr
    assert b"nothing to do" in clusterlog(*asked, "--dry-run").stdout
    try:
        yield
    finally:
        clusterlog(*asked[:4], "--remove", "--yes")


@contextmanager
def as_it_comes(engine):
    """Nobody has set up anything."""
    name = f"as-it-comes-{secrets.token_hex(4)}"
    made = {**COMES_WITH, "template": {"settings": {"number_of_replicas": 0}}}
    assert engine.call("PUT", f"/_index_template/{name}", made)[0] == 200
    try:
        yield
    finally:
        engine.call("DELETE", f"/_index_template/{name}")


def copied(url, environment, home):
    """All the events of an environment in an embedded store of a home."""
    settings = load({"home": "/nowhere", "store": url}, environ={})
    with (
        closing(ElasticsearchStore(Client.of(settings), f"logs-clusterlog.*-{environment}")) as there,
        closing(EmbeddedStore.open(home / "store", "write")) as here,
    ):
        batch = []
        for found in there.find(Query(order="oldest", limit=None)):
            event = parse(found.body)
            batch.append(Delivery(found.key[1], event["process"]["entity_id"], event["event"]["sequence"], found.body))
        assert {outcome.status for outcome in here.deliver(batch)} == {"stored"}


@pytest.fixture
def traced(capsysbinary):
    """Call ``trace`` in this process; gives its document."""

    def trace(*words):
        capsysbinary.readouterr()
        code = commands.call(["trace", *map(str, words), "--json"])
        out, err = capsysbinary.readouterr()
        assert code == 0, err
        return json.loads(out)

    return trace


@pytest.fixture
def exact(tmp_path, traced):
    """Run the demo into a server; gives how many requests were made, and what is wrong with the traces of any."""

    def run(engine, requests):
        home = tmp_path / "home"
        environment = f"demo{secrets.token_hex(4)}"
        asked = ("demo", "--requests", requests, "--seed", 7, "--json", "--home", home, "--store", engine.url)
        done = clusterlog(*asked, environment=environment)
        assert done.returncode == 0, done.stderr
        status, answer = engine.call("POST", f"/logs-clusterlog.*-{environment}/_refresh")
        assert status == 200, answer
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        copied(engine.url, environment, elsewhere)
        told = json.loads(done.stdout)["requests"]
        assert len(told) == requests
        wrong = []
        for request in told:
            found = traced(request["id"], "--home", home)
            wrong += list(_deviations(request, found, traced(request["id"], "--home", elsewhere)))
        return SimpleNamespace(requests=told, wrong=wrong)

    return run


def _deviations(request, found, embedded):
    nodes = Counter(event["service"]["node"]["name"] for event in found["events"])
    ids = {event["event"]["id"] for event in found["events"]}
    failed = any(sentence["kind"] == "failure" for sentence in found["verdict"])
    facts = {
        "events": (len(ids), len(found["events"])) == (request["events"],) * 2,
        "nodes": nodes == request["events_by_node"],
        "trace": found["request"]["trace_ids"] == [request["trace_id"]],
        "status": found["request"]["status"] == request["status"],
        "verdict": failed == (request["outcome"] == "failed"),
        "the same as from an embedded store": found == embedded,
    }
    yield from (f"{request['id']}: {fact}" for fact, holds in facts.items() if not holds)


@pytest.mark.engines
@pytest.mark.parametrize("name", ENGINES, ids=NAMES.get)
def test_each_request_of_a_demo_is_traced_exactly_on_a_server_that_was_set_up(request, exact, name):
    engine = request.getfixturevalue(name)
    with set_up(engine):
        found = exact(engine, 60)
    assert not found.wrong
    assert Counter(each["outcome"] for each in found.requests)["failed"] >= 7


@pytest.mark.engines
@pytest.mark.parametrize("name", ["elasticsearch", "opensearch"], ids=NAMES.get)
def test_each_request_of_a_demo_is_traced_exactly_on_a_server_that_nobody_has_set_up(request, exact, name):
    engine = request.getfixturevalue(name)
    with as_it_comes(engine):
        assert not exact(engine, 20).wrong


@pytest.mark.campaign
@pytest.mark.parametrize("kind", [set_up, as_it_comes], ids=["set up", "as it comes"])
@pytest.mark.parametrize("name", ENGINES, ids=NAMES.get)
def test_three_hundred_requests_are_traced_exactly(request, exact, name, kind):
    engine = request.getfixturevalue(name)
    with kind(engine):
        found = exact(engine, 300)
    print(f"{NAMES[name]}, {kind.__name__}: 300 requests, {sum(each['events'] for each in found.requests)} events")
    assert not found.wrong
