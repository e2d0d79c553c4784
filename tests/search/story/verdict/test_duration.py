from __future__ import annotations

from typing import Any

import pytest

from clusterlog.search.story.journey import journey
from clusterlog.search.story.verdict import verdict


def test_the_time_went_where_a_call_waited_without_what_its_callee_needed_itself(
    checkout: Any, sentences: Any, id_of: Any
) -> None:
    story = checkout()
    (time,) = sentences(story, "time")
    assert time.text == (
        "Failed after 1.84 s: 1.40 s (76 %) waiting on payments-1 for POST https://bank.example/charge, "
        "without an answer"
    )
    assert time.events == (id_of(story, "POST https://bank.example/charge"),)


def test_time_between_a_caller_and_its_callee_is_said_to_have_gone_on_the_way(story: Any, said: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.access(90, 10, "GET /b", 200, span="s2", parent="c1")
    shop.call(99, 98, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(100, 100, "GET /", 200, span="s1")
    assert said(story, "time") == [
        "Succeeded in 100 ms: 88 ms (88 %) on the way between shop-1 and orders-1, GET http://orders/b"
    ]


def test_time_in_a_step_is_said_with_the_pause_that_it_was_and_the_line_to_find_it_by(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.log(10, "compute prices", span="s1", logger="shop.price")
    shop.step(895, 880, "prices", span="p", parent="s1")
    shop.access(1000, 1000, "GET /", 200, span="s1")
    assert said(story, "time") == [
        'Succeeded in 1.00 s: 880 ms (88 %) in "prices" on shop-1, all of it without events after "compute prices"'
    ]


def test_a_pause_that_a_line_ended_is_told_by_that_line(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.log(10, "compute prices", span="s1")
    shop.log(700, "prices computed", span="p")
    shop.step(895, 880, "prices", span="p", parent="s1")
    shop.access(1000, 1000, "GET /", 200, span="s1")
    assert said(story, "time") == [
        'Succeeded in 1.00 s: 880 ms (88 %) in "prices" on shop-1, 685 ms of it without events until "prices computed"'
    ]


def test_time_of_a_callee_is_its_own(story: Any, said: Any) -> None:
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


def test_two_shares_that_are_alike_are_both_told(story: Any, said: Any) -> None:
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


def test_many_small_shares_are_said_to_be_many(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    for number in range(8):
        at, took = 125 * (number + 1), 124 if number else 110
        shop.call(at, took, f"GET https://far-{number}.example/", 200, span=f"c{number}", parent="s1")
    shop.access(1000, 1000, "GET /", 200, span="s1")
    assert said(story, "time")[0] == (
        "Succeeded in 1.00 s, spread over 9 spans; the most: 124 ms (12 %) waiting on shop-1 for "
        "GET https://far-1.example/"
    )


def test_of_calls_side_by_side_the_time_is_that_of_the_one_that_ended_last(story: Any, said: Any) -> None:
    shop = story.process("shop-1")
    shop.call(700, 690, "GET https://a.example/", 200, span="c1", parent="s1")
    shop.call(900, 600, "GET https://b.example/", 200, span="c2", parent="s1")
    shop.access(1000, 1000, "GET /", 200, span="s1")
    assert said(story, "time")[0].startswith(
        "Succeeded in 1.00 s: 600 ms (60 %) waiting on shop-1 for GET https://b.example/; 400 ms (40 %) in GET /"
    )


def test_a_call_that_was_still_under_way_at_the_response_held_nobody_up(story: Any, said: Any) -> None:
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
def test_every_answer_has_its_time(story: Any, status: int, outcome: str, expected: str, said: Any) -> None:
    story.process("shop-1").access(4, 4, "GET /", status, span="s1", event={"outcome": outcome})
    assert said(story, "time") == [f"{expected}, all of it on shop-1"]


def test_a_response_without_a_duration_is_said_to_tell_none(story: Any, said: Any) -> None:
    story.process("shop-1").access(4, 4, "GET /", 200, span="s1", event={"duration": None})
    assert said(story, "time") == ["Succeeded; its access event does not tell how long it took"]


def test_a_request_that_still_runs_says_what_is_open_and_what_was_heard_last(checkout: Any, said: Any) -> None:
    story = checkout()
    story.documents = story.documents[:3]
    assert said(story, "time") == [
        (
            "Still running: 19 ms so far; open on shop-1, orders-2 and payments-1; "
            "the last event is of payments.client on payments-1 at +0.019 s"
        )
    ]
