"""The same events say the same, whichever store they are asked of: documents, order, verdicts, groups and accounts."""

from __future__ import annotations

import json
import threading
from contextlib import closing, contextmanager

import pytest
from places import place_on

from clusterlog.cli.home.delivery import deliver
from clusterlog.settings import load
from clusterlog.store.base import Delivery
from clusterlog.store.document import parse
from clusterlog.store.elasticsearch import find
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Query
from clusterlog.web import address, server
from clusterlog.web.app import Parts, application
from clusterlog.web.intake.events import Strangers
from clusterlog.web.tokens import Tokens

TOLD = (
    "failing_checkout clock_known_from_one_side lost_hop unknown_caller retry_storm retry_made_good fan_out"
    " still_running background_work two_requests_of_one_id cyclic_parents handled_error through_another_tracer"
    " client_left clock_set_meanwhile"
).split()
REQUESTS = [f"0193f0c2{number:024x}" for number in range(len(TOLD))]
ENGINES = [
    pytest.param("elasticsearch", id="Elasticsearch 8.19"),
    pytest.param("elasticsearch_9", id="Elasticsearch 9.5", marks=pytest.mark.engines),
    pytest.param("opensearch", id="OpenSearch 3.8", marks=pytest.mark.engines),
]
QUESTIONS = {
    "traces": [["trace", request, "--json"] for request in REQUESTS],
    "other ways to a request": [
        ["trace", REQUESTS[0][:-1], "--json"],
        ["trace", f"..{REQUESTS[0][8:]}", "--json"],
        ["trace", f"{7:032x}", "--json"],
        ["trace", REQUESTS[0], "--check"],
        ["trace", REQUESTS[0], "--context", "3", "--format", "plain"],
        ["trace", "0193", "--json"],
        ["trace", "f" * 32, "--json"],
    ],
    "searches": [
        ["search", *words, "--json"]
        for words in (
            ["--limit", "0"],
            ["--limit", "7"],
            ["level: error"],
            ["level >= warning", "--since", "2026-11-03T12:00:00.5Z"],
            ["status >= 500 and node: shop-1"],
            ['message: "payment failed"'],
            ["stock"],
            ["labels.sku: 9 or labels.order: 5*"],
            ["labels.price: 12.5"],
            ["labels.deep.er: x"],
            ["has: exception and not node: payments*"],
            ["error.type: *Timeout", "--until", "2026-11-03T13:00Z"],
            ["not labels.sku: *", "--limit", "20"],
            ["dur > 1s"],
            ["dataset: clusterlog.state"],
            ["labels.nothing: 1"],
            ["clusterlog.metrics.price > 10"],
            ["ReadTimeout"],
            ["error.message: *reset* or httpx"],
            ['"httpx ReadTimeout"'],
            ["message: gr\u00f6\u00dfer"],
            ["labels.path: *temp*"],
            ["labels.deep.er: *"],
        )
    ],
    "counts": [["search", *words, "--count"] for words in ([], ["level: error"], ["service: shop"], ["labels.n: *"])],
    "requests": [
        ["search", "--group", "request", "--json"],
        ["search", "level: error", "--group", "request", "--sort", "duration", "--json"],
        ["search", "--group", "request", "--user", "alice", "--json"],
    ],
    "errors": [["errors", "--json"], ["errors", "--new", "--since", "2026-11-03T12:00:01Z", "--json"]],
    "numbers": [["verify", "--json"], ["verify", "--service", "shop", "--json"]],
    "what came last": [
        ["tail", "--json"],
        ["tail", "--lines", "40", "level: error or exit", "--json"],
        ["tail", "--since", "2026-11-03T12:00:01Z", "--request", REQUESTS[3], "--json"],
    ],
    "others": [
        ["diff", REQUESTS[0], REQUESTS[5], "--json"],
        ["diff", REQUESTS[0], "--json"],
        ["export", REQUESTS[0], "--format", "otlp"],
        ["export", REQUESTS[0], "--format", "jsonl"],
    ],
}


def distinct(story, number):
    """The story with a request, a trace and processes of its own, and without empty objects, which no event has."""
    text = json.dumps(story.documents)
    text = text.replace(story.id, REQUESTS[number]).replace("7" * 32, f"{number + 7:032x}")
    for process in story.processes:
        text = text.replace(process.instance, f"{number + 1:08x}{process.instance[8:]}")
    return json.loads(text, object_hook=lambda told: {name: each for name, each in told.items() if each != {}})


@pytest.fixture
def filled(home, stories, keep):
    """A home whose processes have said things of every kind, beside told requests."""
    for number, name in enumerate(TOLD):
        keep(*distinct(getattr(stories, name)(), number))
    shop, orders = home.speaker(), home.speaker("orders", "orders-1")
    shop.say("cart of {user}", request="one", order=51123, price=12.5, yes=True, none=None, empty="")
    shop.say("lists", level="warning", request="one", tags=["b", "a", "b", None], n=[3, 1], deep={"er": "x", "n": 5.0})
    shop.say("größer als \U0001f600 sonst", snow="\u2603", path="C:\\temp\\*?", long="x" * 5000, **{"a.dotted.key": 1})
    orders.say("big numbers", level="error", request="one", big=2**60, small=-(2**60), tiny=1e-9, huge=1e300)
    shop.answer("one", 502)
    orders.say("said before it was killed")
    shop.end()
    orders.die()
    deliver(load({"home": str(home)}))
    return home


@pytest.fixture
def elsewhere(filled, request, monkeypatch):
    """A place on an engine with all that the home holds, in an environment of its own."""
    engine = request.getfixturevalue(request.param)
    with closing(EmbeddedStore.open(filled.path / "store", "read")) as store, place_on(engine) as place:
        batch = []
        for found in store.find(Query(order="oldest", limit=None)):
            event = parse(found.body)
            process = event["process"]["entity_id"]
            body = found.body.replace(b'"development"', f'"{place.environment}"'.encode())
            batch.append(Delivery(found.key[1], process, event["event"]["sequence"], body))
        assert {outcome.status for outcome in place.deliver(batch)} == {"stored"}
        place.flush()
        monkeypatch.setattr(find, "PATTERN", place.pattern)
        yield place


@contextmanager
def serving(store, home):
    """A ``serve`` of this store in a thread; gives its URL."""
    parts = Parts(store, Strangers(load({"home": str(home)})), Tokens(*("wrc"[n] * 20 for n in range(3))), "here", ())
    with address.Address("127.0.0.1", 0).listen() as socket:
        stop, ready = threading.Event(), threading.Event()
        thread = threading.Thread(target=server.Http(application(parts), None, stop, ready.set).run, args=([socket],))
        thread.start()
        try:
            assert ready.wait(60)
            yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        finally:
            stop.set()
            thread.join()


def compare(run, url, monkeypatch, turns, subtests, *options, environment="development"):
    monkeypatch.setattr("clusterlog.cli.deliver.verify.SETTLED_S", 0.0)
    monkeypatch.setattr("time.time_ns", lambda: 1_793_710_000_000_000_000)
    turns()
    for about, commands in QUESTIONS.items():
        with subtests.test(about):
            for words in commands:
                here, there = run(*words), run(*words, "--store", url, *options)
                assert read(there, environment) == read(here), words
                assert here.code in (0, 1, 2, 5, 10, 130), (words, here.err)


@pytest.mark.parametrize("elsewhere", ENGINES, indirect=True)
def test_every_command_answers_as_from_the_embedded_store(run, filled, elsewhere, monkeypatch, turns, subtests):
    url = elsewhere.engine.url
    compare(run, url, monkeypatch, turns, subtests, environment=elsewhere.environment)


def test_every_command_answers_from_a_serve_as_from_the_embedded_store(
    run, filled, tmp_path, monkeypatch, turns, subtests
):
    key = tmp_path / "read.token"
    key.touch(0o600)
    key.write_text("r" * 20)
    with closing(EmbeddedStore.open(filled.path / "store", "read")) as store, serving(store, filled.path) as url:
        compare(run, url, monkeypatch, turns, subtests, "--token-file", key)


def read(result, environment="development"):
    """What a command said, as data where it is. In which order the attributes of OTLP stand, means nothing."""
    out = result.out.replace(environment, "development")
    try:
        told = json.loads(out, object_hook=_in_order)
    except ValueError:
        told = [json.loads(line) if line.startswith("{") else line for line in out.splitlines()]
    return result.code, told


def _in_order(told):
    if "attributes" in told:
        told["attributes"].sort(key=lambda each: each["key"])
    return told
