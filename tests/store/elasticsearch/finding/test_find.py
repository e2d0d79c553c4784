"""What finding on real servers has to put up with: copies, other mappings, many pages, shards that fail."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from clusterlog.errors import Incomplete
from clusterlog.store.base import Sequences
from clusterlog.store.elasticsearch.reading import distinct, pages
from clusterlog.store.query import Exists, Match, Query, Range
from clusterlog.testing.contracts import INSTANCE, delivery
from clusterlog.testing.strategies import BEGIN

EVERYWHERE = [
    pytest.param("elasticsearch", id="Elasticsearch 8.19"),
    pytest.param("elasticsearch_9", id="Elasticsearch 9.5", marks=pytest.mark.engines),
    pytest.param("opensearch", id="OpenSearch 3.8", marks=pytest.mark.engines),
]


@pytest.fixture
def store(request, place):
    """A place of the test's own on the engine it names; else on the one that is there in every run."""
    with place(request.getfixturevalue(getattr(request, "param", "elasticsearch"))) as store:
        yield store


def fill(store, *sent):
    assert {outcome.status for outcome in store.deliver(list(sent))} == {"stored"}
    store.flush()


def numbers(found):
    return [int(each.key[1][-11:], 16) for each in found]


def rolled_over(store, dataset="unparsed"):
    status, answer = store.engine.call("POST", f"/logs-clusterlog.{dataset}-{store.environment}/_rollover")
    assert status == 200, answer


@pytest.mark.parametrize("store", EVERYWHERE, indirect=True)
def test_a_copy_in_the_next_backing_index_is_the_same_event(store):
    fill(store, *(delivery(n, message=f"number {n}") for n in range(1, 6)))
    rolled_over(store)
    fill(store, *(delivery(n, message=f"number {n}") for n in (2, 4, 6)))
    assert numbers(store.find(Query(order="oldest", limit=None))) == [1, 2, 3, 4, 5, 6]
    assert numbers(store.find(Query(limit=3))) == [6, 5, 4]
    assert store.count(Query()) == 6
    assert store.count(Query(Match("message", "number"))) == 6
    assert store.count(Query(Match("message", "4"))) == 1
    assert store.count(Query(until=BEGIN + 2_000_001)) == 2
    told = Sequences(INSTANCE, ((1, 6),), ((2, 2), (4, 4)))
    assert store.sequences(INSTANCE) == told
    assert list(store.audit()) == [told]


def test_a_third_copy_is_the_same_event_too(store):
    for _ in range(3):
        fill(store, delivery(1, labels={"n": 5.0}), delivery(2))
        rolled_over(store)
    assert store.count(Query()) == 2
    assert store.count(Query(Match("labels.n", 5))) == 1
    assert store.sequences(INSTANCE).twice == ((1, 2),)


def test_copies_are_counted_once_wherever_a_batch_of_them_ends(store, monkeypatch):
    monkeypatch.setattr(distinct, "LOOKED_UP_AT_ONCE", 1)
    for _ in range(2):
        fill(store, delivery(1, at=1), delivery(2, at=2))
        rolled_over(store)
    fill(store, *(delivery(n, at=n) for n in range(1, 7)))  # more than both together have, so theirs are looked up
    assert store.count(Query()) == 6


@pytest.fixture
def calls(store, monkeypatch):
    """What is sent to the server: method, path and what it answered."""
    seen = []
    real = store.client.call

    def call(method, path, *arguments, **options):
        answer = real(method, path, *arguments, **options)
        seen.append((method, path.rpartition("/")[2], answer))
        return answer

    monkeypatch.setattr(store.client, "call", call)
    return seen


@pytest.mark.parametrize("store", EVERYWHERE, indirect=True)
def test_many_pages_are_read_from_a_point_in_time_that_is_closed(store, calls, monkeypatch):
    monkeypatch.setattr(pages, "LARGEST_PAGE", 10)
    fill(store, *(delivery(n, at=n // 3) for n in range(1, 40)))
    found = store.find(Query(order="oldest", limit=None))
    first = [next(found) for _ in range(25)]
    fill(store, delivery(99, at=30))  # what comes meanwhile is no part of the answer
    assert numbers([*first, *found]) == list(range(1, 40))
    opened = [way for method, way, answer in calls if method == "POST" and way != "_search" and answer.status == 200]
    closed = [(way, answer.status) for method, way, answer in calls if method == "DELETE"]
    assert len(opened) == 1
    assert closed == [(opened[0], 200)]


def test_a_reader_that_leaves_closes_its_point_in_time(store, calls, monkeypatch):
    monkeypatch.setattr(pages, "LARGEST_PAGE", 10)
    fill(store, *(delivery(n) for n in range(1, 40)))
    found = store.find(Query(limit=None))
    assert len([next(found) for _ in range(15)]) == 15
    found.close()
    assert calls[-1][:2] == ("DELETE", "_pit")


def test_few_events_take_one_search_beside_the_mapping(store, calls):
    fill(store, *(delivery(n, http__request__id="R-1") for n in range(1, 40)))
    assert len(list(store.find(Query(Match("http.request.id", "R-1"), order="oldest", limit=None)))) == 39
    assert [way for _, way, _ in calls] == ["_field_caps", "_search"]


def test_a_reader_that_takes_a_long_break_goes_on(store, calls, monkeypatch):
    monkeypatch.setattr(pages, "LARGEST_PAGE", 10)
    fill(store, *(delivery(n) for n in range(1, 40)))
    found = store.find(Query(limit=None))
    first = [next(found) for _ in range(15)]
    (point,) = [answer.body["id"] for _, way, answer in calls if way == "_pit"]
    assert store.engine.call("DELETE", "/_pit", {"id": point})[0] == 200  # as when its time is over
    assert numbers([*first, *found]) == list(range(39, 0, -1))


def test_without_points_in_time_pages_follow_each_other_all_the_same(store, monkeypatch):
    monkeypatch.setattr(pages, "LARGEST_PAGE", 10)
    monkeypatch.setattr(pages, "WAYS", (("_no_such_thing", "id"),))
    fill(store, *(delivery(n, at=n // 3) for n in range(1, 40)))
    assert numbers(store.find(Query(order="oldest", limit=None))) == list(range(1, 40))
    assert numbers(store.find(Query(limit=33))) == list(range(39, 6, -1))


def bare(store, mappings):
    """An index of this place that has none of our mappings."""
    name = f"bare-{store.environment}"
    status, answer = store.engine.call("PUT", f"/{name}", {"mappings": mappings, "settings": {"number_of_replicas": 0}})
    assert status == 200, answer
    store._asker.target = store._asker.path = f"{store.pattern},{name}"
    return name


def put(store, index, *sent):
    lines = "".join(
        f"{json.dumps({'create': {'_index': index, '_id': each.id}})}\n{each.body.decode()}\n" for each in sent
    )
    status, answer = store.engine.call("POST", "/_bulk?refresh=true", lines)
    assert (status, answer["errors"]) == (200, False), answer
    store._asker.forget()


@pytest.mark.parametrize("store", EVERYWHERE, indirect=True)
def test_a_server_without_our_templates_is_asked_by_the_mappings_it_has_made(store):
    name = bare(store, {})
    events = [
        delivery(3, at=2_000_300, message="Connection refused", labels={"a": "x", "n": 5}, http__request__id="R-1"),
        delivery(1, at=2_000_900, message="out of time", labels={"a": "x y"}, http__request__id="R-2"),
        delivery(2, at=2_000_100, message="refused", labels={"a": "y"}, http__request__id="R-1 more"),
        delivery(4, at=9_000_000, message="none", labels={"n": 7}),
    ]  # fmt: skip
    put(store, name, *events)
    assert numbers(store.find(Query(order="oldest", limit=None))) == [2, 3, 1, 4]
    assert numbers(store.find(Query(limit=None))) == [4, 1, 3, 2]
    assert numbers(store.find(Query(order="oldest", limit=2))) == [2, 3]
    after = next(iter(store.find(Query(order="oldest", limit=1)))).key
    assert numbers(store.find(Query(order="oldest", after=after))) == [3, 1, 4]
    assert numbers(store.find(Query(since=BEGIN + 2_000_200, until=BEGIN + 2_000_900))) == [3]
    assert store.count(Query(since=BEGIN + 2_000_200, until=BEGIN + 2_000_900)) == 1
    for where, asked in [
        (Match("http.request.id", "R-1"), [3]),
        (Match("message", "REFUSED"), [2, 3]),
        (Match("labels.a", "x"), [3]),
        (Match("labels.n", 5), [3]),
        (Range("labels.n", gte=6), [4]),
        (Exists("labels.a"), [2, 3, 1]),
    ]:
        assert numbers(store.find(Query(where, order="oldest"))) == asked
        assert store.count(Query(where)) == len(asked)
    assert store.sequences(INSTANCE).stored == ((1, 4),)


def test_two_mappings_of_one_field_are_asked_in_one_question(store):
    own = {"event": {"properties": {"id": {"type": "keyword"}}}, "cloud": {"properties": {"zone": {"type": "long"}}}}
    name = bare(store, {"properties": {**own, "labels": {"type": "object"}}})
    put(store, name, delivery(1, cloud={"zone": 7}, labels={"a": 1}))
    fill(store, delivery(2, cloud={"zone": "7"}, labels={"a": "1"}), delivery(3, cloud={"zone": "eu"}))
    assert numbers(store.find(Query(Match("cloud.zone", "7"), order="oldest"))) == [1, 2]
    assert numbers(store.find(Query(Match("cloud.zone", "eu")))) == [3]
    assert numbers(store.find(Query(Match("labels.a", 1), order="oldest"))) == [1, 2]
    assert store.count(Query(Exists("cloud.zone"))) == 3


def test_shards_that_fail_are_told_after_what_the_others_gave(store):
    fill(store, delivery(1))
    name = bare(store, {"properties": {"event": {"properties": {"id": {"type": "text"}}}}})
    put(store, name, delivery(2))
    found = store.find(Query())
    assert numbers([next(found)]) == [1]
    with pytest.raises(Incomplete, match=r"some events cannot be read: 1 of 2 shards failed \(.*: .*"):
        next(found)


def test_where_no_index_is_nothing_is_stored_yet(store):
    assert list(store.find(Query())) == []
    assert store.count(Query(Match("message", "x"))) == 0
    assert list(store.audit()) == []


def test_what_lies_in_a_failure_store_is_no_event_that_can_be_found(store):
    name = f"logs-clusterlog.kept-{store.environment}"
    template = {
        "index_patterns": [name],
        "priority": 400,
        "data_stream": {},
        "template": {
            "mappings": {"properties": {"event": {"properties": {"sequence": {"type": "long"}}}}},
            "data_stream_options": {"failure_store": {"enabled": True}},
        },
    }
    assert store.engine.call("PUT", f"/_index_template/{name}", template)[0] == 200
    bad = delivery(2, event__dataset="clusterlog.kept")
    bad = replace(bad, body=bad.body.replace(b'"sequence": 2', b'"sequence": {"x": 2}'))
    good = [delivery(n, event__dataset="clusterlog.kept") for n in (1, 3)]
    assert [outcome.status for outcome in store.deliver([*good, bad])] == ["stored", "stored", "failure_store"]
    store.flush()
    assert store.engine.call("POST", f"/{name}::failures/_refresh")[0] == 200
    assert numbers(store.find(Query(order="oldest"))) == [1, 3]
    assert list(store.audit()) == [Sequences(INSTANCE, ((1, 1), (3, 3)), (), ((2, 2),))]
