"""On real servers: every event is taken and comes back as it was, and a second look finds nothing to do."""

from __future__ import annotations

import json
import secrets
from collections import Counter

import pytest

from clusterlog.settings import load
from clusterlog.store import document
from clusterlog.store.base import Delivery
from clusterlog.store.elasticsearch.bulk import ElasticsearchSink
from clusterlog.store.elasticsearch.find import ElasticsearchStore
from clusterlog.store.elasticsearch.provision.apply import perform, provision
from clusterlog.store.elasticsearch.provision.found import look
from clusterlog.store.elasticsearch.provision.plan import completed, templates
from clusterlog.store.elasticsearch.provision.removal import removal
from clusterlog.store.elasticsearch.provision.rights import Security
from clusterlog.store.elasticsearch.provision.server import ask
from clusterlog.store.elasticsearch.provision.templates.bodies import CUSTOM, Choice
from clusterlog.store.elasticsearch.provision.templates.fields import properties
from clusterlog.store.elasticsearch.streams import data_stream
from clusterlog.store.predicate import matches
from clusterlog.store.query import Everything, Exists, Match, Query

pytestmark = pytest.mark.engines

ENGINES = ("elasticsearch", "elasticsearch_9", "opensearch", "bare")
WITHOUT = {
    "elasticsearch": {"ecs@mappings"},
    "elasticsearch_9": {"ecs@mappings"},
    "opensearch": set("logsdb lifecycle failure_store flattened spare_fields optional_components ecs@mappings".split()),
    "bare": {"match_only_text", "ecs@mappings"},
}


@pytest.fixture(scope="module")
def bare(_engines):
    """Elasticsearch as it is published for tests, without the plug-in that stands in for what it lacks."""
    return _engines("elasticsearch-8.19", standin=False)


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.getfixturevalue(request.param)


def deliver(client, events, environment):
    """Deliver copies of events into streams of one environment; what became of them, and the copies by id."""
    sink = ElasticsearchSink(client, load({"home": "/nowhere"}, environ={}))
    instance = secrets.token_hex(16)
    sent = {}
    for number, event in enumerate(events, 1):
        id = f"{instance}-{number:011x}"
        copy = json.loads(json.dumps(event))
        copy["event"] |= {"id": id, "sequence": number}
        copy.setdefault("process", {})["entity_id"] = instance
        copy.setdefault("service", {})["environment"] = environment
        sent[id] = copy
    batch = [Delivery(id, instance, n, json.dumps(each).encode()) for n, (id, each) in enumerate(sent.items(), 1)]
    return sink.deliver(batch), sent


def stored(engine, environment):
    """Every document of one environment, by id."""
    pattern = f"/logs-clusterlog.*-{environment}"
    engine.call("POST", f"{pattern}/_refresh")
    status, answer = engine.call("POST", f"{pattern}/_search", {"size": 10_000, "query": {"match_all": {}}})
    assert status == 200, answer
    return {hit["_id"]: hit["_source"] for hit in answer["hits"]["hits"]}


def comparable(event):
    """An event without what a server may leave out or write otherwise: objects with nothing in them, a time's zeros."""
    return {**_full(event), "@timestamp": document.time_ns(event["@timestamp"])}


def _full(node):
    if not isinstance(node, dict):
        return node
    inner = {name: _full(each) for name, each in node.items()}
    return {name: each for name, each in inner.items() if each != {}}


def plan_for(client, choice=None):
    server, found = ask(client), look(client)
    return templates(server.present, choice or completed(None, None, found), found)


def test_what_a_server_lacks_is_found_out_by_asking(request, engine, connected):
    server = ask(connected(engine))
    name = request.node.callspec.params["engine"]
    assert {feature.name for feature, _ in server.left_out()} == WITHOUT[name]
    assert server.flavour == engine.flavour
    assert server.version == {"elasticsearch_9": "9.5.0", "opensearch": "3.8.0"}.get(name, "8.19.0")
    assert server.profile == "reduced"


def test_every_event_is_taken_and_comes_back_as_it_was(engine, connected, events):
    client = connected(engine)
    provision(client)
    environment = f"s{secrets.token_hex(4)}"
    outcomes, sent = deliver(client, events, environment)
    assert Counter((each.status, each.reason) for each in outcomes) == {("stored", ""): len(events)}
    found = stored(engine, environment)
    assert {id: comparable(each) for id, each in found.items()} == {id: comparable(each) for id, each in sent.items()}


def test_no_event_makes_a_field_besides_numbers_of_ones_own(engine, connected, events, mapped, everything):
    client = connected(engine)
    provision(client)
    environment = f"s{secrets.token_hex(4)}"
    deliver(client, events, environment)
    known = mapped(properties(everything)).keys()
    status, told = engine.call("GET", f"/logs-clusterlog.*-{environment}/_mapping")
    assert status == 200
    for index in told.values():
        grown = mapped(index["mappings"]["properties"]).keys() - known
        assert {name for name in grown if not name.startswith("clusterlog.metrics.")} == set()
    numbers = [mapped(each["mappings"]["properties"]) for each in told.values()]
    assert {"clusterlog.metrics.rows", "clusterlog.metrics.rows.read"} <= {name for each in numbers for name in each}


def test_a_server_that_was_set_up_needs_nothing_more(engine, connected):
    client = connected(engine)
    provision(client)
    plan = plan_for(client)
    assert [(step.action, step.name, step.before, step.after) for step in plan.steps] == []
    assert len(plan.kept) == 3


def test_a_choice_changes_what_it_is_about_and_stays_when_nothing_is_said(engine, connected):
    client = connected(engine)
    provision(client)
    has_lifecycle = "lifecycle" not in WITHOUT["opensearch" if engine.flavour == "opensearch" else "bare"]
    plan = plan_for(client, Choice("7d", 1))
    assert {step.name for step in plan.steps if step.kind != "data stream"} == {
        "clusterlog@settings",
        *(["clusterlog"] if has_lifecycle else []),
    }
    provision(client, Choice("7d", 1))
    assert plan_for(client).steps == ()
    provision(client, Choice())
    assert plan_for(client, Choice()).steps == ()


def test_other_replicas_reach_the_indices_that_are_there(engine, connected, events):
    client = connected(engine)
    provision(client, Choice())
    environment = f"s{secrets.token_hex(4)}"
    _, sent = deliver(client, events[:1], environment)
    stream = data_stream("clusterlog.app", environment)
    provision(client, Choice(replicas=1))
    (settings,) = engine.call("GET", f"/{stream}/_settings")[1].values()
    assert settings["settings"]["index"]["number_of_replicas"] == "1"
    assert settings["settings"]["index"].get("auto_expand_replicas", "false") == "false"
    provision(client, Choice())
    (settings,) = engine.call("GET", f"/{stream}/_settings")[1].values()
    assert settings["settings"]["index"]["auto_expand_replicas"] == "0-1"
    assert stored(engine, environment).keys() == sent.keys()


def test_the_users_own_component_has_its_say_and_is_left_as_it_is(engine, connected, events):
    client = connected(engine)
    environment = f"s{secrets.token_hex(4)}"
    own = {
        "mappings": {
            "dynamic_templates": [
                {
                    "mine": {
                        "path_match": "clusterlog.mine.*",
                        "mapping": {"type": "text"},
                        "match_mapping_type": "string",
                    }
                }
            ],
            "properties": {"container": {"properties": {"id": {"type": "keyword", "ignore_above": 64}}}},
        }
    }
    assert engine.call("PUT", f"/_component_template/{CUSTOM}", {"template": own})[0] == 200
    try:
        provision(client)
        event = {**events[0], "clusterlog": {"mine": {"note": "a text of many words"}, "yours": "one value"}}
        deliver(client, [event], environment)
        (told,) = engine.call("GET", f"/logs-clusterlog.app-{environment}/_mapping")[1].values()
        found = told["mappings"]["properties"]
        assert found["container"]["properties"]["id"]["ignore_above"] == 64
        assert found["clusterlog"]["properties"]["mine"]["properties"]["note"]["type"] == "text"
        assert found["clusterlog"]["properties"]["yours"]["type"] == "keyword"
        assert engine.call("GET", f"/_component_template/{CUSTOM}")[0] == 200
    finally:
        engine.call("PUT", f"/_component_template/{CUSTOM}", {"template": {}})


def test_streams_of_another_mapping_are_rolled_over_once_and_read_as_one(engine, connected, events, monkeypatch):
    """An older clusterlog has made the stream: fewer features, so another generation of templates."""
    client = connected(engine)
    environment = f"s{secrets.token_hex(4)}"
    full = ask(client)
    kept = full.present - {"logsdb", "subobjects", "disable_objects", "spare_fields", "match_only_text"}
    module = "clusterlog.store.elasticsearch.provision.apply.ask"
    monkeypatch.setattr(module, lambda client: type(full)(full.flavour, full.version, kept, full.lacks))
    provision(client)
    _, before = deliver(client, events[:20], environment)
    monkeypatch.undo()

    streams = {f"logs-{each['event']['dataset']}-{environment}" for each in before.values()}
    plan = plan_for(client)
    rolled = {step.name: step.why for step in plan.steps if step.action == "roll over"}
    assert streams <= rolled.keys()
    assert all("those of clusterlog" in rolled[name] for name in streams)
    provision(client)
    assert plan_for(client).steps == ()

    _, after = deliver(client, events[20:40], environment)
    for stream in streams:
        found = next(each for each in look(client).streams if each.name == stream)
        assert len(found.indices) == 2
    assert stored(engine, environment).keys() == before.keys() | after.keys()
    store = ElasticsearchStore(client, f"logs-clusterlog.*-{environment}")
    sent = {**before, **after}
    for where in (Everything(), Match("message", "charge"), Match("service.name", "orders"), Exists("error.type")):
        expected = {id for id, event in sent.items() if matches(where, event)}
        found = {json.loads(each.body)["event"]["id"] for each in store.find(Query(where, limit=None))}
        assert found == expected
        assert store.count(Query(where)) == len(expected) > 1


def test_templates_that_streams_stand_on_are_kept_as_the_server_would_keep_them(engine, connected, events):
    client = connected(engine)
    provision(client)
    environment = f"s{secrets.token_hex(4)}"
    deliver(client, events[:1], environment)
    plan = removal(look(client), Security())
    assert any("delete those data streams first" in refusal for refusal in plan.refused)
    status, told = engine.call("DELETE", "/_index_template/clusterlog")
    assert (status, "in use" in str(told)) == (400, True)
    if engine.flavour == "opensearch":  # the one of them that lets go of streams
        for name in (each.name for each in look(client).streams if each.template == "clusterlog"):
            assert engine.call("DELETE", f"/_data_stream/{name}")[0] == 200
        plan = removal(look(client), Security())
        assert plan.refused == ()
        perform(client, plan)
        assert look(client).index is None
        provision(client)


@pytest.mark.parametrize("engine", ["elasticsearch", "opensearch"], indirect=True)
def test_a_field_that_was_text_and_is_a_keyword_now_is_found_put_in_order_and_counted_over_both(
    engine, connected, events
):
    """A template of somebody else made the stream: it knew of times and ids, and the server took the rest for text."""
    client = connected(engine)
    environment = f"s{secrets.token_hex(4)}"
    ids = ("event.id", "process.entity_id", "http.request.id", "trace.id")
    fields = {"@timestamp": {"type": "date_nanos"}, **{name: {"type": "keyword"} for name in ids}}
    theirs = {
        "index_patterns": [f"logs-clusterlog.*-{environment}"],
        "priority": 900,
        "data_stream": {},
        "template": {"mappings": {"properties": fields}},
    }
    assert engine.call("PUT", f"/_index_template/{environment}", theirs)[0] == 200
    _, before = deliver(client, events[:20], environment)
    assert engine.call("DELETE", f"/_index_template/{environment}")[0] in (200, 400)
    engine.call("PUT", f"/_index_template/{environment}", {**theirs, "priority": 1})
    provision(client)
    assert plan_for(client).steps == ()
    _, after = deliver(client, events[20:40], environment)
    assert len(stored(engine, environment)) == len(before) + len(after)

    def types(index):
        return engine.call("GET", f"/{index}/_mapping/field/service.name")[1]

    stream = next(
        each for each in look(client).streams if each.name.endswith(f"-{environment}") and len(each.indices) > 1
    )
    assert ['"text"' in json.dumps(types(each)) for each in stream.indices] == [True, False]

    store = ElasticsearchStore(client, f"logs-clusterlog.*-{environment}")
    sent = {**before, **after}
    service, level = (next(iter(sent.values()))["service"]["name"], "info")
    for where in (Everything(), Match("service.name", service), Match("log.level", level), Exists("error.type")):
        expected = {id: event for id, event in sent.items() if matches(where, event)}
        for order in ("oldest", "newest"):
            found = [json.loads(each.body)["event"]["id"] for each in store.find(Query(where, order=order, limit=None))]
            by_time = sorted(
                expected,
                key=lambda id: (document.time_ns(expected[id]["@timestamp"]), id),
                reverse=order == "newest",
            )
            assert found == by_time
        assert store.count(Query(where)) == len(expected)
    instances = {each["process"]["entity_id"] for each in sent.values()}
    assert {each.instance for each in store.audit()} == instances
    for instance in instances:
        numbers = {each["event"]["sequence"] for each in sent.values() if each["process"]["entity_id"] == instance}
        assert set(store.sequences(instance).stored) == {(1, max(numbers))}
