"""Errors grouped by what they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.search.errors import document, errors, group_id
from clusterlog.search.story.event import read
from clusterlog.store.query import Match, Query
from clusterlog.testing.reference import ReferenceStore

NOON = 1_793_707_200_000_000_000
MS = 1_000_000


def messages(groups: Any) -> list[str]:
    return [group.message for group in groups]


def test_one_exception_is_one_fault_whatever_it_says_and_wherever_it_is_raised(story: Any, stored: Any) -> None:
    here, there = story.process("shop-1"), story.process("orders-1")
    told = {"clusterlog": {"error": {"fingerprint": "ab12"}}}
    here.log(1, "a", level="error", error={"type": "KeyError", "message": "'sku'"}, **told)
    there.log(2, "b", level="warning", error={"type": "KeyError", "message": "'id'"}, **told)
    (group,) = errors(stored(story), Query())
    assert document(group) == {
        "id": "ab12",
        "fingerprint": "ab12",
        "type": "KeyError",
        "message": "'id'",
        "logger": "orders.api",
        "template": "b",
        "level": "warning",
        "events": 2,
        "requests": 1,
        "causes": 1,
        "first": "2026-11-03T12:00:00.001000000Z",
        "last": "2026-11-03T12:00:00.002000000Z",
        "nodes": ["orders-1", "shop-1"],
        "services": ["orders", "shop"],
        "example": {"request": story.id, "event": f"{2:032x}-{1:011x}"},
    }


def test_without_a_fingerprint_type_logger_and_template_tell_faults_apart(story: Any) -> None:
    shop = story.process("shop-1")

    def id_of(message: str, **options: Any) -> str:
        shop.log(1, message, level="error", **options)
        return group_id(read(story.documents[-1]))

    plain = id_of("order 7 failed")
    assert id_of("order 8 failed") == plain
    assert id_of("order 7 failed", logger="other") != plain
    assert id_of("order 7 failed", error={"type": "ValueError"}) != plain
    assert id_of("cart 7 failed") != plain
    assert id_of("cart 7 failed", clusterlog={"template": "%s failed"}) == id_of(
        "bill 9 failed", clusterlog={"template": "%s failed"}
    )


def test_answers_and_calls_are_told_apart_by_service_route_and_how_they_ended(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")

    def id_of(process: Any, kind: str, *told: Any, **options: Any) -> str:
        getattr(process, kind)(1, 1, *told, **options)
        return group_id(read(story.documents[-1]))

    assert id_of(shop, "access", "GET /a", 500) != id_of(orders, "access", "GET /a", 500)
    assert id_of(shop, "access", "GET /a", 500) != id_of(shop, "access", "GET /a", 503)
    assert id_of(shop, "call", "GET http://x/orders/17", 500, span="c1") == id_of(
        shop, "call", "GET http://x/orders/18", 500, span="c2"
    )
    assert id_of(shop, "call", "GET http://x/orders/17", 500, span="c3") != id_of(
        shop, "call", "GET http://x/orders/17", None, span="c4"
    )


def test_what_is_no_error_is_in_no_group(story: Any, stored: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "fine")
    shop.log(2, "careful", level="warning")
    shop.log(3, "lost", level="error", event={"kind": "state"})
    shop.log(4, "bad", level="critical")
    assert messages(errors(stored(story), Query())) == ["bad"]


def test_what_came_first_in_a_request_stands_before_what_followed_from_it(checkout: Any, stored: Any) -> None:
    groups = errors(stored(checkout()), Query())
    assert [(group.template, group.causes) for group in groups] == [
        ("POST /charge failed", 1),
        ("POST /checkout 502", 0),
        ("POST /orders 502", 0),
        ("POST /orders 502", 0),
        ("payment failed, releasing stock", 0),
        ("POST /charge 504", 0),
        ("POST /charge 504", 0),
        ("charge failed", 0),
    ]


def test_what_belongs_to_no_request_is_a_cause_of_its_own(checkout: Any, story: Any, stored: Any) -> None:
    worker = story.process("worker-1")
    worker.log(0, "no space", level="error")
    del story.documents[0]["http"]
    told = checkout()
    for event in told.documents:
        event["process"]["entity_id"] = "f" + event["process"]["entity_id"][1:]
        event["event"]["id"] = "f" + event["event"]["id"][1:]
    groups = errors(stored(told, story), Query())
    assert messages(groups)[:2] == ["bank.example:443", "no space"]
    assert (groups[1].requests, groups[1].request) == (set(), "")


@pytest.fixture
def history(story: Any) -> Any:
    """`old` at 1, 2 and 9 s, `often` at 5, 6, 7 and 8 s in one request, `young` at 8.5 s."""
    shop = story.process("shop-1")
    for at, message, request in [
        (1, "old", "p"),
        (2, "old", "q"),
        (5, "often", "r"),
        (6, "often", "r"),
        (7, "often", "r"),
        (8, "often", "r"),
        (8.5, "young", "s"),
        (9, "old", "s"),
    ]:
        shop.log(at * 1000, message, level="error")
        story.documents[-1]["http"] = {"request": {"id": request}}
    return story


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("cause", ["old", "young", "often"]),
        ("last", ["old", "young", "often"]),
        ("first", ["young", "often", "old"]),
        ("events", ["often", "old", "young"]),
        ("requests", ["old", "young", "often"]),
    ],
)
def test_groups_stand_in_the_order_that_was_asked_for(history: Any, stored: Any, sort: Any, expected: Any) -> None:
    assert messages(errors(stored(history), Query(), sort=sort)) == expected
    assert messages(errors(stored(history), Query(limit=2), sort=sort)) == expected[:2]


def test_since_bounds_what_is_counted_but_not_when_it_was_first_seen(history: Any, stored: Any) -> None:
    groups = errors(stored(history), Query(since=NOON + 6000 * MS))
    assert {group.message: (group.first_ns - NOON) // MS for group in groups} == {
        "old": 1000,
        "often": 5000,
        "young": 8500,
    }
    assert {group.message: (group.events, len(group.requests)) for group in groups} == {
        "old": (1, 1),
        "often": (3, 1),
        "young": (1, 1),
    }


def test_what_is_new_has_never_occurred_before(history: Any, stored: Any) -> None:
    store = stored(history)
    assert messages(errors(store, Query(since=NOON + 5000 * MS, limit=1), only_new=True)) == ["young"]
    assert messages(errors(store, Query(since=NOON + 5000 * MS), only_new=True)) == ["young", "often"]
    assert messages(errors(store, Query(since=NOON + 5001 * MS), only_new=True)) == ["young"]
    assert messages(errors(store, Query(), only_new=True)) == ["old", "young", "often"]


def test_a_query_says_which_errors_are_meant(history: Any, stored: Any) -> None:
    assert messages(errors(stored(history), Query(Match("http.request.id", "s")))) == ["young", "old"]


def test_what_a_query_leaves_out_is_a_first_error_all_the_same(checkout: Any, stored: Any) -> None:
    store = stored(checkout())
    told = errors(store, Query(Match("service.node.name", "shop-1")))
    assert told
    assert [group.causes for group in told] == [0] * len(told)
    (cause,) = (group for group in errors(store, Query(Match("service.node.name", "payments-1"))) if group.causes)
    assert (cause.template, cause.causes) == ("POST /charge failed", 1)


KINDS = st.sampled_from(
    [
        {"message": "a 1"},
        {"message": "a 2"},
        {"message": "b", "clusterlog": {"template": "%s"}},
        {"message": "c", "error": {"type": "E"}},
        {"message": "d", "error": {"type": "E"}, "clusterlog": {"error": {"fingerprint": "f1"}}},
        {"message": "e", "clusterlog": {"error": {"fingerprint": "f1"}, "template": "%s"}},
        {"message": "GET /a/1", "event": {"dataset": "clusterlog.call"}, "url": {"path": "/a/1"}},
        {"message": "GET /a/2", "event": {"dataset": "clusterlog.call"}, "url": {"path": "/a/2"}},
        {"message": "GET /", "event": {"dataset": "clusterlog.access"}, "clusterlog": {"route": "/"}},
        {"message": "fine", "log": {"level": "info"}},
    ]
)


@given(told=st.lists(st.tuples(st.integers(0, 9), KINDS, st.sampled_from("pq")), max_size=20), since=st.integers(0, 9))
def test_groups_and_their_first_occurrence_are_what_a_look_at_every_event_finds(told: Any, since: int) -> None:
    documents = []
    for number, (at, kind, request) in enumerate(told):
        event = {**kind.get("event", {}), "id": f"{number:044x}", "kind": "event"}
        level = kind.get("log", {"level": "error", "logger": "l"})
        stamp = f"2026-11-03T12:00:{at:02}.000000000Z"
        documents.append(
            {**kind, "event": event, "log": level, "@timestamp": stamp, "http": {"request": {"id": request}}}
        )
    store = ReferenceStore(NOON, {each["event"]["id"]: json.dumps(each).encode() for each in documents})
    first: dict[str, int] = {}
    inside: dict[str, int] = {}
    for (at, kind, _), each in sorted(zip(told, documents, strict=True), key=lambda pair: pair[0][0]):
        if kind["message"] != "fine":
            first.setdefault(group_id(read(each)), at)
            if at >= since:
                inside[group_id(read(each))] = inside.get(group_id(read(each)), 0) + 1
    groups = errors(store, Query(since=NOON + since * 1000 * MS, limit=None))
    assert {group.id: group.events for group in groups} == inside
    assert {group.id: (group.first_ns - NOON) // (1000 * MS) for group in groups} == {id: first[id] for id in inside}
    new = errors(store, Query(since=NOON + since * 1000 * MS, limit=None), only_new=True)
    assert {group.id for group in new} == {id for id in inside if first[id] >= since}
    assert sum(group.causes for group in errors(store, Query(limit=None))) == len(
        {request for _, kind, request in told if kind["message"] != "fine"}
    )
