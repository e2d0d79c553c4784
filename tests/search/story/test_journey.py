import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.errors import NotFound
from clusterlog.search.story.journey import Clock, Journey, journey
from clusterlog.search.story.verdict import verdict

MS = 1_000_000
CASES = settings(max_examples=50)


def told(found: Journey) -> list[str]:
    return [entry.event.document["message"] for entry in found.entries]


def test_the_header_is_that_of_the_outermost_access_event(checkout: Any) -> None:
    found = journey(checkout().documents)
    assert (found.method, found.route, found.status, found.outcome) == ("POST", "/checkout", 502, "failed")
    assert found.id == "0193f0c2a1b27c3d8e4f5a6b7c8d9e0f"
    assert found.trace_ids == ("7" * 32,)
    assert found.started == "2026-11-03T12:00:00.000000000Z"
    assert found.duration_ns == 1836 * MS
    assert found.nodes == ("shop-1", "orders-2", "payments-1")
    assert found.services == ("shop", "orders", "payments")
    assert found.spans == 6
    assert len(found.entries) == 11


@pytest.mark.parametrize(
    ("status", "outcome", "expected"),
    [
        (200, "success", "ok"),
        (404, "success", "ok"),
        (499, "failure", "failed"),
        (500, "success", "failed"),
        (None, "failure", "failed"),
        (101, "success", "ok"),
    ],
)
def test_a_request_failed_if_its_answer_says_so(story: Any, status: int | None, outcome: str, expected: str) -> None:
    story.process("shop-1").access(5, 5, "GET /", status, span="s1", event={"outcome": outcome})
    assert journey(story.documents).outcome == expected


def test_a_request_runs_until_its_outermost_access_event_is_there(checkout: Any) -> None:
    documents = checkout().documents[:-1]
    for left in (documents, documents[:-1], documents[:1]):
        found = journey(left)
        assert (found.outcome, found.status, found.root) == ("running", None, None)
        assert (found.method, found.route) == ("", "")
    assert journey(documents).duration_ns == 1_831_800_000  # from the first line to the last event so far


def test_a_callees_answer_is_not_taken_for_the_whole_while_its_caller_has_not_told_of_the_call(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    shop.log(1, "calling", span="s1")
    orders.access(5, 2, "GET /b", 200, span="s2", parent="c1")
    assert journey(story.documents).outcome == "running"


def test_a_parent_that_a_client_outside_sent_makes_no_difference(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "hello", span="s1")
    shop.access(5, 5, "GET /", 200, span="s1", parent="browser")
    assert journey(story.documents).outcome == "ok"


def test_of_two_outermost_visits_the_first_is_the_request(story: Any) -> None:
    one, two = story.process("shop-1", host="h"), story.process("shop-2", host="h")
    one.access(5, 4, "GET /first", 500, span="s1")
    two.access(9, 2, "GET /second", 200, span="s2")
    assert journey(story.documents).route == "/first"


def test_of_two_requests_of_one_service_at_one_time_each_is_one_of_its_own(story: Any) -> None:
    """Neither names a caller: one client made both, with one id."""
    one, two = story.process("shop-1", host="h"), story.process("shop-2", host="h")
    two.log(6, "second", span="s2", trace={"id": "2" * 32})
    two.access(8, 4, "GET /second", 200, span="s2", trace={"id": "2" * 32})
    one.access(9, 8, "GET /first", 200, span="s1")
    found = journey(story.documents)
    assert found.route == "/first"
    assert [(other.access.path, len(other.events)) for other in found.others] == [("/second", 2)]
    assert [event.path for event in found.own_events()] == ["/first"]


def test_a_visit_of_another_service_within_the_request_is_no_request_of_its_own(story: Any) -> None:
    """Its caller handed on the id alone."""
    shop, orders = story.process("shop-1", host="h"), story.process("orders-1", host="h")
    orders.access(8, 4, "GET /b", 200, span="s2", trace={"id": "2" * 32})
    shop.access(9, 8, "GET /a", 200, span="s1")
    assert journey(story.documents).others == ()
    orders.access(99, 4, "GET /b", 200, span="s3", trace={"id": "3" * 32})
    assert [other.access.span for other in journey(story.documents).others] == ["s3"]


def test_requests_of_one_trace_are_told_apart_by_their_ids(story: Any) -> None:
    one, two = story.process("shop-1", host="h"), story.process("orders-1", host="h")
    one.access(9, 8, "GET /first", 200, span="s1", parent="browser")
    two.access(8, 4, "GET /second", 200, span="s2", parent="browser", http={"request": {"id": "other"}})
    found = journey(story.documents)
    assert [other.access.request for other in found.others] == ["other"]


def test_without_a_route_the_path_stands_for_it(story: Any) -> None:
    story.process("shop-1").access(5, 5, "GET /", 200, span="s1", clusterlog={"route": None}, url={"path": "/a/7"})
    assert journey(story.documents).route == "/a/7"


def test_each_process_has_a_lane_in_the_order_of_first_appearance(story: Any) -> None:
    one, two, again = (story.process(node, host="h") for node in ("shop-1", "orders-1", "shop-1"))
    two.log(2, "second")
    one.log(1, "first")
    again.log(3, "third")
    found = journey(story.documents)
    assert [(lane.node, lane.instance) for lane in found.lanes] == [
        ("shop-1", one.instance),
        ("orders-1", two.instance),
        ("shop-1", again.instance),
    ]
    assert [entry.lane for entry in found.entries] == [0, 1, 2]
    assert found.nodes == ("shop-1", "orders-1")


def test_state_events_are_no_part_of_a_request(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "hello")
    shop.log(2, "opened", event={"kind": "state", "action": "open"})
    assert told(journey(story.documents)) == ["hello"]


@pytest.mark.parametrize("documents", [[], [{"event": {"kind": "state"}}]])
def test_a_request_without_events_is_not_found(documents: list[dict[str, Any]]) -> None:
    with pytest.raises(NotFound):
        journey(documents)


@given(data=st.data())
@CASES
def test_copies_of_an_event_are_one_event(any_request: Any, data: st.DataObject) -> None:
    story, _ = data.draw(any_request)
    doubled = story.documents + copy.deepcopy(data.draw(st.lists(st.sampled_from(story.documents), max_size=5)))
    assert journey(data.draw(st.permutations(doubled))) == journey(story.documents)


def test_of_copies_that_differ_the_same_one_is_taken_in_either_order(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "one")
    other = copy.deepcopy(story.documents[0]) | {"message": "another"}
    assert told(journey([story.documents[0], other])) == told(journey([other, story.documents[0]])) == ["another"]


@given(data=st.data())
@CASES
def test_every_fact_is_the_same_in_whatever_order_events_arrive(any_request: Any, data: st.DataObject) -> None:
    story, _ = data.draw(any_request)
    assert journey(data.draw(st.permutations(story.documents))) == journey(story.documents)


def certainties(found: Journey) -> dict[str, bool]:
    return {entry.event.document["message"]: entry.certain for entry in found.entries}


def test_order_is_certain_by_sequence_by_cause_and_by_one_clock_but_not_between_clocks(story: Any) -> None:
    shop, other = story.process("shop-1", host="h"), story.process("other-1", host="h")
    orders, far = story.process("orders-1"), story.process("far-1")
    shop.log(1, "first", span="s1")
    shop.log(2, "by sequence", span="s1")
    orders.access(4, 1, "by cause", 200, span="s2", parent="c1")
    shop.call(6, 3.5, "by return", 200, span="c1", parent="s1")
    other.log(7, "by one clock")
    far.log(8, "by another clock")
    other.log(9, "back again")
    assert certainties(journey(story.documents)) == {
        "first": True,
        "by sequence": True,
        "by cause": True,
        "by return": True,
        "by one clock": True,
        "by another clock": False,
        "back again": False,
    }


def test_equal_times_of_one_clock_tell_no_order(story: Any) -> None:
    one, two = story.process("shop-1", host="h"), story.process("shop-2", host="h")
    one.log(1, "a")
    two.log(1, "b")
    assert certainties(journey(story.documents)) == {"a": True, "b": False}


def test_a_queue_proves_no_clock_wrong(story: Any) -> None:
    shop, worker = story.process("shop-1"), story.process("worker-1")
    shop.access(3, 3, "GET /a", 200, span="s1")
    worker.access(5002, 1, "TASK mail", 200, span="w1", parent="s1")
    found = journey(story.documents)
    assert [lane.clock for lane in found.lanes] == [Clock(), Clock()]
    assert found.route == "/a"


def test_a_pause_is_told_with_what_was_going_on(checkout: Any) -> None:
    found = journey(checkout().documents)
    pauses = [(gap.length_ns // MS, gap.place, gap.inside, [event.span for event in gap.open]) for gap in found.gaps]
    assert pauses == [(1402, 3, True, ["c3", "c2", "c1", "s3", "s2", "s1"]), (402, 9, True, ["c1", "s1"])]


def test_a_pause_is_told_from_50_ms_and_a_twentieth_of_the_request_on(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(50, "at 50", span="s1")
    shop.log(100.001, "at 100", span="s1")
    shop.access(101, 101, "GET /", 200, span="s1")
    assert [gap.length_ns for gap in journey(story.documents).gaps] == [50_001_000]
    story.documents[-1]["event"]["duration"] = 1001 * MS
    story.documents[-1]["@timestamp"] = "2026-11-03T12:00:01.001000000Z"
    assert [gap.length_ns // MS for gap in journey(story.documents).gaps] == [900]


def test_a_pause_before_the_first_event_is_told_as_well(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(400, "at last", span="s1")
    shop.access(401, 401, "GET /", 200, span="s1")
    assert [(gap.place, gap.length_ns // MS) for gap in journey(story.documents).gaps] == [(0, 400)]


def test_a_pause_in_work_that_outlived_the_response_is_told_as_such(story: Any) -> None:
    shop = story.process("shop-1")
    shop.access(10, 10, "GET /", 200, span="s1")
    shop.log(500, "left behind", span="s1")
    assert [(gap.place, gap.inside) for gap in journey(story.documents).gaps] == [(1, False)]


@pytest.mark.parametrize("skew_ms", [5000, -5000])
def test_a_wrong_clock_makes_no_pause(story: Any, skew_ms: int) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1", skew_ms=skew_ms)
    shop.log(1, "calling", span="s1")
    orders.log(4, "serving", span="s2")
    orders.log(5, "served", span="s2")
    orders.access(5, 2, "GET /b", 200, span="s2", parent="c1")
    shop.call(6, 4, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(7, 7, "GET /a", 200, span="s1")
    assert journey(story.documents).gaps == ()


def test_no_pause_is_claimed_around_an_event_whose_time_is_not_known(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "first", span="s1")
    shop.log(500, "some time", span="s1", **{"@timestamp": None})
    shop.log(900, "last", span="s1")
    shop.access(901, 901, "GET /", 200, span="s1")
    assert journey(story.documents).gaps == ()


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
PATHS = st.sampled_from(
    """
    @timestamp message labels event event.id event.kind event.dataset event.sequence event.duration event.outcome
    process process.entity_id service service.node service.node.name host.name span span.id log log.level url
    clusterlog clusterlog.parent clusterlog.parent.span_id clusterlog.call.status_code
    http http.request http.request.id http.response.status_code
    """.split()
)


@given(data=st.data())
@settings(max_examples=100)
def test_a_request_is_put_together_from_whatever_strangers_wrote(any_request: Any, data: st.DataObject) -> None:
    story, _ = data.draw(any_request)
    documents = copy.deepcopy(story.documents)
    for _ in range(data.draw(st.integers(1, 6))):
        at: Any = data.draw(st.sampled_from(documents))
        *path, last = data.draw(PATHS).split(".")
        for name in path:
            at = at[name] if isinstance(at.get(name), dict) else at.setdefault(f"other-{name}", {})
        at[last] = data.draw(JUNK)
    found = journey(documents)
    assert found == journey(data.draw(st.permutations(documents)))
    assert len(found.entries) <= len(documents)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.999999999Z", "yesterday", None, 7])
def test_absurd_times_are_taken_as_they_are(story: Any, time: object) -> None:
    shop = story.process("shop-1")
    shop.log(1, "odd", **{"@timestamp": time})
    shop.log(2, "after")
    found = journey(story.documents)
    assert told(found) == ["odd", "after"]
    assert isinstance(found.started, str)


def test_of_lines_without_spans_no_answer_is_awaited():
    """Files of programs that log no answers were ingested: what they tell does not go on for ever."""
    document = {
        "@timestamp": "2026-11-03T12:00:00.000000000Z",
        "event": {"id": "a-1", "kind": "event", "dataset": "clusterlog.app", "sequence": 1},
        "process": {"entity_id": "a"},
        "log": {"level": "error", "logger": "web"},
        "service": {"name": "web", "node": {"name": "web-1"}},
        "message": "charge failed",
        "http": {"request": {"id": "r"}},
    }
    lone = journey([document])
    assert lone.outcome == "unknown"
    said = [sentence.text for sentence in verdict(lone)]
    assert not any("till running" in text for text in said)
    assert any(text.endswith("what was answered is not logged") for text in said)
    assert journey([{**document, "span": {"id": "b" * 16}}]).outcome == "running"
