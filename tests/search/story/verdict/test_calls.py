from __future__ import annotations

from typing import Any

import pytest


def retried(story: Any, said: Any, *statuses: int | None) -> list[str]:
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
def test_attempts_at_one_thing_are_told_as_such(story: Any, statuses: Any, expected: str, said: Any) -> None:
    assert retried(story, said, *statuses) == [f"{expected}: POST /charge"]


@pytest.mark.parametrize("statuses", [(200, 200), (200, 503), (404, 200)])
def test_the_same_call_again_after_one_that_went_well_is_no_attempt(story: Any, statuses: Any, said: Any) -> None:
    assert retried(story, said, *statuses) == []


def test_calls_side_by_side_are_no_attempts(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    for number in range(3):
        shop.call(20 + number, 15, "POST http://payments.example/charge", 503, span=f"c{number}", parent="s1")
    shop.access(30, 30, "POST /", 502, span="s1")
    assert [text for text in said(story, "time") if "attempts" in text] == []


def test_attempts_of_many_visits_at_one_thing_are_told_together(story: Any, said: Any) -> None:
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


def fan_out(story: Any, said: Any, count: int, *, at_once: bool) -> list[str]:
    shop = story.process("shop-1")
    for number in range(count):
        at = 100 + (number if at_once else number * 20)
        shop.call(at, 60 if at_once else 19, f"GET http://stock.example/{number}", 200, span=f"c{number}", parent="s")
    end = 100 + count * (1 if at_once else 20)
    shop.access(end, end, "GET /", 200, span="s")
    return [text for text in said(story, "time") if "GET calls to " in text]


def test_many_calls_of_one_kind_are_told_together_with_the_slowest(story: Any, said: Any) -> None:
    assert fan_out(story, said, 10, at_once=False) == [
        (
            "10 GET calls to stock.example from shop-1 one after another, 190 ms in all; "
            "the slowest took 19 ms: GET http://stock.example/9"
        )
    ]


def test_many_calls_at_once_are_told_to_be_so(story: Any, said: Any) -> None:
    assert fan_out(story, said, 5, at_once=True) == [
        (
            "5 GET calls to stock.example from shop-1 all at once, 64 ms in all; "
            "the slowest took 60 ms: GET http://stock.example/4"
        )
    ]


@pytest.mark.parametrize("count", [1, 4])
def test_few_calls_are_no_crowd(story: Any, count: int, said: Any) -> None:
    assert fan_out(story, said, count, at_once=False) == []


def test_calls_that_took_little_of_a_request_are_no_crowd(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    for number in range(9):
        shop.call(5 + number * 5, 4, f"GET http://stock.example/{number}", 200, span=f"c{number}", parent="s")
    shop.access(1000, 1000, "GET /", 200, span="s")
    assert len(said(story, "time")) == 1


def test_many_attempts_at_one_thing_are_not_told_as_a_crowd_as_well(story: Any, said: Any) -> None:
    assert retried(story, said, *[503] * 7) == [
        "7 attempts to payments.example:8003 from shop-1 in 135 ms, all failed: POST /charge"
    ]
    assert len(said(story, "time")) == 2
