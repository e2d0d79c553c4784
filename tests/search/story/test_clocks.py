from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.search.story.clocks import ERROR_NS, Clock, Clocks
from clusterlog.search.story.event import Event
from clusterlog.search.story.journey import Journey, journey

MS = 1_000_000
CASES = settings(max_examples=80)


def clocks(found: Journey) -> dict[str, Clock]:
    return {lane.node: lane.clock for lane in found.lanes}


def shown(found: Journey) -> dict[str, float]:
    """When each message was logged, in ms after the request's begin, as it is shown."""
    offsets = ((entry.event.document["message"], found.offset_ns(entry.event)) for entry in found.entries)
    return {message: round(offset / MS, 1) for message, offset in offsets if offset is not None}


def call_and_visit(story: Any, *, skew_ms: float, **process: Any) -> tuple[Any, Any]:
    """A call from 2 to 12 ms whose visit lasts from 3 to 9."""
    shop, orders = story.process("shop-1", **process), story.process("orders-1", skew_ms=skew_ms, **process)
    shop.log(1, "begin", span="s1")
    orders.log(5, "within", span="s2")
    orders.access(9, 6, "GET /b", 200, span="s2", parent="c1")
    shop.call(12, 10, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(20, 20, "GET /a", 200, span="s1")
    return shop, orders


@pytest.mark.parametrize("skew_ms", [38, -38, 5000, -5000, 56 * 365 * 86_400_000])
def test_a_call_and_the_visit_it_caused_measure_the_callees_clock(story: Any, skew_ms: float) -> None:
    """The visit began 1 ms after the call did, and was over 3 ms before it ended: the offset is within 4 ms."""
    call_and_visit(story, skew_ms=skew_ms)
    found = journey(story.documents)
    assert clocks(found)["shop-1"] == Clock()
    assert clocks(found)["orders-1"] == Clock((skew_ms - 1) * MS, 2 * MS + ERROR_NS, None, True)
    assert shown(found) == {"begin": 1, "within": 6, "GET /b": 10, "GET http://orders/b": 12, "GET /a": 20}


def test_an_offset_that_may_be_its_own_error_is_measured_but_not_corrected(story: Any) -> None:
    call_and_visit(story, skew_ms=7)
    found = journey(story.documents)
    assert clocks(found)["orders-1"] == Clock(6 * MS, 7 * MS, None, False)
    assert shown(found)["GET /b"] == 16
    assert not clocks(found)["orders-1"].wrong


def test_raw_times_are_those_that_were_recorded_and_say_what_was_measured_all_the_same(story: Any) -> None:
    call_and_visit(story, skew_ms=-5000)
    found = journey(story.documents, raw_times=True)
    assert clocks(found)["orders-1"] == Clock(-5001 * MS, 7 * MS, None, False)
    assert clocks(found)["orders-1"].wrong
    assert shown(found)["GET /b"] == 9 - 5000


def test_processes_of_one_host_share_a_clock_and_its_correction(story: Any) -> None:
    shop = story.process("shop-1")
    orders, worker = (story.process(node, host="far", skew_ms=5000) for node in ("orders-1", "worker-1"))
    worker.log(4, "beside")
    orders.access(9, 6, "GET /b", 200, span="s2", parent="c1")
    shop.call(12, 10, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(20, 20, "GET /a", 200, span="s1")
    found = journey(story.documents)
    assert clocks(found)["worker-1"] == clocks(found)["orders-1"]
    assert shown(found)["beside"] == 5


def test_one_host_is_not_measured_against_itself(story: Any) -> None:
    call_and_visit(story, skew_ms=0, host="one")
    assert set(clocks(journey(story.documents)).values()) == {Clock()}


def test_more_calls_measure_better(story: Any) -> None:
    """The second call takes long on its way there, the first on its way back: each is good for one side."""
    shop, orders = story.process("shop-1"), story.process("orders-1", skew_ms=5000)
    orders.access(12, 8, "GET /1", 200, span="s2", parent="c1")
    shop.call(102, 99, "GET http://orders/1", 200, span="c1", parent="s1")
    orders.access(300, 8, "GET /2", 200, span="s3", parent="c2")
    shop.call(301, 100, "GET http://orders/2", 200, span="c2", parent="s1")
    shop.access(310, 310, "GET /a", 200, span="s1")
    assert clocks(journey(story.documents))["orders-1"] == Clock(5000 * MS, 1 * MS + ERROR_NS, None, True)


def test_measurements_add_up_along_the_calls(checkout: Any) -> None:
    found = journey(checkout(skews=(0, 5000, -10_000)).documents)
    orders, payments = clocks(found)["orders-2"], clocks(found)["payments-1"]
    assert orders.corrected
    assert orders.offset_ns is not None
    assert payments.offset_ns is not None
    assert orders.error_ns is not None
    assert payments.error_ns is not None
    assert payments.error_ns == orders.error_ns + 1 * MS
    assert abs(payments.offset_ns + 10_000 * MS) <= payments.error_ns


def test_what_calls_the_other_way_say_is_used_as_well(story: Any) -> None:
    """Orders, which was never called itself, calls back."""
    shop, orders = story.process("shop-1"), story.process("orders-1", skew_ms=5000)
    shop.access(50, 50, "GET /a", 200, span="s1")
    shop.access(12, 8, "GET /back", 200, span="s3", parent="c1")
    orders.call(14, 12, "GET http://shop/back", 200, span="c1", parent="s2")
    found = clocks(journey(story.documents))["orders-1"]
    assert found == Clock(5000 * MS, 2 * MS + ERROR_NS, None, True)


def test_a_call_without_an_answer_bounds_from_one_side_alone(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1", skew_ms=-5000)
    shop.call(10, 8, "GET http://orders/b", None, span="c1", parent="s1", error={"type": "ReadTimeout"})
    shop.access(11, 11, "GET /a", 502, span="s1")
    orders.access(30, 27, "GET /b", 200, span="s2", parent="c1")
    assert clocks(journey(story.documents))["orders-1"] == Clock(at_least_ns=-4999 * MS)


def test_the_end_of_an_answer_that_is_long_measures_nothing(story: Any) -> None:
    """The caller has the headers at 105; until 150 the callee sends the body. Its begin was 50 ms on its way."""
    shop, orders = story.process("shop-1"), story.process("orders-1")
    size = {"http": {"response": {"status_code": 200, "body": {"bytes": 2_000_000}}}}
    orders.access(150, 100, "GET /b", 200, span="s2", parent="c1", **size)
    shop.call(105, 105, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(200, 200, "GET /a", 200, span="s1")
    found = clocks(journey(story.documents))["orders-1"]
    assert not found.corrected
    assert found.offset_ns is not None
    assert found.error_ns is not None
    assert abs(found.offset_ns) <= found.error_ns


def test_a_late_end_gives_way_to_what_begins_say(story: Any) -> None:
    """By its durations the second visit might have been over with its call; by the first call it cannot have been."""
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.access(9, 6, "GET /1", 200, span="s2", parent="c1")
    shop.call(12, 10, "GET http://orders/1", 200, span="c1", parent="s1")
    orders.access(400, 200, "GET /2", 200, span="s3", parent="c2")
    shop.call(300, 200, "GET http://orders/2", 200, span="c2", parent="s1")
    shop.access(500, 500, "GET /a", 200, span="s1")
    found = journey(story.documents)
    assert clocks(found)["orders-1"] == Clock(-1 * MS, 7 * MS)
    assert found.clocks.contradictions == ()


def test_calls_that_contradict_each_other_are_said_and_nothing_is_corrected(story: Any) -> None:
    """Between the two calls the clock of orders was set back by a minute."""
    shop, _ = call_and_visit(story, skew_ms=0)
    orders = story.process("orders-1", skew_ms=-60_000)
    orders.access(17, 2, "GET /c", 200, span="s3", parent="c2")
    shop.call(18, 4, "GET http://orders/c", 200, span="c2", parent="s1")
    found = journey(story.documents)
    assert clocks(found)["orders-1"] == Clock(stepped_ns=60_000 * MS - (9 + 1) * MS)
    assert clocks(found)["orders-1"].wrong
    (contradiction,) = found.clocks.contradictions
    assert contradiction.clocks == ("host-of-orders-1", "host-of-shop-1")
    assert {call.span for call in contradiction.calls} == {"c1", "c2"}
    assert [lane.clock.stepped_ns for lane in found.lanes if lane.node == "orders-1"] == [59_990 * MS] * 2
    assert shown(found)["GET /c"] == 17 - 60_000
    assert found.gaps == ()


def test_a_callee_of_a_clock_that_is_hardly_known_is_shown_against_that_one_as_it_is_shown(story: Any) -> None:
    """Orders is known within five seconds and stays as recorded; payments is known against orders within 2 ms."""
    shop, orders, payments = (story.process(f"{name}-1") for name in ("shop", "orders", "payments"))
    payments.skew_ms = 20_000
    payments.access(4005, 2, "GET /c", 200, span="s3", parent="c2")
    orders.call(4006, 4, "GET http://payments/c", 200, span="c2", parent="s2")
    orders.access(4008, 8, "GET /b", 200, span="s2", parent="c1")
    shop.call(5000, 4999, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(5001, 5001, "GET /a", 200, span="s1")
    found = journey(story.documents)
    assert not clocks(found)["orders-1"].corrected
    assert clocks(found)["payments-1"].offset_ns == 20_000 * MS
    assert (clocks(found)["payments-1"].error_ns or 0) > 3000 * MS
    assert shown(found)["GET /c"] == 4005


def test_measured_clocks_tell_the_order_of_what_is_farther_apart_than_their_error(story: Any) -> None:
    shop, orders = call_and_visit(story, skew_ms=5000)
    orders.log(40, "much later", span="s2")
    shop.log(45, "a little later than that", span="s1")
    certain = {entry.event.document["message"]: entry.certain for entry in journey(story.documents).entries}
    assert certain == {
        "begin": True, "within": True, "GET /b": True, "GET http://orders/b": True, "GET /a": True,
        "much later": True, "a little later than that": False,
    }  # fmt: skip


def test_concurrent_events_are_ordered_by_corrected_times(story: Any) -> None:
    shop, orders = call_and_visit(story, skew_ms=5000)
    orders.log(40, "later", span="s2")
    shop.log(80, "last", span="s1")
    raw, corrected = journey(story.documents, raw_times=True), journey(story.documents)
    assert [entry.event.document["message"] for entry in raw.entries][-2:] == ["last", "later"]
    assert [entry.event.document["message"] for entry in corrected.entries][-2:] == ["later", "last"]


def truth(story: Any, found: Journey) -> tuple[dict[str, float], float]:
    skews = {process.instance: process.skew_ms for process in story.processes}
    return skews, skews[(found.root or found.entries[0].event).instance]


@given(data=st.data())
@CASES
def test_the_true_offset_is_always_within_the_error(any_request: Any, data: st.DataObject) -> None:
    story, _ = data.draw(any_request)
    found = journey(story.documents)
    skews, reference = truth(story, found)
    for lane in found.lanes:
        assert lane.clock.stepped_ns is None
        offset, error, true = lane.clock.offset_ns, lane.clock.error_ns, (skews[lane.instance] - reference) * MS
        if offset is not None and error is not None:
            assert abs(offset - true) <= error
            assert lane.clock.corrected == (abs(offset) > error)


@given(data=st.data(), raw_times=st.booleans())
@CASES
def test_no_right_clock_is_ever_said_to_be_wrong(any_request: Any, data: st.DataObject, raw_times: bool) -> None:
    story, _ = data.draw(any_request)
    found = journey(story.documents, raw_times=raw_times)
    skews, reference = truth(story, found)
    for lane in found.lanes:
        bound, true = lane.clock.at_least_ns, (skews[lane.instance] - reference) * MS
        assert bound is None or (0 < bound <= true + 1000 if bound > 0 else true - 1000 <= bound < 0)
        assert not lane.clock.wrong or true


def is_kept(known: Clocks, event: Event) -> bool:
    """Whether an event's clock is not corrected though it is known to be wrong, by less than the error."""
    low, high = known.bounds[event.clock]
    return not known.clock(event).corrected and not low + ERROR_NS <= 2000 <= high - ERROR_NS + 4000


@given(data=st.data())
@settings(max_examples=200)
def test_no_correction_lets_a_callee_begin_before_its_caller_or_answer_after_it(
    any_request: Any, data: st.DataObject
) -> None:
    story, _ = data.draw(any_request)
    found = journey(story.documents)
    known = found.clocks
    for hop in found.hops:
        call, access = hop.caller, hop.visit.access
        assert access is not None
        if not known.clock(call).corrected and not known.clock(access).corrected:
            continue
        near = 2000  # times in a story are rounded to microseconds
        for event in (call, access):
            if event.clock in known.bounds and known.bounds[event.clock] != (0, 0) and is_kept(known, event):
                near = ERROR_NS
        assert (known.started_ns(access) or 0) >= (known.started_ns(call) or 0) - near
        if hop.returned:
            assert (known.time_ns(access) or 0) <= (known.time_ns(call) or 0) + near


@given(data=st.data())
@CASES
def test_times_that_contradict_each_other_in_any_way_are_survived(any_request: Any, data: st.DataObject) -> None:
    story, _ = data.draw(any_request)
    for document in story.documents:
        jump = data.draw(st.sampled_from([0, 0, 0, 7, 1000, 10**9]))
        document["event"]["duration"] = document["event"].get("duration", 0) + jump * MS
    found = journey(story.documents)
    assert found == journey(data.draw(st.permutations(story.documents)))
    for lane in found.lanes:
        assert not (lane.clock.corrected and lane.clock.stepped_ns)


def test_a_process_whose_times_go_back_within_its_sequence_has_a_clock_that_was_set(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "begin", span="s1")
    shop.skew_ms = -60_000
    shop.log(10, "set back", span="s1")
    shop.access(20, 20, "GET /", 200, span="s1")
    found = journey(story.documents)
    assert clocks(found)["shop-1"] == Clock(stepped_ns=59_991 * MS)
    assert found.gaps == ()


@pytest.mark.parametrize("back_ms", [1, 900])
def test_times_that_go_back_by_little_are_of_threads_that_wrote_side_by_side(story: Any, back_ms: int) -> None:
    shop = story.process("shop-1")
    shop.log(1000, "one", span="s1")
    shop.log(1000 - back_ms, "two", span="s1")
    assert clocks(journey(story.documents))["shop-1"] == Clock()


def test_what_may_be_told_long_after_its_time_proves_nothing_about_a_clock(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(5000, "one", span="s1")
    shop.span(1000, 900, "imported", "internal", span="p1", parent="s1")
    shop.log(5100, "two", span="s1")
    shop.log(2000, "of a file", span="s1", clusterlog={"ingest": {"format": "ecs"}})
    assert clocks(journey(story.documents))["shop-1"] == Clock()
