from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.search.story.journey import journey
from clusterlog.search.story.verdict import Sentence, verdict


def said(story: Any, kind: str) -> list[str]:
    return [sentence.text for sentence in verdict(journey(story.documents)) if sentence.kind == kind]


def sentences(story: Any, kind: str) -> list[Sentence]:
    return [sentence for sentence in verdict(journey(story.documents)) if sentence.kind == kind]


def id_of(story: Any, message: str) -> str:
    return next(d["event"]["id"] for d in story.documents if d["message"] == message)


def test_a_failure_is_its_first_error_in_causal_order_and_the_answer_it_led_to(checkout: Any) -> None:
    story = checkout()
    (failure,) = sentences(story, "failure")
    assert failure.text == (
        "POST https://bank.example/charge from payments-1 failed: ConnectTimeout: bank.example:443 at +1.421 s "
        "(first error); 502 from shop-1 at +1.836 s"
    )
    assert failure.events == (id_of(story, "POST https://bank.example/charge"), id_of(story, "POST /checkout"))


def test_the_first_error_is_the_causally_first_even_where_clocks_say_otherwise(checkout: Any) -> None:
    for raw_times, at in ((False, "+1.421 s (first error)"), (True, "+61.421 s of its own clock (first error)")):
        found = journey(checkout(skews=(0, 0, 60_000)).documents, raw_times=raw_times)
        (text,) = (sentence.text for sentence in verdict(found) if sentence.kind == "failure")
        assert text == (
            "POST https://bank.example/charge from payments-1 failed: ConnectTimeout: bank.example:443 at "
            f"{at}; 502 from shop-1 at +1.836 s"
        )


def test_a_logged_error_is_named_by_its_logger_node_type_and_message(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "careful", level="warning", span="s1")
    error = {"type": "KeyError", "message": "'sku'"}
    shop.log(2, "no such item", level="error", span="s1", logger="shop.cart", error=error)
    shop.log(3, "much louder", level="critical", span="s1")
    shop.access(4, 4, "GET /cart", 500, span="s1")
    assert said(story, "failure") == [
        "shop.cart on shop-1: KeyError: 'sku' at +0.002 s (first error); 500 from shop-1 at +0.004 s"
    ]


def test_an_error_without_an_exception_is_named_by_its_message(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(2, "out of\nstock", level="error", span="s1")
    shop.access(4, 4, "GET /cart", 500, span="s1")
    assert said(story, "failure") == [
        "shop.api on shop-1: out of stock at +0.002 s (first error); 500 from shop-1 at +0.004 s"
    ]


def test_an_answer_that_no_error_explains_is_said_itself(story: Any) -> None:
    story.process("shop-1").access(4, 4, "GET /cart", 503, span="s1")
    assert said(story, "failure") == ["GET /cart on shop-1 got 503 at +0.004 s"]


def test_a_client_that_went_away_is_said(story: Any) -> None:
    shop = story.process("shop-1")
    shop.access(4, 4, "GET /cart", None, span="s1", event={"reason": "client disconnected"})
    assert said(story, "failure") == ["GET /cart on shop-1 got no response (client disconnected) at +0.004 s"]


def test_errors_of_a_request_that_went_well_or_after_its_answer_are_no_failure(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "handled", level="error", span="s1")
    shop.access(4, 4, "GET /", 200, span="s1")
    assert said(story, "failure") == []
    story.documents[-1]["http"]["response"]["status_code"] = 500
    shop.log(9, "later", level="error", span="s1")
    del story.documents[0]
    assert said(story, "failure") == ["GET / on shop-1 got 500 at +0.004 s"]


def test_an_error_after_the_answer_makes_nobody_doubt_which_was_the_first(story: Any) -> None:
    shop, worker = story.process("shop-1"), story.process("worker-1")
    shop.log(2, "here", level="error", span="s1")
    shop.access(4, 4, "GET /", 500, span="s1")
    worker.log(9, "there", level="error", span="w1")
    assert "(first error);" in said(story, "failure")[0]


def test_an_error_of_a_request_that_still_runs_is_said(story: Any) -> None:
    story.process("shop-1").log(1, "ouch", level="error", span="s1")
    assert said(story, "failure") == ["shop.api on shop-1: ouch at +0.000 s (first error); still running"]


def test_a_first_error_that_is_first_only_by_clocks_that_may_differ_is_said_to_be_so(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.log(2, "there", level="error", span="s2")
    shop.log(3, "here", level="error", span="s1")
    shop.access(4, 4, "GET /", 500, span="s1")
    assert said(story, "failure") == [
        "orders.api on orders-1: there at +0.002 s (first error by recorded times); 500 from shop-1 at +0.004 s"
    ]
    for document in story.documents:
        document["host"]["name"] = "one"
    assert "(first error);" in said(story, "failure")[0]


def test_the_time_went_where_a_call_waited_without_what_its_callee_needed_itself(checkout: Any) -> None:
    story = checkout()
    (time,) = sentences(story, "time")
    assert time.text == (
        "1.40 s of 1.84 s (76 %) waiting on payments-1 for POST https://bank.example/charge, without an answer"
    )
    assert time.events == (id_of(story, "POST https://bank.example/charge"),)


def test_time_between_a_caller_and_its_callee_is_said_to_have_gone_on_the_way(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.access(90, 10, "GET /b", 200, span="s2", parent="c1")
    shop.call(99, 98, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(100, 100, "GET /", 200, span="s1")
    assert said(story, "time") == ["88 ms of 100 ms (88 %) on the way between shop-1 and orders-1, GET http://orders/b"]


def test_time_without_any_call_went_where_the_longest_pause_was(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(10, "compute prices", span="s1", logger="shop.price")
    shop.step(895, 880, "prices", span="p", parent="s1")
    shop.access(1000, 1000, "GET /", 200, span="s1")
    assert said(story, "time") == [
        '885 ms of 1.00 s (88 %) without events after shop.price on shop-1, "compute prices"; open: prices on shop-1'
    ]


@pytest.mark.parametrize(("took", "expected"), [(300, 1), (299, 0)])
def test_less_than_three_tenths_of_the_time_is_not_worth_a_sentence(story: Any, took: int, expected: int) -> None:
    shop = story.process("shop-1")
    for at in range(0, 1000, 50):
        shop.log(at, "tick", span="s1")
    shop.call(991, took, "GET https://far.example/", 200, span="c1", parent="s1")
    shop.access(1000, 1000, "GET /", 200, span="s1")
    assert len(said(story, "time")) == expected


def test_a_private_callee_that_left_no_events_is_said(story: Any) -> None:
    shop = story.process("shop-1")
    shop.call(3, 2, "GET http://orders:8002/a", 200, span="c1", parent="s1")
    shop.call(5, 1, "GET http://orders:8002/b", 200, span="c2", parent="s1")
    shop.call(6, 1, "GET http://10.0.0.7/c", None, span="c3", parent="s1")
    shop.call(7, 1, "GET https://api.example.com/", 200, span="c4", parent="s1")
    shop.access(8, 8, "GET /", 200, span="s1")
    assert said(story, "data") == [
        "no events from orders:8002: 2 calls, the first from shop-1 at +0.003 s",
        "no events from 10.0.0.7: GET http://10.0.0.7/c from shop-1 at +0.006 s",
    ]


def test_a_callee_that_has_told_nothing_but_its_end_is_not_called_silent(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.log(2, "killed soon", span="s2")
    shop.call(3, 2, "GET http://orders/a", None, span="c1", parent="s1")
    shop.access(4, 4, "GET /", 200, span="s1")
    assert said(story, "data") == [
        "no access event from orders: GET http://orders/a from shop-1 at +0.003 s",
    ]


def test_a_clock_that_is_wrong_and_shown_as_recorded_is_said(story: Any, checkout: Any) -> None:
    late = checkout(skews=(0, 5000, 0))
    assert said(late, "data") == []
    assert [each.text for each in verdict(journey(late.documents, raw_times=True)) if each.kind == "data"] == [
        "clock of orders-2 inconsistent: ahead by 4.80 s ±207 ms, shown as recorded"
    ]
    shop, orders = story.process("shop-1"), story.process("orders-1", skew_ms=-5000)
    shop.call(10, 8, "GET http://orders/b", None, span="c1", parent="s1", error={"type": "ReadTimeout"})
    shop.access(11, 11, "GET /a", 502, span="s1")
    orders.access(30, 27, "GET /b", 200, span="s2", parent="c1")
    assert said(story, "data") == ["clock of orders-1 inconsistent: behind by at least 5.00 s, shown as recorded"]


def test_a_clock_that_was_set_during_the_request_is_said(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    for number, skew in enumerate((0, -60_000)):
        at, orders.skew_ms = number * 10, skew
        orders.access(at + 4, 2, "GET /b", 200, span=f"s2{number}", parent=f"c{number}")
        shop.call(at + 5, 4, "GET http://orders/b", 200, span=f"c{number}", parent="s1")
    shop.access(30, 30, "GET /a", 200, span="s1")
    assert said(story, "data") == [
        "clock of orders-1 was set during the request: its calls contradict each other by 1 min 00 s"
    ]


def test_events_that_name_each_other_as_their_cause_are_said(story: Any) -> None:
    a, b = story.process("a-1"), story.process("b-1")
    a.call(4, 2.5, "GET http://b/", 200, span="c1", parent="s1")
    b.call(5, 2.5, "GET http://a/", 200, span="c2", parent="s2")
    a.access(6, 6, "GET /a", 200, span="s1", parent="c2")
    b.access(7, 6, "GET /b", 200, span="s2", parent="c1")
    assert said(story, "data")[-1] == ("4 events name each other as their cause: their order is by recorded time alone")


def test_events_without_a_time_are_said(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "a", **{"@timestamp": "noon"})
    shop.log(2, "b")
    assert said(story, "data") == ["1 event without a time, placed by sequence"]


def test_a_request_that_went_well_and_evenly_needs_no_words(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "a", span="s1")
    shop.access(20, 20, "GET /", 200, span="s1")
    assert verdict(journey(story.documents)) == ()


@given(data=st.data())
@settings(max_examples=100)
def test_every_sentence_is_one_line_and_stands_on_events_of_the_request(any_request: Any, data: st.DataObject) -> None:
    story, _ = data.draw(any_request)
    hostile = st.text(max_size=400)
    for document in story.documents:
        if data.draw(st.integers(0, 3)) == 0:
            document["log"]["level"] = "error"
            document["message"] = data.draw(hostile)
            document["error"] = {"type": data.draw(hostile), "message": data.draw(hostile)}
            document["service"]["node"]["name"] = data.draw(hostile)
    story.documents[-1].setdefault("http", {}).setdefault("response", {})["status_code"] = 500
    known = {document["event"]["id"] for document in story.documents}
    for sentence in verdict(journey(story.documents)):
        assert sentence.text.splitlines() == [sentence.text]
        assert sentence.events
        assert known.issuperset(sentence.events)
