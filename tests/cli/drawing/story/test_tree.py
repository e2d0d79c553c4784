"""A request as a tree: what was part of what, how long it took, and the lines inside."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlog.cli.drawing.story import rows
from clusterlog.cli.drawing.story.selection import View
from clusterlog.cli.line import columns
from clusterlog.search.receipt import Loss, Receipt
from clusterlog.search.story.journey import journey


def tree(drawn: Any, story: Any, **options: Any) -> list[str]:
    lines: list[str] = drawn(rows(journey(story.documents), nested=True, **{"width": 120, **options}))
    return lines[lines.index("") + 2 :]


def test_visits_hang_below_the_calls_that_caused_them_and_lines_below_what_they_were_told_in(checkout, drawn):
    assert tree(drawn, checkout()) == [
        " +0.000   1.84 s  a E  POST /checkout → 502  on shop-1",
        " +0.000           a I  ├ shop.api  checkout begins  cart=3",
        " +0.003   1.83 s  a E  └ → POST http://orders:8002/orders 502",
        " +0.005   1.43 s  b E    └ POST /orders → 502  on orders-2",
        " +0.006           b I      ├ orders.stock  reserve stock  sku=9 qty=1",
        " +0.017   1.41 s  b E      ├ → POST http://payments:8003/charge 504",
        " +0.018   1.41 s  c E      │ └ POST /charge → 504  on payments-1",
        " +0.019           c I      │   ├ payments.client  charge 12.90 EUR  attempt=1",
        " +0.020   1.40 s  c E      │   ├ → POST https://bank.example/charge failed  ConnectTimeout: bank.example:443",
        " +1.422           c E      │   └ payments.client  charge failed  ConnectTimeout: bank.example:443",
        " +1.425           b E      └ orders.stock  payment failed, releasing stock",
    ]


def test_steps_nest_in_steps_and_hold_their_lines(story, drawn):
    shop = story.process("shop-1")
    shop.log(1, "outside", span="s")
    shop.log(3, "deep", span="inner")
    shop.step(4, 2, "inner step", span="inner", parent="outer")
    shop.log(5, "shallow", span="outer")
    shop.step(6, 4, "outer step", span="outer", parent="s")
    shop.access(8, 8, "GET /a", 200, span="s")
    assert [line[20:] for line in tree(drawn, story)] == [
        "I  GET /a → 200  on shop-1",
        "I  ├ shop.api  outside",
        "I  └ outer step",
        "I    ├ inner step",
        "I    │ └ shop.api  deep",
        "I    └ shop.api  shallow",
    ]


def test_a_visit_without_an_end_is_told_by_its_node(story, drawn):
    story.process("shop-1").log(1, "begin", span="s1")
    first, second = tree(drawn, story)
    assert first.split() == ["a", "on", "shop-1,", "without", "an", "end", "so", "far"]
    assert second.endswith("└ shop.api  begin")


def test_lines_without_any_span_are_told_below_their_process(story, drawn):
    story.process("shop-1").log(1, "one")
    story.process("orders-1").log(2, "two")
    assert [line[18:].split("  ")[-1] for line in tree(drawn, story)] == [
        "on shop-1, without an end so far",
        "one",
        "on orders-1, without an end so far",
        "two",
    ]


def test_a_hidden_call_stays_where_something_in_it_is_shown(story, drawn):
    shop, orders = story.process("shop-1"), story.process("orders-1")
    orders.log(3, "broken", level="error", span="s2")
    orders.access(4, 2, "GET /b", 200, span="s2", parent="c1")
    shop.call(5, 4, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.call(7, 1, "GET http://far.example/", 200, span="c2", parent="s1")
    shop.access(8, 8, "GET /a", 200, span="s1")
    lines = [line[23:] for line in tree(drawn, story, view=View("error"))]
    assert lines[:4] == [
        "GET /a → 200  on shop-1",
        "└ → GET http://orders/b 200",
        "  └ GET /b → 200  on orders-1",
        "    └ orders.api  broken",
    ]
    assert "far.example" not in "".join(lines)


def test_steps_that_are_each_others_parents_are_drawn_once(story, drawn):
    shop = story.process("shop-1")
    shop.step(2, 1, "one", span="x", parent="y")
    shop.step(3, 1, "two", span="y", parent="x")
    shop.step(4, 1, "own parent", span="z", parent="z")
    shop.access(8, 8, "GET /a", 200, span="s1")
    text = "\n".join(tree(drawn, story))
    assert [text.count(f" {name}") for name in ("one", "two", "own parent", "GET /a")] == [1, 1, 1, 1]


def test_two_spans_of_one_id_are_both_drawn(story, drawn):
    shop = story.process("shop-1")
    shop.step(2, 1, "first", span="x", parent="s1")
    shop.step(3, 1, "second", span="x", parent="s1")
    shop.log(3.5, "inside", span="x")
    shop.access(8, 8, "GET /a", 200, span="s1")
    text = "\n".join(tree(drawn, story))
    assert [text.count(name) for name in ("first", "second", "inside")] == [1, 1, 1]


@pytest.mark.parametrize("width", [40, 80, None])
def test_however_deep_steps_are_nested_words_have_room(story, drawn, width):
    shop = story.process("shop-1")
    deep = 3000
    for number in range(deep, 0, -1):
        shop.step(
            5000 - number, 5000, f"step {number}", span=f"x{number}", parent=f"x{number - 1}" if number > 1 else "s"
        )
    shop.access(5001, 5001, "GET /a", 200, span="s")
    lines = tree(drawn, story, width=width)
    assert len(lines) == deep + 1
    assert any("step 2999" in line for line in lines)
    if width:
        assert all(columns(line) <= width for line in lines)


def test_a_loss_stands_where_its_process_was(checkout, drawn):
    loss = Loss(2, 3, 2, "disk full", "state-1")
    lines = tree(drawn, checkout(), receipts=[Receipt(1, "lost", (loss,), "lost")])
    at = next(number for number, line in enumerate(lines) if "dropped" in line)
    assert "b !" in lines[at]
    assert "reserve stock" in lines[at - 1]


def test_a_tree_can_be_drawn_with_ascii_alone(checkout, drawn):
    assert all(line.isascii() for line in tree(drawn, checkout(), ascii_only=True))
