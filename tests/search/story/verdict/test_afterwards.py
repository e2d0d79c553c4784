from __future__ import annotations

from typing import Any


def test_work_that_went_on_after_the_response_is_told_as_such(story: Any, said: Any) -> None:
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


def test_an_error_in_background_work_is_told_though_the_request_went_well(story: Any, said: Any) -> None:
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


def test_an_exception_that_the_server_tells_once_more_is_no_background_work(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    failed = {"error": {"type": "RuntimeError", "message": "bad"}, "clusterlog": {"error": {"fingerprint": "dc03" * 4}}}
    shop.access(10, 10, "GET /boom", 500, span="s1", **failed)
    shop.log(11, "Exception in ASGI application", level="error", span="s1", logger="uvicorn.error", **failed)
    assert not [line for line in said(story, "time") if "background work" in line]
    shop.log(12, "mail server gone", level="error", span="s1", error={"type": "OSError", "message": "gone"})
    assert said(story, "time")[-1].startswith("background work went on after the response, with an error: ")


def test_an_exception_that_is_raised_again_in_background_work_is_told(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    failed = {"error": {"type": "OSError", "message": "gone"}}
    shop.log(5, "mail server gone", level="error", span="s1", **failed)
    shop.access(10, 10, "POST /", 201, span="s1")
    shop.log(2010, "mail server gone", level="error", span="s1", **failed)
    assert said(story, "time")[-1].startswith(
        "background work went on after the response, for 2.00 s on shop-1, with an error: "
    )


def test_a_pause_in_background_work_is_not_where_the_time_of_a_request_went(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.log(60, "hello", span="s1")
    shop.access(100, 100, "POST /", 200, span="s1")
    shop.log(5000, "late", span="s1")
    assert said(story, "time")[0] == (
        'Succeeded in 100 ms, all of it on shop-1, 60 ms of it without events until "hello"'
    )


def test_a_clock_that_was_set_forward_makes_no_background_work(story: Any, said: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    for number, skew in enumerate((0, 60_000)):
        at, orders.skew_ms = number * 20, skew
        orders.access(at + 8, 6, "GET /b", 200, span=f"s2{number}", parent=f"c{number}")
        shop.call(at + 9, 8, f"GET http://orders:8002/{number}", 200, span=f"c{number}", parent="s1")
    shop.access(40, 40, "GET /a", 200, span="s1")
    orders.log(42, "done", span="s21")
    assert len(said(story, "time")) == 1
    assert said(story, "data") == [
        "clock of orders-1 was set by 1 min 00 s during the request; times shown as recorded"
    ]
