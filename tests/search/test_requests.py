"""Requests found by their events: exactly those, each told as a whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.search.instant import rfc3339
from clusterlog.search.requests import document, matching, requests
from clusterlog.store.query import And, Everything, Match, Query
from clusterlog.testing.reference import ReferenceStore

NOON = 1_793_707_200_000_000_000
SECOND = 1_000_000_000
ERROR = Match("log.level", "error")
ALICE, BOB = Match("user.hash", "a1"), Match("user.hash", "b0")


def test_a_request_is_told_as_a_whole_though_one_event_of_it_was_asked_for(checkout: Any, stored: Any) -> None:
    (row,) = requests(stored(checkout()), Query(Match("log.logger", "payments.client"))).rows
    told = document(row)
    assert told == {
        "id": "0193f0c2a1b27c3d8e4f5a6b7c8d9e0f",
        "trace_ids": ["7" * 32],
        "started": "2026-11-03T12:00:00.000000000Z",
        "duration_ns": 1_836_000_000,
        "method": "POST",
        "route": "/checkout",
        "status": 502,
        "outcome": "failed",
        "level": "error",
        "users": [],
        "sessions": [],
        "nodes": ["shop-1", "orders-2", "payments-1"],
        "services": ["shop", "orders", "payments"],
        "events": 11,
        "matching": 2,
    }


def test_the_node_that_answered_comes_first_even_if_another_spoke_first(story: Any, stored: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.log(2, "looking", span="s2")
    orders.access(3, 2, "GET /orders", 200, span="s2", parent="c1")
    shop.call(4, 3, "GET http://orders/", 200, span="c1", parent="s1")
    shop.access(5, 5, "GET /", 200, span="s1")
    assert requests(stored(story), Query()).rows[0].nodes == ("shop-1", "orders-1")


def test_a_request_that_runs_is_listed_without_what_is_not_known_yet(story: Any, stored: Any) -> None:
    story.process("shop-1").log(1, "begun", span="s1", level="warning")
    row = document(requests(stored(story), Query()).rows[0])
    assert (row["outcome"], row["status"], row["method"], row["route"], row["level"]) == (
        ("running", None, None, None, "warning")
    )


def told(second: float, request: str, *, sequence: int, level: str = "info", user: str = "") -> dict[str, Any]:
    instance = "0" * 32
    return {
        "@timestamp": rfc3339(NOON + round(second * SECOND)),
        "event": {"id": f"{instance}-{sequence:011x}", "kind": "event", "sequence": sequence},
        "process": {"entity_id": instance},
        "service": {"name": "shop", "node": {"name": "shop-1"}},
        "log": {"level": level, "logger": "shop"},
        "message": "x",
        **({"http": {"request": {"id": request}}} if request else {}),
        **({"user": {"hash": user}} if user else {}),
    }


def store_of(*events: dict[str, Any]) -> ReferenceStore:
    return ReferenceStore(NOON, {event["event"]["id"]: json.dumps(event).encode() for event in events})


def names(found: Any) -> list[str]:
    return [row.id for row in found.rows]


@pytest.fixture
def three() -> ReferenceStore:
    """Three requests of two users: `long` begins first and ends last."""
    return store_of(
        told(0, "long", sequence=1, user="a1"),
        told(1, "early", sequence=2, user="b0"),
        told(2, "early", sequence=3, level="error"),
        told(3, "late", sequence=4, user="a1"),
        told(4, "late", sequence=5, user="a1"),
        told(5, "late", sequence=6),
        told(9, "long", sequence=7, level="error"),
        told(10, "", sequence=8, level="error"),
    )


def test_requests_stand_by_their_begin_and_the_limit_keeps_those_with_the_newest_events(three: ReferenceStore) -> None:
    assert names(requests(three, Query(limit=None))) == ["long", "early", "late"]
    page = requests(three, Query(limit=2))
    assert (names(page), page.more) == (["long", "late"], True)
    assert requests(three, Query(limit=3)).more is False


def test_the_slowest_and_the_largest_of_all_come_last_and_the_limit_keeps_them(three: ReferenceStore) -> None:
    assert names(requests(three, Query(limit=None), sort="duration")) == ["early", "late", "long"]
    page = requests(three, Query(limit=2), sort="duration")
    assert (names(page), page.more) == (["late", "long"], True)
    assert names(requests(three, Query(limit=1), sort="events")) == ["late"]
    assert names(requests(three, Query(limit=0), sort="events")) == []


def test_whose_request_it_is_may_stand_on_another_event_than_what_happened_in_it(three: ReferenceStore) -> None:
    assert names(requests(three, Query(And((ERROR, ALICE))))) == []
    found = requests(three, Query(ERROR), [ALICE])
    assert [(row.id, row.matching) for row in found.rows] == [("long", 1)]
    assert names(requests(three, Query(), [ALICE, BOB])) == []


def test_both_what_happened_and_whose_it_was_lie_within_the_times(three: ReferenceStore) -> None:
    at = NOON + 9 * SECOND
    assert names(requests(three, Query(ERROR, since=at), [ALICE])) == []
    assert names(requests(three, Query(ERROR, until=at), [ALICE])) == []
    assert names(requests(three, Query(ERROR, until=at + 1), [ALICE])) == ["long"]


def test_who_watches_is_told_of_every_event_that_was_looked_at(three: ReferenceStore) -> None:
    seen: list[int] = []
    assert len(list(matching(three, Query(ERROR), watch=seen.append))) == 2
    assert seen == [1, 2, 3]


def test_for_a_user_no_events_of_others_are_gone_through(three: ReferenceStore) -> None:
    seen: list[int] = []
    assert len(list(matching(three, Query(), [BOB], seen.append))) == 1
    assert seen == [1]


EVENTS = st.tuples(
    st.integers(0, 20), st.sampled_from(["", *"pqrs"]), st.sampled_from(["info", "error"]), st.sampled_from(["", "a1"])
)


@given(
    events=st.lists(EVENTS, max_size=25),
    where=st.sampled_from([Everything(), ERROR]),
    of=st.sampled_from([(), (ALICE,)]),
    since=st.none() | st.integers(0, 20),
    until=st.none() | st.integers(0, 20),
    limit=st.none() | st.integers(1, 4),
)
def test_what_is_found_is_what_a_look_at_every_event_finds(
    events: Any, where: Any, of: Any, since: Any, until: Any, limit: Any
) -> None:
    documents = [
        told(at, request, sequence=n, level=level, user=user) for n, (at, request, level, user) in enumerate(events, 1)
    ]
    inside = [
        event
        for event in events
        if event[1] and (since is None or event[0] >= since) and (until is None or event[0] < until)
    ]
    hits = [event for event in inside if where == Everything() or event[2] == "error"]
    owned = {event[1] for event in inside if event[3]} if of else {event[1] for event in inside}
    expected = {request: len([e for e in hits if e[1] == request]) for _, request, *_ in hits if request in owned}
    query = Query(
        where,
        None if since is None else NOON + since * SECOND,
        None if until is None else NOON + until * SECOND,
        limit=None,
    )
    everything = requests(store_of(*documents), query, of)
    assert {row.id: row.matching for row in everything.rows} == expected
    assert all(row.events == len([e for e in events if e[1] == row.id]) for row in everything.rows)
    if limit is not None:
        page = requests(store_of(*documents), Query(where, query.since, query.until, limit=limit), of)
        assert len(page.rows) == min(limit, len(expected))
        assert page.more == (len(expected) > limit)
        assert set(names(page)) <= set(expected)
