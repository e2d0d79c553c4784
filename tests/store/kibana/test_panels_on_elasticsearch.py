"""Every panel's query on a real Elasticsearch, over events of the demo and planted state events: the right numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lens_search import clause, counted, read, rows, search
from places import place_on

from clusterlog.encode.ecs import Encoder
from clusterlog.encode.facts import Origin
from clusterlog.record.redact import Redactor
from clusterlog.search.instant import instant
from clusterlog.store.base import Delivery

DEMO = Path(__file__).parents[3] / "docs" / "screens" / "events.ndjson"
INSTANCE = "0190bbbb00007000800000000000{:04x}"
PLANTED = [
    ("shop-1", "heartbeat", {"last_seq": 90, "backlog_events": 10, "backlog_bytes": 900, "oldest_age_s": 1.5}),
    ("shop-1", "heartbeat", {"last_seq": 95, "backlog_events": 400, "backlog_bytes": 9000, "oldest_age_s": 42.0}),
    ("orders-1", "heartbeat", {"last_seq": 12, "backlog_events": 3, "backlog_bytes": 300, "oldest_age_s": 3.25}),
    (
        "shop-1",
        "drop",
        {"first_seq": 4, "last_seq": 6, "count": 3, "reason": "disk_full", "levels": {"below_warning": 3}},
    ),
    (
        "shop-1",
        "drop",
        {"first_seq": 9, "last_seq": 9, "count": 1, "reason": "disk_full", "levels": {"below_warning": 1}},
    ),
    (
        "orders-1",
        "drop",
        {"first_seq": 7, "last_seq": 13, "count": 7, "reason": "limit", "levels": {"below_warning": 7}},
    ),
    ("payments-1", "dead-letter", {"first_seq": 7, "last_seq": 8, "count": 2, "reason": "refused"}),
    ("orders-2", "crash-close", {"last_seq": 9, "torn_bytes": 12}),
    ("shop-1", "audit", {"levels": {"shop.db": "DEBUG"}, "reason": "looking for a slow query"}),
    ("shop-2", "audit", {"levels": {"shop.db": "DEBUG"}, "reason": "looking for a slow query"}),
    ("shop-1", "audit", {"levels": {"shop.db": "INFO"}, "reason": "expired"}),
    ("payments-1", "silence", {"reason": "no heartbeat for 3 min"}),
    ("orders-2", "leave", {}),
    ("shop-2", "join", {}),
]
"""Node, action and facts of each, as the contract of events has them, some of which nothing tells yet."""


def planted(begin_ns):
    for number, (node, action, facts) in enumerate(PLANTED, 1):
        encoder = Encoder(Origin("clusterlog", node, "development", f"{node}.example"), redactor=Redactor(()))
        instance = INSTANCE.format(number)
        ns = begin_ns + number * 1_000_000_000
        head = encoder.head(instance)(ns // 1_000_000_000) % (ns % 1_000_000_000, 1, 1)
        yield json.loads(head + encoder.state(action, {"instance": instance, **facts}))


@pytest.fixture(scope="module", params=["elasticsearch", pytest.param("elasticsearch_9", marks=pytest.mark.engines)])
def engine(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def documents():
    demo = [json.loads(line) for line in DEMO.read_text(encoding="utf-8").splitlines()]
    return [*demo, *planted(max(instant(each["@timestamp"]) for each in demo))]


@pytest.fixture(scope="module")
def place(engine, documents):
    """A place on the server, with our mapping, that holds the documents."""
    with place_on(engine) as place:
        batch = []
        for each in documents:
            each["service"]["environment"] = place.environment
            event = each["event"]
            body = json.dumps(each).encode()
            batch.append(Delivery(event["id"], each["process"]["entity_id"], event["sequence"], body))
        assert {outcome.status for outcome in place.deliver(batch)} == {"stored"}
        place.flush()
        yield place


@pytest.fixture(scope="module")
def ask(engine, place, documents):
    """What the server answers for the state of a panel."""
    stamps = sorted(each["@timestamp"] for each in documents)

    def asked(state):
        body = search(state, (stamps[0], stamps[-1]))
        status, answer = engine.call("POST", f"/{place.pattern}/_search", body)
        assert status == 200, answer
        assert answer["_shards"]["failed"] == 0, answer["_shards"]
        return rows(state, answer)

    return asked


@pytest.fixture(scope="module")
def states(panels):
    return {
        (dashboard.removeprefix("clusterlog: "), panel["embeddableConfig"]["attributes"]["title"]): panel[
            "embeddableConfig"
        ]["attributes"]["state"]
        for dashboard, _, panel in panels
        if panel["type"] == "lens"
    }


def values(found):
    """Key → the one value of each row."""
    return {row.key: next(iter(row.values.values())) for row in found}


def agrees(expected, answered):
    if isinstance(expected, tuple):
        return expected[0] <= answered <= expected[1]
    if expected is None or answered is None:
        return expected is answered
    return answered == pytest.approx(expected, rel=1e-9)


def test_every_panel_shows_what_is_counted_by_hand(states, ask, documents):
    assert len(states) == 24
    for name, state in states.items():
        expected = counted(state, documents)
        found = {row.key: row.values for row in ask(state)}
        assert found.keys() == expected.keys(), name
        for key, measures in expected.items():
            for column, wanted in measures.items():
                assert agrees(wanted, found[key][column]), f"{name} {key} {column}: {found[key][column]}, not {wanted}"


def test_no_panel_is_empty_over_events_of_every_kind(states, ask):
    for name, state in states.items():
        found = ask(state)
        assert found and any(value for row in found for value in row.values.values()), name


def test_rows_come_in_the_order_that_is_asked_for(states, ask):
    slowest = [row.values["measure0"] for row in ask(states["Requests", "Slowest requests"])]
    assert slowest == sorted(slowest, reverse=True) and len(slowest) > 3
    silent = [row.values["measure0"] for row in ask(states["Cluster health", "Silent nodes"])]
    assert silent == sorted(silent) and len(silent) == 5


def test_requests_are_told_by_their_numbers(states, ask, documents):
    ids = {each["http"]["request"]["id"] for each in documents if "id" in each.get("http", {}).get("request", {})}
    assert values(ask(states["Requests", "Requests"])) == {(): len(ids)} == {(): 9}
    levels = [row.values for row in ask(states["Requests", "Events by level"])]
    errors = sum(1 for each in documents if each["log"]["level"] == "error")
    assert sum(each["measure1"] for each in levels) == errors > 0
    assert sum(values(ask(states["Requests", "Errors by service"])).values()) == errors
    nodes = {row.key[0]: row.values["measure0"] for row in ask(states["Requests", "Events by node"])}
    assert nodes.keys() == {"shop-1", "shop-2", "orders-1", "orders-2", "payments-1"}
    assert sum(nodes.values()) == sum(each["event"]["kind"] != "state" for each in documents)


def test_planted_losses_are_told_by_their_reasons(states, ask, documents):
    before = sum(
        each["clusterlog"]["state"]["count"]
        for each in documents
        if each["event"].get("action") == "drop" and not each["event"]["id"].startswith("0190bbbb")
    )
    assert values(ask(states["Cluster health", "Dropped"])) == {(): 11 + before}
    by_reason = {}
    for (reason, _), count in values(ask(states["Cluster health", "Drops by reason"])).items():
        by_reason[reason] = by_reason.get(reason, 0) + count
    assert by_reason["limit"] == 7 and by_reason["disk_full"] >= 4
    assert values(ask(states["Cluster health", "Dead letters"])) == {(): 2}
    dead = values(ask(states["Cluster health", "Dead letters by reason"]))
    assert [(key[0], count) for key, count in dead.items()] == [("refused", 2)]
    assert values(ask(states["Cluster health", "Killed processes"])) == {(): 1}


def test_planted_delivery_lag_is_told_node_by_node(states, ask):
    assert values(ask(states["Cluster health", "Oldest waiting event"])) == {(): 42.0}
    lag = {}
    for (node, _), age in values(ask(states["Cluster health", "Delivery lag"])).items():
        lag[node] = max(lag.get(node, 0), age)
    assert lag == {"shop-1": 42.0, "orders-1": 3.25}
    waiting = values(ask(states["Cluster health", "Waiting in spools"]))
    assert sorted((node, count) for (node, _), count in waiting.items()) == [
        ("orders-1", 3),
        ("shop-1", 10),
        ("shop-1", 400),
    ]


def test_planted_changes_of_levels_are_told_node_by_node(states, ask):
    assert values(ask(states["Cluster health", "Level changes"])) == {(): 3}
    changes = {}
    for (node, _), count in values(ask(states["Cluster health", "Level changes over time"])).items():
        changes[node] = changes.get(node, 0) + count
    assert changes == {"shop-1": 2, "shop-2": 1}


def test_a_planted_silent_node_stands_where_it_was_heard_last(states, ask, documents):
    told = {row.key[0]: row.values for row in ask(states["Cluster health", "Silent nodes"])}
    assert {node for node, values in told.items() if values["measure1"]} == {"payments-1"}
    heard = [
        instant(each["@timestamp"]) // 1_000_000
        for each in documents
        if each["service"]["node"]["name"] == "payments-1" and each["event"].get("action") != "silence"
    ]
    assert told["payments-1"]["measure0"] == max(heard)
    assert told["orders-2"]["measure2"] == 1


def test_every_session_finds_its_events_and_takes_its_columns_and_sort(built, engine, place):
    expected = {"level-changes": 3, "losses": 3 + 1 + 1, "request": 130, "coming-and-going": 12 + 1 + 3}
    for each in built:
        if each["type"] != "search":
            continue
        attributes = each["attributes"]
        query = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])["query"]["query"]
        body = {
            "size": 500,
            "query": clause(read(query)),
            "sort": [{field: {"order": direction}} for field, direction in attributes["sort"]],
            "fields": attributes["columns"],
            "_source": False,
        }
        status, answer = engine.call("POST", f"/{place.pattern}/_search", body)
        assert status == 200, answer
        hits = answer["hits"]["hits"]
        assert len(hits) >= expected[each["id"].removeprefix("clusterlog-")], each["id"]
        shown = {field for hit in hits for field in hit["fields"]}
        lacking = {field for field in attributes["columns"] if not any(name.startswith(field) for name in shown)}
        assert not lacking, each["id"]


def test_the_options_of_every_control_are_values_that_are_there(built, engine, place):
    """As an options list asks: a terms aggregation, narrowed by what is typed."""
    for each in built:
        if each["type"] != "dashboard":
            continue
        for control in json.loads(each["attributes"]["controlGroupInput"]["panelsJSON"]).values():
            field = control["explicitInput"]["fieldName"]
            body = {
                "size": 0,
                "aggs": {"options": {"terms": {"field": field, "size": 10, "order": {"_count": "desc"}}}},
            }
            status, answer = engine.call("POST", f"/{place.pattern}/_search", body)
            assert status == 200, answer
            assert answer["aggregations"]["options"]["buckets"], field
