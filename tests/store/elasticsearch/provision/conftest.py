"""What servers know, what may be on them, and events of every kind."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusterlog.encode.ecs import Encoder
from clusterlog.encode.facts import Origin
from clusterlog.encode.foreign.document import Subject
from clusterlog.encode.foreign.names import shipped
from clusterlog.encode.foreign.translation import Lines, Translator
from clusterlog.record.redact import Redactor
from clusterlog.settings import load
from clusterlog.spool.reader import instances, records
from clusterlog.store.elasticsearch.provision.comparison import canonical
from clusterlog.store.elasticsearch.provision.found import Found, Stream
from clusterlog.store.elasticsearch.provision.templates.bodies import (
    INDEX,
    Choice,
    component_templates,
    generation,
    index_template,
)
from clusterlog.store.elasticsearch.provision.templates.features import FEATURES
from clusterlog.store.elasticsearch.transport import Answer, Client

TESTS = Path(__file__).parents[3]
INSTANCE = "0190aaaa0000700080000000000000e1"
EVERYTHING = frozenset(each.name for each in FEATURES)
STATES = {
    "heartbeat": {
        "last_seq": 9,
        "backlog_events": 2,
        "backlog_bytes": 900,
        "oldest_age_s": 1.5,
        "dropped": {"full": 3},
    },
    "drop": {
        "first_seq": 4,
        "last_seq": 6,
        "count": 3,
        "reason": "disk_full",
        "levels": {"below_warning": 2, "warning_and_above": 1},
    },
    "dead-letter": {"first_seq": 7, "last_seq": 7, "count": 1, "reason": "refused"},
    "crash-close": {"last_seq": 9, "torn_bytes": 12},
}
FOREIGN = (
    {"@timestamp": "2026-11-03T12:00:00Z", "message": "m", "log": {"level": "info"}, "client": {"ip": "10.0.0.1"}},
    {"asctime": "2026-11-03 12:00:00,123", "levelname": "ERROR", "message": "m", "exc_info": "Traceback\nE: e", "x": 1},
    {"event": "structlog", "level": "warning", "timestamp": "2026-11-03T12:00:00Z", "request_id": "r1", "took": 0.5},
    {"levelname": "INFO", "message": "at a time that nobody knows"},
)


def _stories():
    spec = importlib.util.spec_from_file_location("stories", TESTS / "stories.py")
    module = sys.modules.get("stories") or importlib.util.module_from_spec(spec)
    if "stories" not in sys.modules:
        sys.modules["stories"] = module
        spec.loader.exec_module(module)
    return module


def _told():
    stories = _stories()
    plain = (stories.clock_set_meanwhile, stories.lost_hop, stories.unknown_caller, stories.retry_storm)
    return [each for tell in (stories.failing_checkout, stories.healthy_checkout, *plain) for each in tell().documents]


def _said(home):
    """What a process of its own has said, for OpenTelemetry and the logging of this one stay as they are."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CLUSTERLOG_", "OTEL_"))}
    script = Path(__file__).parent / "every_event.py"
    subprocess.run(
        [sys.executable, script, home],
        check=True,
        env={**environ, "PYTHONPATH": str(TESTS.parent)},
        capture_output=True,
    )
    spool = home / "spool"
    return [json.loads(record.payload) for each in instances(spool) for _, record in records(spool, each)]


def _of_states():
    encoder = Encoder(Origin("clusterlog", "shop-1", "development", "h"), redactor=Redactor(()))
    head = encoder.head(INSTANCE)(1_793_707_200)
    for number, (action, facts) in enumerate(STATES.items(), 1):
        yield json.loads(head % (number, number, number) + encoder.state(action, {"instance": "0" * 32, **facts}))


def _ingested():
    common = ("shop", "shop", "development", "2026-11-03T00:00:00.000000000Z")
    subject = Subject("f" * 32, "", *common, format="json-logger")
    translator = Translator(shipped(), redactor=Redactor(), identity_hash=lambda text: ("h" * 64, "key-1"))
    lines = Lines(translator, subject)
    for number, told in enumerate(FOREIGN, 1):
        line = json.dumps(told).encode()
        yield from (json.loads(payload) for payload, _, _ in lines.events(told, number, line))


@pytest.fixture(scope="session")
def events(tmp_path_factory):
    """Events of every kind there is: of stories, of a process that says all it can, of a shipper, of other loggers."""
    return [*_told(), *_said(tmp_path_factory.mktemp("every") / "home"), *_of_states(), *_ingested()]


@pytest.fixture(scope="session")
def everything():
    """What a server knows that knows all."""
    return EVERYTHING


@pytest.fixture(scope="session")
def leaves():
    """Every path of a document at which a value stands; what a field of ``known`` holds is not looked into."""

    def found(node, known=(), path=""):
        if path in known:
            yield path
        elif isinstance(node, dict):
            for name, inner in node.items():
                yield from found(inner, known, f"{path}.{name}" if path else name)
        elif isinstance(node, list):
            for inner in node:
                yield from found(inner, known, path)
        else:
            yield path

    return found


@pytest.fixture(scope="session")
def mapped():
    """Field → mapping, of the ``properties`` of a mapping."""
    return lambda properties: canonical({"template": {"mappings": {"properties": properties}}})["template"]["mappings"][
        "properties"
    ]


@pytest.fixture
def provided():
    """What is found on a server that was set up with these features and this choice; more is put in its place."""

    def made(present=EVERYTHING, choice=Choice(), *, streams=(), **more):  # noqa: B008 - nobody changes it
        components = component_templates(present, choice)
        index = index_template(present, choice, custom=False)
        return Found(**{"components": components, "index": index, "streams": tuple(streams), **more})

    return made


@pytest.fixture
def stream():
    """A data stream whose write index was made by the templates of today; more is put in its place."""

    def made(name="logs-clusterlog.app-test", present=EVERYTHING, **more):
        current = generation(component_templates(present, Choice()))
        lifecycle = {"enabled": True, "data_retention": "30d"}
        told = {"version": "0.1.0", "generation": current, "lifecycle": lifecycle, "failure_store": True}
        return Stream(name, (f".ds-{name}-000001",), **{**told, "template": INDEX, **more})

    return made


class Scripted:
    """A server that answers as it is told: ``answers`` has (status, body) by method and path, 404 for all else.

    ``asked`` are the requests it got.
    """

    url = node = "http://es:9200"

    def __init__(self, answers, headers=None):
        self.answers = answers
        self.headers = headers or {}
        self.asked = []

    def call(self, method, path, body=None, **options):
        self.asked.append((method, path, body))
        found = self.answers.get((method, path), (404, {"error": f"nothing at {path}"}))
        status, told = found(body) if callable(found) else found
        if isinstance(told, Exception):
            raise told
        return Answer(status, told, {"content-type": "application/json", **self.headers}, self.node)


@pytest.fixture
def scripted():
    """Servers of a script."""
    return Scripted


@pytest.fixture
def connected():
    """A client for an engine, with the rights of its superuser or with a token."""
    made = []

    def connect(engine, token=""):
        url = (
            engine.url.replace("//", f"//{engine.user}:{engine.password}@") if engine.user and not token else engine.url
        )
        made.append(Client.of(load({"home": "/nowhere", "token": token or None}, environ={}), url=url))
        return made[-1]

    yield connect
    for each in made:
        each.close()
