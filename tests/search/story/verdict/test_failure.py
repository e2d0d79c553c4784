from __future__ import annotations

from typing import Any

from clusterlog.search.story.journey import journey
from clusterlog.search.story.verdict import verdict


def test_a_failure_is_its_first_error_in_causal_order_and_the_answer_it_led_to(
    checkout: Any, sentences: Any, id_of: Any
) -> None:
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


def test_a_logged_error_is_named_by_its_logger_node_type_and_message(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "careful", level="warning", span="s1")
    error = {"type": "KeyError", "message": "'sku'"}
    shop.log(2, "no such item", level="error", span="s1", logger="shop.cart", error=error)
    shop.log(3, "much louder", level="critical", span="s1")
    shop.access(4, 4, "GET /cart", 500, span="s1")
    assert said(story, "failure") == [
        "shop.cart on shop-1: KeyError: 'sku' at +0.002 s (first error); then 500 from shop-1 at +0.004 s"
    ]


def test_an_error_without_an_exception_is_named_by_its_message(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.log(2, "out of\nstock", level="error", span="s1")
    shop.access(4, 4, "GET /cart", 500, span="s1")
    assert said(story, "failure") == [
        "shop.api on shop-1: out of stock at +0.002 s (first error); then 500 from shop-1 at +0.004 s"
    ]


def test_an_answer_that_no_error_explains_is_said_itself(story: Any, said: Any) -> None:
    story.process("shop-1").access(4, 4, "GET /cart", 503, span="s1")
    assert said(story, "failure") == ["GET /cart on shop-1 answered 503 at +0.004 s"]


def test_a_client_that_went_away_is_said(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.access(4, 4, "GET /cart", None, span="s1", event={"reason": "client disconnected"})
    assert said(story, "failure") == ["GET /cart on shop-1 gave no response (client disconnected) at +0.004 s"]


def test_errors_of_a_request_that_went_well_or_after_its_answer_are_no_failure(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "handled", level="error", span="s1")
    shop.access(4, 4, "GET /", 200, span="s1")
    assert said(story, "failure") == []
    story.documents[-1]["http"]["response"]["status_code"] = 500
    shop.log(9, "later", level="error", span="s1")
    del story.documents[0]
    assert said(story, "failure") == ["GET / on shop-1 answered 500 at +0.004 s"]


def test_an_error_after_the_answer_makes_nobody_doubt_which_was_the_first(story: Any, said: Any) -> None:
    shop, worker = story.process("shop-1"), story.process("worker-1")
    shop.log(2, "here", level="error", span="s1")
    shop.access(4, 4, "GET /", 500, span="s1")
    worker.log(9, "there", level="error", span="w1")
    assert "(first error);" in said(story, "failure")[0]


def test_an_error_of_a_request_that_still_runs_is_said(story: Any, said: Any) -> None:
    story.process("shop-1").log(1, "ouch", level="error", span="s1")
    assert said(story, "failure") == ["shop.api on shop-1: ouch at +0.000 s (first error); still running"]


def test_a_first_error_that_is_first_only_by_clocks_that_may_differ_is_said_to_be_so(story: Any, said: Any) -> None:
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


def test_an_error_in_an_attempt_that_was_made_good_is_not_why_a_request_failed(story: Any, said: Any) -> None:
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


def test_an_error_beneath_an_attempt_that_was_made_good_is_not_why_a_request_failed(story: Any, said: Any) -> None:
    shop, payments = story.process("shop-1", host="h"), story.process("payments-1", host="h")
    payments.log(8, "no connection", level="error", span="s2")
    payments.access(10, 5, "POST /charge", 503, span="s2", parent="c1")
    shop.call(11, 7, "POST http://payments:8003/charge", 503, span="c1", parent="s1")
    payments.access(30, 5, "POST /charge", 200, span="s3", parent="c2")
    shop.call(31, 7, "POST http://payments:8003/charge", 200, span="c2", parent="s1")
    shop.access(40, 40, "POST /", 500, span="s1")
    assert said(story, "failure") == ["POST / on shop-1 answered 500 at +0.040 s"]
    assert said(story, "data") == [
        "3 errors were handled, the first: payments.api on payments-1: no connection at +0.008 s"
    ]


def test_an_error_within_a_callee_that_answered_well_is_not_why_a_request_failed(story: Any, said: Any) -> None:
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


def test_an_error_that_cannot_be_followed_to_the_response_is_not_said_to_have_led_there(story: Any, said: Any) -> None:
    shop, lone = story.process("shop-1"), story.process("lone-1")
    lone.log(3, "ouch", level="error", span="l1")
    shop.access(20, 20, "GET /", 500, span="s1")
    assert said(story, "failure") == [
        "lone.api on lone-1: ouch at +0.003 s (first error by recorded times); 500 from shop-1 at +0.020 s"
    ]


def test_a_long_way_from_the_error_to_the_response_is_told_by_its_ends(story: Any, said: Any) -> None:
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
