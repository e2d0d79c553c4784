from __future__ import annotations

from typing import Any

import pytest

from clusterlog.search.story.event import read
from clusterlog.search.story.order import Order, ordered


def order_of(story: Any) -> Order:
    return ordered([read(document) for document in story.documents])


def hops(story: Any) -> list[tuple[str, str]]:
    """Which event called whom: the caller's message and the span of the visit."""
    return [(hop.caller.document["message"], hop.visit.span) for hop in order_of(story).hops]


def visits(story: Any) -> list[tuple[str, str, int]]:
    return [(visit.span, visit.parent, len(visit.events)) for visit in order_of(story).visits]


def test_a_servers_span_around_an_access_event_is_of_the_same_visit(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.log(3, "serving", span="s2")
    orders.access(5, 3, "GET /b", 200, span="s2", parent="outer")
    orders.span(6, 4.5, "GET /b", "server", span="outer", parent="c1")
    shop.call(7, 6, "GET http://orders/b", 200, span="c1", parent="s1")
    assert hops(story) == [("GET http://orders/b", "s2")]
    assert visits(story) == [("s1", "", 1), ("s2", "c1", 3)]


def test_a_servers_span_beside_an_access_event_is_of_the_same_visit(story: Any) -> None:
    """Both read the caller's header themselves; lines stand in the one or in the other."""
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.log(3, "in ours", span="s2")
    orders.log(3.5, "in theirs", span="beside")
    orders.span(4.5, 2, "GET /b", "server", span="beside", parent="c1")
    orders.access(5, 3, "GET /b", 200, span="s2", parent="c1")
    shop.call(7, 6, "GET http://orders/b", 200, span="c1", parent="s1")
    assert hops(story) == [("GET http://orders/b", "s2")]
    assert visits(story) == [("s1", "", 1), ("s2", "c1", 4)]


def test_a_servers_span_within_an_access_event_is_of_the_same_visit(story: Any) -> None:
    orders = story.process("orders-1")
    orders.log(3.5, "in theirs", span="inner")
    orders.span(4.5, 2, "GET /b", "server", span="inner", parent="s2")
    orders.access(5, 3, "GET /b", 200, span="s2", parent="c1")
    assert visits(story) == [("s2", "c1", 3)]


def test_without_an_access_event_a_servers_span_ends_the_visit(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.log(3, "serving", span="inner")
    orders.span(4, 2, "query", "internal", span="inner", parent="s2")
    orders.span(5, 3, "GET /b", "server", span="s2", parent="c1")
    shop.call(7, 6, "GET http://orders/b", 200, span="c1", parent="s1")
    (hop,) = order_of(story).hops
    assert hop.visit.access is not None
    assert hop.visit.access.document["message"] == "GET /b"
    assert (hop.answered, hop.returned) == (True, True)
    assert visits(story) == [("s1", "", 1), ("s2", "c1", 3)]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_clients_span_is_a_call_wherever_it_stands_among_other_spans(story: Any, depth: int) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.access(5, 3, "GET /b", 200, span="s2", parent="client")
    shop.span(6, 5, "GET", "client", span="client", parent="in0")
    for number in range(depth):
        outer = "s1" if number == depth - 1 else f"in{number + 1}"
        shop.span(7 + number, 6 + number, "work", "internal", span=f"in{number}", parent=outer)
    shop.access(20, 20, "GET /a", 200, span="s1")
    assert hops(story) == [("GET", "s2")]
    assert order_of(story).hops[0].returned
    assert [visit.span for visit in order_of(story).visits] == ["s1", "s2"]


def test_a_call_event_stands_for_the_clients_span_of_its_id(story: Any) -> None:
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.access(5, 3, "GET /b", 200, span="s2", parent="c1")
    shop.span(6, 5, "GET", "client", span="c1", parent="s1")
    shop.call(6.5, 5.5, "GET http://orders/b", 200, span="c1", parent="s1")
    assert hops(story) == [("GET http://orders/b", "s2")]


def test_a_message_that_a_worker_took_from_a_queue_is_caused_by_its_producer_and_returns_nothing(story: Any) -> None:
    shop, worker = story.process("shop-1"), story.process("worker-1")
    shop.span(3, 1, "send", "producer", span="p1", parent="s1")
    shop.access(4, 4, "POST /a", 202, span="s1")
    worker.span(900, 100, "receive", "consumer", span="w1", parent="p1")
    (hop,) = order_of(story).hops
    assert (hop.caller.document["message"], hop.visit.span) == ("send", "w1")
    assert (hop.answered, hop.returned) == (False, False)


def test_a_process_that_calls_itself_has_two_visits(story: Any) -> None:
    shop = story.process("shop-1")
    shop.access(5, 3, "GET /b", 200, span="s2", parent="c1")
    shop.call(6, 5, "GET http://shop/b", 200, span="c1", parent="s1")
    shop.access(7, 7, "GET /a", 200, span="s1")
    assert hops(story) == [("GET http://shop/b", "s2")]
    assert visits(story) == [("s2", "c1", 1), ("s1", "", 2)]


def test_spans_that_go_in_circles_are_reported_and_belong_to_the_one_visit(story: Any) -> None:
    shop = story.process("shop-1")
    first = shop.step(2, 1, "one", span="a", parent="c")
    second = shop.step(3, 1, "two", span="b", parent="a")
    third = shop.step(4, 1, "three", span="c", parent="b")
    shop.access(5, 5, "GET /", 200, span="s1")
    order = order_of(story)
    assert order.cycles == ((first, second, third),)
    assert visits(story) == [("s1", "", 4)]
