"""Two requests compared: what only one did, what took longer, what had other values or stood elsewhere."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.search.compare.comparison import Comparison, compare
from clusterlog.search.compare.document import document
from clusterlog.search.story.journey import journey


def compared(a: Any, b: Any) -> Comparison:
    return compare(journey(a.documents), journey(b.documents))


def texts(found: Any) -> list[str]:
    return [each.text for each in found]


def test_a_failed_checkout_differs_from_a_healthy_one_in_what_it_lacks_what_was_slow_and_how_things_ended(
    checkout: Any, healthy: Any
) -> None:
    found = compared(checkout(), healthy())
    assert texts(found.only_a) == [
        "charge failed in payments on payments-1",
        "payment failed, releasing stock in orders on orders-2",
    ]
    assert texts(found.only_b) == ["charged in payments on payments-1", "receipt mailed in shop on shop-2"]
    assert texts(found.delays) == [
        "POST https://bank.example/charge from payments: 1,401 ms in A, 20 ms in B",
        "POST http://orders:8002/orders from shop, on the way: 404 ms in A, 6 ms in B",
    ]
    assert texts(found.changes) == [
        "status of POST /charge on payments: failed in A, 200 in B",
        "error of POST /charge on payments: ConnectTimeout: bank.example:443 in A, - in B",
        "status of POST /charge on payments: 504 in A, 200 in B",
        "status of POST /charge on orders: 504 in A, 200 in B",
        "status of POST /orders on orders: 502 in A, 201 in B",
        "status of POST /orders on shop and 1 more: 502 in A, 201 in B",
        "node of shop: shop-1 in A, shop-2 in B",
        "node of orders: orders-2 in A, orders-1 in B",
        "labels.cart of checkout begins on shop: 3 in A, 4 in B",
        "labels.sku of reserve stock on orders: 9 in A, 12 in B",
    ]
    assert found.moved == ()


def test_clocks_that_are_wrong_change_nothing_of_what_is_told(checkout: Any, healthy: Any) -> None:
    right, wrong = compared(checkout(), healthy()), compared(checkout(skews=(0, 60_000, -60_000)), healthy())
    for name in ("only_a", "only_b", "delays", "changes", "moved"):
        assert sorted(texts(getattr(wrong, name))) == sorted(texts(getattr(right, name)))


@pytest.fixture
def pair() -> Any:
    """Two empty requests."""
    from stories import Story  # loaded by the conftest

    return Story("a", 1), Story("b", 0x11)


def test_a_service_that_only_one_request_reached_is_told_as_a_whole(pair: Any) -> None:
    for story, reached in zip(pair, (False, True), strict=True):
        shop, stock = story.process("shop-1"), story.process("stock-1")
        if reached:
            stock.log(2, "looking", span="s2")
            stock.access(3, 2, "GET /stock", 200, span="s2", parent="c1")
            shop.call(4, 3, "GET http://stock/stock", 200, span="c1", parent="s1")
        shop.access(5, 5, "GET /", 200, span="s1")
    found = compared(*pair)
    assert texts(found.only_b) == ["all of stock on stock-1, 2 events", "GET /stock in shop on shop-1"]
    assert found.only_a == ()
    assert texts(compared(*reversed(pair)).only_a) == texts(found.only_b)


def test_attempts_that_failed_before_one_that_did_not_are_what_the_healthy_request_lacks(pair: Any) -> None:
    for story, failures in zip(pair, (3, 0), strict=True):
        shop = story.process("shop-1")
        for n in range(failures):
            shop.call(10 * n + 9, 8, "GET http://far.example/", 503, span=f"c{n}", parent="s1")
        shop.call(40, 8, "GET http://far.example/", 200, span="c9", parent="s1")
        shop.access(50, 50, "GET /", 200, span="s1")
    found = compared(*pair)
    assert texts(found.only_a) == ["GET / in shop on shop-1, 3 times"]
    assert found.changes == ()


def test_whichever_node_process_or_port_a_balancer_chose_the_calls_correspond(pair: Any) -> None:
    a, b = pair
    for story, nodes in ((a, ("orders-1", "orders-1")), (b, ("orders-2", "orders-1"))):
        shop = story.process("shop-1")
        for n, node in enumerate(nodes):
            orders = story.process(node)
            orders.log(10 * n + 2, f"part {n}", span=f"o{n}")
            orders.access(10 * n + 3, 2, "GET /orders/7", 200, span=f"o{n}", parent=f"c{n}")
            shop.call(10 * n + 4, 3, f"GET http://{node}.example:80{n}1/orders/7", 200, span=f"c{n}", parent="s1")
        shop.access(30, 30, "GET /", 200, span="s1")
    found = compared(a, b)
    assert (found.only_a, found.only_b, found.moved) == ((), (), ())
    assert texts(found.changes) == ["node of orders: orders-1 in A, orders-2 in B"]


def test_calls_of_one_path_to_different_services_are_told_apart(pair: Any) -> None:
    for story, order in zip(pair, (("stock", "price"), ("price", "stock")), strict=True):
        shop = story.process("shop-1")
        for n, service in enumerate(order):
            asked = story.process(f"{service}-1")
            asked.access(10 * n + 3, 2, "GET /items", 200, span=f"o{n}", parent=f"c{n}")
            shop.call(10 * n + 4, 3, f"GET http://{service}/items", 200, span=f"c{n}", parent="s1")
        shop.access(30, 30, "GET /", 200, span="s1")
    found = compared(*pair)
    assert (found.only_a, found.only_b, found.changes) == ((), (), ())
    assert len(found.moved) == 1


def test_a_call_whose_callee_is_not_known_tells_where_else_it_went(pair: Any) -> None:
    for story, host in zip(pair, ("one.example", "two.example"), strict=True):
        shop = story.process("shop-1")
        shop.call(4, 3, f"GET https://{host}/rates", 200, span="c1", parent="s1")
        shop.access(5, 5, "GET /", 200, span="s1")
    assert texts(compared(*pair).changes) == ["target of GET /rates on shop: one.example in A, two.example in B"]


def test_side_by_side_calls_correspond_though_their_callees_answer_in_another_order(pair: Any) -> None:
    chance = random.Random(7)
    for story in pair:
        shop = story.process("shop-1")
        ends = sorted(chance.sample(range(100, 5000), 50))
        for n, end in enumerate(ends):
            part = story.process(f"part-{n % 5}")
            part.log(end - 5, "working", span=f"p{n}")
            part.access(end - 2, 30, "GET /part", 200, span=f"p{n}", parent=f"c{n}")
            shop.call(end, 40, "GET http://part/part", 200, span=f"c{n}", parent="s1")
        shop.access(6000, 6000, "GET /", 200, span="s1")
    found = compared(*pair)
    assert (found.only_a, found.only_b, found.moved, found.changes) == ((), (), (), ())
    assert len(found.stretches) == 51


def test_what_stands_elsewhere_is_told_with_what_it_stands_behind(pair: Any) -> None:
    for story, order in zip(pair, ("abc", "bca"), strict=True):
        shop = story.process("shop-1")
        for n, name in enumerate(order):
            shop.log(n + 1, f"step {name}", span="s1")
        shop.access(9, 9, "GET /", 200, span="s1")
    found = compared(*pair)
    assert texts(found.moved) == ['"step a" in shop stands at the beginning in A, after "step c" in B']
    assert (found.only_a, found.only_b) == ((), ())


def test_the_same_values_in_many_events_are_one_change_and_a_line_tells_its_level(pair: Any) -> None:
    for story, order, level in zip(pair, (7, 9), ("warning", "info"), strict=True):
        shop = story.process("shop-1")
        shop.log(1, "in", span="s1", labels={"order": order, "same": 1})
        shop.log(2, "stock", span="s1", level=level, labels={"order": order})
        shop.log(3, "out", span="s1", labels={"order": order, **({"note": [1]} if order == 7 else {})})
        shop.access(4, 4, "GET /", 200, span="s1")
        story.process("mail-1").log(9, "mailed", labels={"order": order})
    found = compared(*pair)
    assert texts(found.changes) == [
        "level of stock on shop: warning in A, info in B",
        "labels.note of out on shop: [1] in A, - in B",
        "labels.order of in on shop and 3 more: 7 in A, 9 in B",
    ]
    assert [len(each.pairs) for each in found.changes] == [1, 1, 4]


def test_other_routes_other_outcomes_and_other_reasons_are_told(pair: Any) -> None:
    a, b = pair
    one, two = a.process("shop-1"), b.process("shop-1")
    one.step(3, 1, "price", span="p1", parent="s1")
    a.documents[-1]["event"]["outcome"], a.documents[-1]["error"] = "failure", {"type": "E"}
    two.step(3, 1, "price", span="p1", parent="s1")
    one.access(4, 4, "GET /a", None, span="s1", event={"reason": "client disconnected"})
    two.access(4, 4, "GET /b", 200, span="s1")
    assert texts(compared(a, b).changes) == [
        "outcome of price on shop: failure in A, success in B",
        "error of price on shop: E in A, - in B",
        "status of GET /a on shop: failed in A, 200 in B",
        "reason of GET /a on shop: client disconnected in A, - in B",
        "route of GET /a on shop: GET /a in A, GET /b in B",
    ]


def slow(pair: Any, tell: Any) -> list[str]:
    """What is told of the delays where ``tell`` tells a request with 400 ms more in it, or without."""
    for story, more in zip(pair, (400, 0), strict=True):
        shop = story.process("shop-1")
        shop.log(1, "begin", span="s1")
        tell(shop, more)
        shop.access(60 + more, 60 + more, "GET /", 200, span="s1")
    return texts(compared(*pair).delays)


def test_a_pause_between_two_lines_is_told_by_both(pair: Any) -> None:
    def tell(shop: Any, more: float) -> None:
        shop.log(5, "prices of 7", span="s1")
        shop.log(15 + more, "priced", span="s1")
        shop.log(59 + more, "end", span="s1")

    assert slow(pair, tell) == ['"prices of *" to "priced" on shop: 410 ms in A, 10 ms in B']


def test_a_pause_within_a_step_is_told_by_the_step(pair: Any) -> None:
    def tell(shop: Any, more: float) -> None:
        shop.log(15 + more, "counted", span="p1")
        shop.step(16 + more, 14 + more, "reserve stock", span="p1", parent="s1")
        shop.log(59 + more, "end", span="s1")

    assert slow(pair, tell) == ["reserve stock on shop: 414 ms in A, 14 ms in B"]


def test_what_a_call_inside_of_a_step_took_is_told_by_the_call_alone(pair: Any) -> None:
    def tell(shop: Any, more: float) -> None:
        shop.call(14 + more, 11 + more, "GET http://far.example/", 200, span="c1", parent="p1")
        shop.step(16 + more, 14 + more, "ask", span="p1", parent="s1")
        shop.log(59 + more, "end", span="s1")

    assert slow(pair, tell) == ["GET http://far.example/ from shop: 411 ms in A, 11 ms in B"]


def test_calls_side_by_side_take_their_time_off_once(pair: Any) -> None:
    def tell(shop: Any, more: float) -> None:
        shop.call(54 + more, 50 + more, "GET http://far.example/a", 200, span="c1", parent="p1")
        shop.call(55 + more, 50 + more, "GET http://far.example/b", 200, span="c2", parent="p1")
        shop.step(56 + more, 54 + more, "ask both", span="p1", parent="s1")

    assert slow(pair, tell) == [
        "GET http://far.example/a from shop: 450 ms in A, 50 ms in B",
        "GET http://far.example/b from shop: 450 ms in A, 50 ms in B",
    ]


@pytest.mark.parametrize("kind", ["step", "call"])
def test_what_only_one_request_waited_for_tells_of_the_pause_it_made(pair: Any, kind: str) -> None:
    def tell(shop: Any, more: float) -> None:
        shop.log(5, "asked", span="s1")
        if more and kind == "step":
            shop.step(404, 401, "ask the far one", span="p1", parent="s1")
        elif more:
            shop.call(404, 401, "GET http://far.example/", 200, span="p1", parent="s1")
        shop.log(15 + more, "counted", span="s1")
        shop.log(59 + more, "end", span="s1")

    what = {"step": "ask the far one on shop", "call": "GET http://far.example/ from shop"}[kind]
    assert slow(pair, tell) == [f"{what}: 401 ms in A, not in B"]
    assert texts(compared(*reversed(pair)).delays) == [f"{what}: 401 ms in B, not in A"]


def test_a_line_that_is_told_while_a_call_goes_on_waits_for_the_call(pair: Any) -> None:
    def tell(shop: Any, more: float) -> None:
        shop.log(14 + more, "halfway", span="s1")
        shop.call(15 + more, 12 + more, "GET http://far.example/", 200, span="c1", parent="s1")
        shop.log(59 + more, "end", span="s1")

    assert slow(pair, tell) == ["GET http://far.example/ from shop: 412 ms in A, 12 ms in B"]


def test_calls_that_only_one_request_has_are_one_delay_by_template(pair: Any) -> None:
    def tell(shop: Any, more: float) -> None:
        for n in range(4 if more else 0):
            shop.call(100 * n + 104, 100, f"GET http://far.example/{n}", 503, span=f"c{n}", parent="s1")
        shop.log(30 + more, "counted", span="s1")
        shop.log(59 + more, "end", span="s1")

    assert slow(pair, tell) == ["GET http://far.example/0 from shop, 4 times: 400 ms in A, not in B"]


def test_what_no_event_tells_of_is_the_time_of_the_stay_itself(pair: Any) -> None:
    assert slow(pair, lambda shop, more: None) == ['"begin" to "GET /" on shop: 459 ms in A, 59 ms in B']

    def tell_nothing(shop: Any, more: float) -> None:
        shop.story.documents.clear()

    for story in pair:
        story.documents.clear()
        story.processes.clear()
    assert slow(pair, tell_nothing) == ["GET / on shop, by itself: 460 ms in A, 60 ms in B"]


def test_what_took_longer_in_the_other_request_is_told_as_well(pair: Any) -> None:
    def tell(shop: Any, more: float) -> None:
        shop.call(14 + more, 11 + more, "GET http://far.example/", 200, span="c1", parent="s1")

    assert slow(tuple(reversed(pair)), tell) == ["GET http://far.example/ from shop: 411 ms in A, 11 ms in B"]
    (delay,) = compared(*pair).delays
    assert (delay.more_ns, delay.text) == (
        -400_000_000,
        "GET http://far.example/ from shop: 411 ms in B, 11 ms in A",
    )


@pytest.mark.parametrize(("took", "told"), [(35, 0), (37, 1)])
def test_a_delay_is_told_from_a_twentieth_of_the_longer_request_on(pair: Any, took: int, told: int) -> None:
    for story, extra in zip(pair, (took, 0), strict=True):
        shop = story.process("shop-1")
        shop.call(500 + extra, 100 + extra, "GET http://far.example/", 200, span="c1", parent="s1")
        shop.access(700 + extra, 700 + extra, "GET /", 200, span="s1")
    assert len(compared(*pair).delays) == told


def test_a_request_that_still_runs_lacks_what_comes_later(checkout: Any, healthy: Any) -> None:
    story = checkout()
    running = [document for document in story.documents if document["event"]["dataset"] == "clusterlog.app"][:3]
    story.documents = running
    found = compared(story, healthy())
    assert found.only_a == ()
    assert len([event for lone in found.only_b for event in lone.events]) == 8


@given(data=st.data())
@settings(max_examples=60)
def test_a_request_does_not_differ_from_itself_and_every_event_has_its_place(any_request: Any, data: Any) -> None:
    story, _ = data.draw(any_request)
    found = compared(story, story)
    assert not found.differ
    told = [(a.id, b.id) for each in found.stretches for a, b in each.rows() if a and b]
    assert sorted(told) == [(id, id) for id in sorted(document["event"]["id"] for document in story.documents)]


@given(data=st.data())
@settings(max_examples=40)
def test_whatever_is_compared_every_event_of_both_is_told_once(any_request: Any, data: Any) -> None:
    (one, _), (two, _) = data.draw(any_request), data.draw(any_request)
    for number, each in enumerate(two.documents):
        if data.draw(st.integers(0, 2)) == 0:
            each["labels"] = {"n": number}
            each["log"]["level"] = "error"
    found = compared(one, two)
    rows = [row for each in found.stretches for row in each.rows()]
    assert sorted(a.id for a, _ in rows if a) == sorted(each["event"]["id"] for each in one.documents)
    assert sorted(b.id for _, b in rows if b) == sorted(each["event"]["id"] for each in two.documents)
    told = document(found, None)
    assert json.loads(json.dumps(told)) == told
    alone = {event.id for lone in found.only_a for event in lone.events}
    moved = {a.id for each in found.stretches for a, _ in each.moved}
    assert alone == {a.id for a, b in rows if a and not b and a.id not in moved}


@given(data=st.data())
@settings(max_examples=30)
def test_the_order_in_which_documents_come_is_of_no_meaning(any_request: Any, data: Any) -> None:
    (one, _), (two, _) = data.draw(any_request), data.draw(any_request)
    expected = document(compared(one, two), None)
    for each in (one, two):
        each.documents = data.draw(st.permutations(each.documents))
    assert document(compared(one, two), None) == expected


def test_for_machines_every_difference_names_its_events_and_all_events_stand_side_by_side(
    checkout: Any, healthy: Any
) -> None:
    told = document(compared(checkout(), healthy()), None)
    assert told["schema"] == "clusterlog.diff/1"
    assert (told["a"]["status"], told["b"]["status"], told["twin"]) == (502, 201, None)
    assert told["slower"][0] == {
        "kind": "call",
        "text": "POST https://bank.example/charge from payments: 1,401 ms in A, 20 ms in B",
        "a_ns": 1_401_000_000,
        "b_ns": 20_000_000,
        "a": [f"{3:032x}-{2:011x}"],
        "b": [f"{0x13:032x}-{2:011x}"],
    }
    assert told["only_a"][0] == {
        "text": "charge failed in payments on payments-1",
        "whole": False,
        "events": [f"{3:032x}-{3:011x}"],
    }
    assert told["changed"][0]["field"] == "status"
    assert told["aligned"][2] == {
        "service": "payments",
        "a": "payments-1",
        "b": "payments-1",
        "events": [
            [f"{3:032x}-{1:011x}", f"{0x13:032x}-{1:011x}"],
            [f"{3:032x}-{2:011x}", f"{0x13:032x}-{2:011x}"],
            [f"{3:032x}-{3:011x}", None],
            [None, f"{0x13:032x}-{3:011x}"],
            [f"{3:032x}-{4:011x}", f"{0x13:032x}-{4:011x}"],
        ],
    }
