from __future__ import annotations

from typing import Any

from clusterlog.search.story.journey import journey
from clusterlog.search.story.verdict import verdict


def test_further_requests_of_one_id_are_told_with_their_begin_and_are_no_background_work(story: Any) -> None:
    one, two = story.process("shop-1", host="h"), story.process("shop-2", host="h")
    one.access(10, 10, "GET /first", 200, span="s1", trace={"id": "1" * 32})
    two.log(61_000, "oh no", level="error", span="s2", trace={"id": "2" * 32})
    two.access(61_200, 300, "GET /second", 500, span="s2", trace={"id": "2" * 32})
    assert [sentence.text for sentence in verdict(journey(story.documents))] == [
        "Succeeded in 10 ms, all of it on shop-1",
        (
            "2 requests carry this id: GET /first on shop-1 at +0.000 s, which is told here, GET /second on shop-2 "
            "at +60.900 s"
        ),
    ]


def test_a_visit_whose_caller_left_no_event_is_told_and_is_no_further_request(story: Any, said: Any) -> None:
    shop, orders = story.process("shop-1", host="h"), story.process("orders-1", host="h")
    orders.access(8, 4, "GET /b", 200, span="s2", parent="gone")
    shop.access(10, 10, "GET /", 200, span="s1")
    assert journey(story.documents).others == ()
    assert said(story, "data") == [
        "not known who called GET /b on orders-1 at +0.004 s: no event here has the span that it names"
    ]
    story.documents[0]["clusterlog"].pop("parent")
    assert said(story, "data") == [
        "not known who called GET /b on orders-1 at +0.004 s: it names no span of its caller"
    ]


def test_a_private_callee_that_left_no_events_is_said(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.call(3, 2, "GET http://orders:8002/a", 200, span="c1", parent="s1")
    shop.call(5, 1, "GET http://orders:8002/b", 200, span="c2", parent="s1")
    shop.call(6, 1, "GET http://10.0.0.7/c", None, span="c3", parent="s1")
    shop.call(7, 1, "GET https://api.example.com/", 200, span="c4", parent="s1")
    shop.access(8, 8, "GET /", 200, span="s1")
    assert said(story, "data")[1:] == [
        "orders:8002 answered 2 calls, the first from shop-1 at +0.003 s, and left no events",
        "10.0.0.7 did not answer GET /c from shop-1 at +0.006 s, and left no events",
    ]


def test_a_callee_that_has_told_nothing_but_its_end_is_not_called_silent(story: Any, said: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.log(2, "killed soon", span="s2")
    shop.call(3, 2, "GET http://orders/a", None, span="c1", parent="s1")
    shop.access(4, 4, "GET /", 200, span="s1")
    assert said(story, "data")[1:] == ["orders did not answer GET /a from shop-1 at +0.003 s, and left no access event"]


def test_a_clock_that_is_wrong_and_shown_as_recorded_is_said(story: Any, checkout: Any, said: Any) -> None:
    late = checkout(skews=(0, 5000, 0))
    assert said(late, "data") == []
    assert [each.text for each in verdict(journey(late.documents, raw_times=True)) if each.kind == "data"] == [
        "clock of orders-2 is ahead by 4.80 s, give or take 207 ms; shown as recorded"
    ]
    shop, orders = story.process("shop-1"), story.process("orders-1", skew_ms=-5000)
    shop.call(10, 8, "GET http://orders/b", None, span="c1", parent="s1", error={"type": "ReadTimeout"})
    shop.access(11, 11, "GET /a", 502, span="s1")
    orders.access(30, 27, "GET /b", 200, span="s2", parent="c1")
    assert said(story, "data") == ["clock of orders-1 inconsistent: behind by at least 5.00 s, shown as recorded"]


def test_a_clock_that_was_set_during_the_request_is_said(story: Any, said: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    for number, skew in enumerate((0, -60_000)):
        at, orders.skew_ms = number * 10, skew
        orders.access(at + 4, 2, "GET /b", 200, span=f"s2{number}", parent=f"c{number}")
        shop.call(at + 5, 4, "GET http://orders/b", 200, span=f"c{number}", parent="s1")
    shop.access(30, 30, "GET /a", 200, span="s1")
    assert said(story, "data") == [
        "clock of orders-1 was set by 1 min 00 s during the request; times shown as recorded"
    ]


def test_events_that_name_each_other_as_their_cause_are_said(story: Any, said: Any) -> None:
    a, b = story.process("a-1"), story.process("b-1")
    a.call(4, 2.5, "GET http://b/", 200, span="c1", parent="s1")
    b.call(5, 2.5, "GET http://a/", 200, span="c2", parent="s2")
    a.access(6, 6, "GET /a", 200, span="s1", parent="c2")
    b.access(7, 6, "GET /b", 200, span="s2", parent="c1")
    assert said(story, "data")[-1] == (
        "4 events on a-1 and b-1 name each other as their cause: their order is by time alone"
    )


def test_events_without_a_time_are_said(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "a", **{"@timestamp": "noon"})
    shop.log(2, "b")
    assert said(story, "data") == ["1 event without a time, placed by sequence"]


def test_events_with_times_that_cannot_be_right_are_said_and_placed_by_sequence(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "a", span="s1")
    shop.log(2, "b", span="s1", **{"@timestamp": "9999-12-31T23:59:59Z"})
    shop.log(3, "c", span="s1", **{"@timestamp": "1970-01-01T00:00:00Z"})
    shop.access(4, 4, "GET /", 200, span="s1")
    found = journey(story.documents)
    assert [entry.event.document["message"] for entry in found.entries] == ["a", "b", "c", "GET /"]
    assert found.duration_ns == 4_000_000
    assert said(story, "data") == [
        "2 events with a time that cannot be right, the first 9999-12-31T23:59:59Z: placed by sequence"
    ]


def test_a_clock_that_is_absurd_as_a_whole_is_measured_like_any_other(checkout: Any) -> None:
    found = journey(checkout(skews=(0, -56 * 365 * 86_400_000, 0)).documents)
    assert [sentence.kind for sentence in verdict(found)] == ["failure", "time"]
    assert found.lanes[1].clock.corrected


def test_spans_that_are_each_others_parents_are_said(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.step(2, 1, "one", span="a", parent="b")
    shop.step(3, 1, "two", span="b", parent="a")
    shop.access(4, 4, "GET /", 200, span="s1")
    assert said(story, "data") == ["2 events on shop-1 cannot be nested: their spans are parents of each other"]


def test_a_call_within_the_clients_span_of_another_tracer_is_answered_by_whom_that_led_to(
    story: Any, said: Any
) -> None:
    shop, orders = story.process("shop-1", host="h"), story.process("orders-1", host="h")
    orders.access(5, 2, "GET /b", 200, span="s2", parent="x1")
    shop.call(6, 4, "GET http://orders:8002/b", 200, span="c1", parent="x1")
    shop.span(7, 6, "GET", "client", span="x1", parent="s1")
    shop.access(8, 8, "GET /", 200, span="s1")
    assert said(story, "data") == []
