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
        "POST https://bank.example/charge from payments-1 failed after 1.40 s: ConnectTimeout: bank.example:443 "
        "at +1.421 s (first error); then 504 from payments-1, 502 from orders-2, 502 from shop-1 at +1.836 s"
    )
    assert failure.events == tuple(
        id_of(story, told)
        for told in ("POST https://bank.example/charge", "POST /charge", "POST /orders", "POST /checkout")
    )


def test_the_first_error_is_the_causally_first_even_where_clocks_say_otherwise(checkout: Any) -> None:
    for raw_times, at in ((False, "+1.421 s (first error)"), (True, "+61.421 s of its own clock (first error)")):
        found = journey(checkout(skews=(0, 0, 60_000)).documents, raw_times=raw_times)
        (text,) = (sentence.text for sentence in verdict(found) if sentence.kind == "failure")
        assert text == (
            "POST https://bank.example/charge from payments-1 failed after 1.40 s: ConnectTimeout: bank.example:443 "
            f"at {at}; then 504 from payments-1, 502 from orders-2, 502 from shop-1 at +1.836 s"
        )


def test_a_logged_error_is_named_by_its_logger_node_type_and_message(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "careful", level="warning", span="s1")
    error = {"type": "KeyError", "message": "'sku'"}
    shop.log(2, "no such item", level="error", span="s1", logger="shop.cart", error=error)
    shop.log(3, "much louder", level="critical", span="s1")
    shop.access(4, 4, "GET /cart", 500, span="s1")
    assert said(story, "failure") == [
        "shop.cart on shop-1: KeyError: 'sku' at +0.002 s (first error); then 500 from shop-1 at +0.004 s"
    ]


def test_an_error_without_an_exception_is_named_by_its_message(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(2, "out of\nstock", level="error", span="s1")
    shop.access(4, 4, "GET /cart", 500, span="s1")
    assert said(story, "failure") == [
        "shop.api on shop-1: out of stock at +0.002 s (first error); then 500 from shop-1 at +0.004 s"
    ]


def test_an_answer_that_no_error_explains_is_said_itself(story: Any) -> None:
    story.process("shop-1").access(4, 4, "GET /cart", 503, span="s1")
    assert said(story, "failure") == ["GET /cart on shop-1 answered 503 at +0.004 s"]


def test_a_client_that_went_away_is_said(story: Any) -> None:
    shop = story.process("shop-1")
    shop.access(4, 4, "GET /cart", None, span="s1", event={"reason": "client disconnected"})
    assert said(story, "failure") == ["GET /cart on shop-1 gave no response (client disconnected) at +0.004 s"]


def test_errors_of_a_request_that_went_well_or_after_its_answer_are_no_failure(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "handled", level="error", span="s1")
    shop.access(4, 4, "GET /", 200, span="s1")
    assert said(story, "failure") == []
    story.documents[-1]["http"]["response"]["status_code"] = 500
    shop.log(9, "later", level="error", span="s1")
    del story.documents[0]
    assert said(story, "failure") == ["GET / on shop-1 answered 500 at +0.004 s"]


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
        "Failed after 1.84 s: 1.40 s (76 %) waiting on payments-1 for POST https://bank.example/charge, "
        "without an answer"
    )
    assert time.events == (id_of(story, "POST https://bank.example/charge"),)


def test_time_between_a_caller_and_its_callee_is_said_to_have_gone_on_the_way(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.access(90, 10, "GET /b", 200, span="s2", parent="c1")
    shop.call(99, 98, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(100, 100, "GET /", 200, span="s1")
    assert said(story, "time") == [
        "Succeeded in 100 ms: 88 ms (88 %) on the way between shop-1 and orders-1, GET http://orders/b"
    ]


def test_time_in_a_step_is_said_with_the_pause_that_it_was_and_the_line_to_find_it_by(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(10, "compute prices", span="s1", logger="shop.price")
    shop.step(895, 880, "prices", span="p", parent="s1")
    shop.access(1000, 1000, "GET /", 200, span="s1")
    assert said(story, "time") == [
        'Succeeded in 1.00 s: 880 ms (88 %) in "prices" on shop-1, all of it without events after "compute prices"'
    ]


def test_a_pause_that_a_line_ended_is_told_by_that_line(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(10, "compute prices", span="s1")
    shop.log(700, "prices computed", span="p")
    shop.step(895, 880, "prices", span="p", parent="s1")
    shop.access(1000, 1000, "GET /", 200, span="s1")
    assert said(story, "time") == [
        'Succeeded in 1.00 s: 880 ms (88 %) in "prices" on shop-1, 685 ms of it without events until "prices computed"'
    ]


def test_time_of_a_callee_is_its_own(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.access(95, 90, "GET /b", 200, span="s2", parent="c1")
    shop.call(99, 98, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(100, 100, "GET /", 200, span="s1")
    assert said(story, "time") == ["Succeeded in 100 ms: 90 ms (90 %) in GET /b on orders-1, all of it without events"]


def test_a_request_that_stayed_with_itself_took_all_its_time_there(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "a", span="s1")
    shop.access(20, 20, "GET /", 200, span="s1")
    assert [sentence.text for sentence in verdict(journey(story.documents))] == [
        "Succeeded in 20 ms, all of it on shop-1"
    ]


def test_two_shares_that_are_alike_are_both_told(story: Any) -> None:
    shop = story.process("shop-1")
    for number, (at, took) in enumerate(((450, 400), (800, 300), (900, 90))):
        shop.call(at, took, f"GET https://far-{number}.example/", 200, span=f"c{number}", parent="s1")
    shop.access(1000, 1000, "GET /", 200, span="s1")
    assert said(story, "time") == [
        (
            "Succeeded in 1.00 s: 400 ms (40 %) waiting on shop-1 for GET https://far-0.example/; "
            "300 ms (30 %) waiting on shop-1 for GET https://far-1.example/"
        )
    ]


def test_many_small_shares_are_said_to_be_many(story: Any) -> None:
    shop = story.process("shop-1")
    for number in range(8):
        at, took = 125 * (number + 1), 124 if number else 110
        shop.call(at, took, f"GET https://far-{number}.example/", 200, span=f"c{number}", parent="s1")
    shop.access(1000, 1000, "GET /", 200, span="s1")
    assert said(story, "time")[0].startswith(
        "Succeeded in 1.00 s, spread over 9 spans; the most: 124 ms (12 %) waiting"
    )


def test_of_calls_side_by_side_the_time_is_that_of_the_one_that_ended_last(story: Any) -> None:
    shop = story.process("shop-1")
    shop.call(700, 690, "GET https://a.example/", 200, span="c1", parent="s1")
    shop.call(900, 600, "GET https://b.example/", 200, span="c2", parent="s1")
    shop.access(1000, 1000, "GET /", 200, span="s1")
    assert said(story, "time")[0].startswith(
        "Succeeded in 1.00 s: 600 ms (60 %) waiting on shop-1 for GET https://b.example/; 400 ms (40 %) in GET /"
    )


def test_a_call_that_was_still_under_way_at_the_response_held_nobody_up(story: Any) -> None:
    shop = story.process("shop-1")
    shop.access(40, 40, "GET /", 200, span="s1")
    shop.call(900, 890, "GET https://slow.example/", 200, span="c1", parent="s1")
    assert said(story, "time")[0] == "Succeeded in 40 ms, all of it on shop-1"


@pytest.mark.parametrize("skews", [(0, 5000, -7000), (0, -60_000, 0)])
@pytest.mark.parametrize("raw_times", [False, True])
def test_clocks_that_are_wrong_do_not_change_where_the_time_went(
    checkout: Any, skews: tuple[int, int, int], raw_times: bool
) -> None:
    told = [each.text for each in verdict(journey(checkout().documents)) if each.kind == "time"]
    found = journey(checkout(skews=skews).documents, raw_times=raw_times)
    assert [each.text for each in verdict(found) if each.kind == "time"] == told


@pytest.mark.parametrize(
    ("status", "outcome", "expected"),
    [
        (200, "success", "Succeeded in 4 ms"),
        (404, "success", "Answered 404 in 4 ms"),
        (500, "failure", "Failed after 4 ms"),
    ],
)
def test_every_answer_has_its_time(story: Any, status: int, outcome: str, expected: str) -> None:
    story.process("shop-1").access(4, 4, "GET /", status, span="s1", event={"outcome": outcome})
    assert said(story, "time") == [f"{expected}, all of it on shop-1"]


def test_a_response_without_a_duration_is_said_to_tell_none(story: Any) -> None:
    story.process("shop-1").access(4, 4, "GET /", 200, span="s1", event={"duration": None})
    assert said(story, "time") == ["Succeeded; its access event does not tell how long it took"]


def test_a_request_that_still_runs_says_what_is_open_and_what_was_heard_last(checkout: Any) -> None:
    story = checkout()
    story.documents = story.documents[:3]
    assert said(story, "time") == [
        (
            "Still running: 19 ms so far; open on shop-1, orders-2 and payments-1; "
            "the last event is of payments.client on payments-1 at +0.019 s"
        )
    ]


def retried(story: Any, *statuses: int | None) -> list[str]:
    shop, at = story.process("shop-1"), 0
    for number, status in enumerate(statuses):
        at += 20
        shop.call(at, 15, "POST http://payments.example:8003/charge", status, span=f"c{number}", parent="s1")
    shop.access(at + 1, at + 1, "POST /", 200 if statuses[-1] == 200 else 502, span="s1")
    return [text for text in said(story, "time") if "attempts" in text]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((503, None, 200), "3 attempts to payments.example:8003 from shop-1 in 55 ms, the first two failed"),
        ((503, 200), "2 attempts to payments.example:8003 from shop-1 in 35 ms, the first failed"),
        ((429, 200), "2 attempts to payments.example:8003 from shop-1 in 35 ms, the first failed"),
        ((503, 503), "2 attempts to payments.example:8003 from shop-1 in 35 ms, both failed"),
        ((503, 503, None), "3 attempts to payments.example:8003 from shop-1 in 55 ms, all failed"),
    ],
)
def test_attempts_at_one_thing_are_told_as_such(story: Any, statuses: Any, expected: str) -> None:
    assert retried(story, *statuses) == [f"{expected}: POST /charge"]


@pytest.mark.parametrize("statuses", [(200, 200), (200, 503), (404, 200)])
def test_the_same_call_again_after_one_that_went_well_is_no_attempt(story: Any, statuses: Any) -> None:
    assert retried(story, *statuses) == []


def test_calls_side_by_side_are_no_attempts(story: Any) -> None:
    shop = story.process("shop-1")
    for number in range(3):
        shop.call(20 + number, 15, "POST http://payments.example/charge", 503, span=f"c{number}", parent="s1")
    shop.access(30, 30, "POST /", 502, span="s1")
    assert [text for text in said(story, "time") if "attempts" in text] == []


def test_attempts_of_many_visits_at_one_thing_are_told_together(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    for number in range(4):
        at = number * 100
        for attempt in (0, 1):
            ended, what = at + 30 * attempt + 20, "POST http://payments.example/charge"
            orders.call(ended, 9, what, 503, span=f"p{number}{attempt}", parent=f"s{number}")
        orders.access(at + 90, 80, "POST /b", 502, span=f"s{number}", parent=f"c{number}")
        shop.call(at + 95, 90, f"POST http://orders.example/{number}", 502, span=f"c{number}", parent="s")
    shop.access(400, 400, "POST /", 502, span="s")
    assert "8 attempts at 4 calls to payments.example from orders-1, all of them failed: POST /charge" in said(
        story, "time"
    )


def test_an_error_in_an_attempt_that_was_made_good_is_not_why_a_request_failed(story: Any) -> None:
    shop = story.process("shop-1")
    shop.call(20, 15, "POST http://payments.example/charge", 503, span="c1", parent="s1")
    shop.call(40, 15, "POST http://payments.example/charge", 200, span="c2", parent="s1")
    shop.log(50, "out of stock", level="error", span="s1")
    shop.access(60, 60, "POST /", 500, span="s1")
    assert said(story, "failure") == [
        "shop.api on shop-1: out of stock at +0.050 s (first error not handled); then 500 from shop-1 at +0.060 s"
    ]
    assert said(story, "data")[0] == (
        "1 error was handled: POST http://payments.example/charge from shop-1 was answered 503 after 15 ms at +0.020 s"
    )


def test_an_error_within_a_callee_that_answered_well_is_not_why_a_request_failed(story: Any) -> None:
    shop, stock, orders = story.process("shop-1"), story.process("stock-1"), story.process("orders-1")
    stock.log(3, "cache gone", level="error", span="s2")
    stock.access(5, 3, "GET /stock", 200, span="s2", parent="c1")
    shop.call(6, 5, "GET http://stock.example/stock", 200, span="c1", parent="s1")
    orders.log(13, "no such order", level="error", span="s3")
    orders.access(15, 3, "GET /order", 404, span="s3", parent="c2")
    shop.call(16, 5, "GET http://orders.example/order", 404, span="c2", parent="s1")
    shop.access(20, 20, "GET /", 500, span="s1")
    (failure,) = said(story, "failure")
    assert failure == (
        "orders.api on orders-1: no such order at +0.013 s (first error not handled); "
        "then 404 from orders-1, 500 from shop-1 at +0.020 s"
    )
    assert said(story, "data") == ["1 error was handled: stock.api on stock-1: cache gone at +0.003 s"]


def test_an_error_that_cannot_be_followed_to_the_response_is_not_said_to_have_led_there(story: Any) -> None:
    shop, lone = story.process("shop-1"), story.process("lone-1")
    lone.log(3, "ouch", level="error", span="l1")
    shop.access(20, 20, "GET /", 500, span="s1")
    assert said(story, "failure") == [
        "lone.api on lone-1: ouch at +0.003 s (first error by recorded times); 500 from shop-1 at +0.020 s"
    ]


def test_a_long_way_from_the_error_to_the_response_is_told_by_its_ends(story: Any) -> None:
    nodes = [story.process(f"n{number}-1") for number in range(9)]
    nodes[8].log(10, "ouch", level="error", span="s8")
    nodes[8].access(11, 2, "GET /8", 500, span="s8", parent="c8")
    for number in range(7, -1, -1):
        at, here, cause = 30 - number * 2, nodes[number], f"c{number}" if number else ""
        here.call(at, at - number, f"GET http://n{number}/", 500, span=f"c{number + 1}", parent=f"s{number}")
        here.access(at + 1, at + 1, f"GET /{number}", 502, span=f"s{number}", parent=cause)
    assert said(story, "failure")[0].endswith(
        "; then 500 from n8-1, 502 from n7-1, 5 hops more, 502 from n1-1, 502 from n0-1 at +0.031 s"
    )


def fan_out(story: Any, count: int, *, at_once: bool) -> list[str]:
    shop = story.process("shop-1")
    for number in range(count):
        at = 100 + (number if at_once else number * 20)
        shop.call(at, 60 if at_once else 19, f"GET http://stock.example/{number}", 200, span=f"c{number}", parent="s")
    end = 100 + count * (1 if at_once else 20)
    shop.access(end, end, "GET /", 200, span="s")
    return [text for text in said(story, "time") if "GET calls to " in text]


def test_many_calls_of_one_kind_are_told_together_with_the_slowest(story: Any) -> None:
    assert fan_out(story, 10, at_once=False) == [
        (
            "10 GET calls to stock.example from shop-1 one after another, 190 ms in all; "
            "the slowest took 19 ms: GET http://stock.example/9"
        )
    ]


def test_many_calls_at_once_are_told_to_be_so(story: Any) -> None:
    assert fan_out(story, 5, at_once=True) == [
        (
            "5 GET calls to stock.example from shop-1 all at once, 64 ms in all; "
            "the slowest took 60 ms: GET http://stock.example/4"
        )
    ]


@pytest.mark.parametrize("count", [1, 4])
def test_few_calls_are_no_crowd(story: Any, count: int) -> None:
    assert fan_out(story, count, at_once=False) == []


def test_work_that_went_on_after_the_response_is_told_as_such(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1", host="host-of-shop-1")
    orders.access(8, 5, "POST /b", 202, span="s2", parent="c1")
    shop.call(9, 7, "POST http://orders.example/b", 202, span="c1", parent="s1")
    shop.access(10, 10, "POST /", 200, span="s1")
    shop.log(40, "hardly after", span="s1")
    assert len(said(story, "time")) == 1
    shop.log(350, "mailed", span="s1")
    orders.log(2110, "written", span="s2")
    assert said(story, "time")[1:] == [
        "background work went on after the response, for 2.10 s on orders-1 and 340 ms on shop-1"
    ]


def test_an_error_in_background_work_is_told_though_the_request_went_well(story: Any) -> None:
    shop = story.process("shop-1")
    shop.access(10, 10, "POST /", 200, span="s1")
    shop.log(2310, "mail server gone", level="error", span="s1", logger="shop.mail")
    assert said(story, "failure") == []
    assert said(story, "time")[1:] == [
        (
            "background work went on after the response, for 2.30 s on shop-1, with an error: "
            "shop.mail on shop-1: mail server gone at +2.310 s"
        )
    ]


def test_a_pause_in_background_work_is_not_where_the_time_of_a_request_went(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(60, "hello", span="s1")
    shop.access(100, 100, "POST /", 200, span="s1")
    shop.log(5000, "late", span="s1")
    assert said(story, "time")[0] == (
        'Succeeded in 100 ms, all of it on shop-1, 60 ms of it without events until "hello"'
    )


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


def test_a_visit_whose_caller_left_no_event_is_told_and_is_no_further_request(story: Any) -> None:
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


def test_a_private_callee_that_left_no_events_is_said(story: Any) -> None:
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


def test_a_callee_that_has_told_nothing_but_its_end_is_not_called_silent(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.log(2, "killed soon", span="s2")
    shop.call(3, 2, "GET http://orders/a", None, span="c1", parent="s1")
    shop.access(4, 4, "GET /", 200, span="s1")
    assert said(story, "data")[1:] == ["orders did not answer GET /a from shop-1 at +0.003 s, and left no access event"]


def test_a_clock_that_is_wrong_and_shown_as_recorded_is_said(story: Any, checkout: Any) -> None:
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


def test_a_clock_that_was_set_during_the_request_is_said(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    for number, skew in enumerate((0, -60_000)):
        at, orders.skew_ms = number * 10, skew
        orders.access(at + 4, 2, "GET /b", 200, span=f"s2{number}", parent=f"c{number}")
        shop.call(at + 5, 4, "GET http://orders/b", 200, span=f"c{number}", parent="s1")
    shop.access(30, 30, "GET /a", 200, span="s1")
    assert said(story, "data") == [
        "clock of orders-1 was set by 1 min 00 s during the request; times shown as recorded"
    ]


def test_events_that_name_each_other_as_their_cause_are_said(story: Any) -> None:
    a, b = story.process("a-1"), story.process("b-1")
    a.call(4, 2.5, "GET http://b/", 200, span="c1", parent="s1")
    b.call(5, 2.5, "GET http://a/", 200, span="c2", parent="s2")
    a.access(6, 6, "GET /a", 200, span="s1", parent="c2")
    b.access(7, 6, "GET /b", 200, span="s2", parent="c1")
    assert said(story, "data")[-1] == (
        "4 events on a-1 and b-1 name each other as their cause: their order is by time alone"
    )


def test_events_without_a_time_are_said(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "a", **{"@timestamp": "noon"})
    shop.log(2, "b")
    assert said(story, "data") == ["1 event without a time, placed by sequence"]


def test_events_with_times_that_cannot_be_right_are_said_and_placed_by_sequence(story: Any) -> None:
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


def test_spans_that_are_each_others_parents_are_said(story: Any) -> None:
    shop = story.process("shop-1")
    shop.step(2, 1, "one", span="a", parent="b")
    shop.step(3, 1, "two", span="b", parent="a")
    shop.access(4, 4, "GET /", 200, span="s1")
    assert said(story, "data") == ["2 events on shop-1 cannot be nested: their spans are parents of each other"]


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
