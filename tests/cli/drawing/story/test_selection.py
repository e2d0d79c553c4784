"""Which lines are drawn of a request, and where what lies between its events stands."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlog.cli.drawing.story import rows
from clusterlog.cli.drawing.story.selection import Line, View, selected
from clusterlog.search.receipt import Loss, Receipt
from clusterlog.search.story.event import Event
from clusterlog.search.story.journey import Entry, Gap, journey


def words(lines: tuple[Line, ...]) -> list[str]:
    """What stands on each line, in a word."""
    told = []
    for line in lines:
        match line.what:
            case Entry(event):
                told.append(event.document["message"])
            case Event():
                told.append(f"({line.what.document['message']})")
            case Loss():
                told.append(f"!{line.what.first_seq}")
            case Gap():
                told.append("pause")
    return told


def table(drawn: Any, found: Any, **options: Any) -> list[str]:
    lines: list[str] = drawn(rows(found, width=120, **options))
    return lines[lines.index("") + 2 :]


def test_events_below_a_level_are_hidden_and_counted(checkout):
    found = selected(journey(checkout().documents), View(level="error"))
    assert (len(found.entries), found.hidden) == (8, 3)
    assert all(entry.event.is_error for entry in found.entries)


def test_what_tells_of_a_failure_is_shown_whatever_its_level_says(story):
    shop = story.process("shop-1")
    shop.log(1, "begin", span="s1")
    shop.call(5, 3, "GET http://orders/", 503, span="c1", parent="s1")
    story.documents[-1]["log"]["level"] = "info"
    shop.log(6, "of a stranger", level="notice", span="s1")
    shop.log(7, "noise", level="debug", span="s1")
    assert words(selected(journey(story.documents), View(level="critical")).lines) == [
        "GET http://orders/",
        "of a stranger",
    ]


def test_only_some_nodes_are_shown_and_the_rest_is_counted(checkout, drawn):
    found = journey(checkout().documents)
    lines = table(drawn, found, view=View(nodes=("orders-2",)))
    assert [line.split("  ")[-1] for line in lines if "●" in line or "✖" in line] == [
        "sku=9 qty=1",
        "→ POST http://payments:8003/charge 504 in 1.41 s",
        "payment failed, releasing stock",
        "POST /orders → 502 in 1.43 s",
    ]
    assert lines[-1] == "7 events are hidden: of other nodes"


def test_it_is_said_why_events_are_hidden(checkout, drawn):
    view = View("error", ("shop-1",))
    assert table(drawn, journey(checkout().documents), view=view)[-1] == (
        "9 events are hidden: below ERROR or of other nodes"
    )


def test_arrows_pass_over_a_process_of_which_nothing_is_shown(checkout, drawn):
    """Shop called orders, and orders payments: without orders the arrow leads from shop to payments."""
    lines = table(drawn, journey(checkout().documents), view=View(nodes=("shop-1", "payments-1")))
    lanes = [line[18:27].rstrip() for line in lines]
    assert lanes[:2] == ["●", "├──────▶●"]
    assert "◀" not in "".join(lanes), "who told shop of the answer is hidden"


def test_with_their_begins_hidden_visits_are_entered_where_something_of_them_is_shown(checkout, drawn):
    lines = table(drawn, journey(checkout().documents), view=View("error"))
    lanes = [line[18:27].rstrip() for line in lines if "✖" in line]
    assert lanes == ["├──▶├──▶✖", "│   │   ✖", "│   │   ✖", "│   ✖◀──┘", "│   ✖", "│   ✖", "✖◀──┘", "✖"]


def loss(first: int, last: int) -> Loss:
    return Loss(first, last, last - first + 1, "disk full", "state-1")


@pytest.mark.parametrize(("first", "before"), [(2, "b"), (9, ""), (1, "b")])
def test_a_loss_stands_behind_the_last_event_that_its_process_told_before(story, first, before):
    shop, orders = story.process("shop-1", host="h"), story.process("orders-1", host="h")
    shop.log(1, "a")
    orders.log(2, "of orders")
    shop.sequence = 4
    shop.log(3, "b")
    found = journey(story.documents)
    receipts = [Receipt(0, "lost", (loss(first, first + 1),), "lost")]
    lines = words(selected(found, receipts=receipts).lines)
    at = lines.index(f"!{first}")
    assert lines[at - 1] == {2: "a", 9: "b", 1: "of orders"}[first] or (first == 1 and at == 0)


def test_a_loss_is_drawn_in_its_lane_with_its_reason(checkout, drawn):
    found = journey(checkout().documents)
    receipts = [Receipt(1, "lost", (loss(2, 3),), "orders-2: 2 events dropped at source")]
    (line,) = [line for line in table(drawn, found, receipts=receipts) if "dropped" in line]
    assert line.strip() == "│   ┊      ! 2 events dropped at source (disk full, numbers 2-3) here"


def test_losses_of_hidden_nodes_are_hidden_too(checkout):
    found = journey(checkout().documents)
    receipts = [Receipt(1, "lost", (loss(2, 3),), "lost")]
    assert "!2" in words(selected(found, View(nodes=("orders-2",)), receipts).lines)
    assert "!2" not in words(selected(found, View(nodes=("shop-1",)), receipts).lines)


def test_a_neighbour_stands_where_its_process_told_it(story, drawn):
    other = type(story)("another-request")
    shop, orders = story.process("shop-1", host="h"), story.process("orders-1", host="h")
    shop.log(1, "a")
    orders.log(2, "x")
    shop.sequence = 2
    shop.log(9, "b")
    beside = other.process("shop-1", host="h")
    for at, sequence, message in ((1.5, 2, "between, early"), (0.5, 0, "before"), (30, 4, "behind")):
        beside.sequence = sequence - 1
        beside.log(at, message)
    story.documents[2]["event"]["sequence"] = 3
    found = journey(story.documents)
    lines = words(selected(found, neighbours=other.documents).lines)
    assert lines == ["(before)", "a", "(between, early)", "x", "b", "(behind)"]
    shown = table(drawn, found, neighbours=other.documents)
    assert next(line for line in shown if "early" in line)[18] == "·"
    assert shown[-1] == "· same process, not of this request"


def test_neighbours_keep_their_sequence_even_where_their_clock_was_set_back(story):
    other = type(story)("another-request")
    shop = story.process("shop-1")
    shop.log(5, "a")
    shop.sequence = 2
    shop.log(9, "b")
    beside = other.process("shop-1")
    beside.sequence = 1
    beside.log(-4000, "long ago by its clock")
    assert words(selected(journey(story.documents), neighbours=other.documents).lines) == [
        "a",
        "(long ago by its clock)",
        "b",
    ]


def test_hidden_events_leave_no_doubt_about_the_order_of_those_of_one_process(story):
    shop, other = story.process("a-1"), story.process("b-1")
    shop.log(1, "one", level="error")
    other.log(2, "between")
    shop.log(3, "two", level="error")
    found = journey(story.documents)
    assert [line.bracket for line in selected(found).lines] == ["begin", "within", "end"]
    assert [line.bracket for line in selected(found, View("error")).lines] == ["", ""]


def test_events_of_one_process_are_in_order_by_their_numbers_where_times_say_nothing(story):
    shop, other = story.process("a-1"), story.process("b-1")
    shop.log(1, "one", level="error")
    other.log(2, "between")
    shop.log(5, "hidden")
    shop.log(0.5, "two", level="error")
    lines = selected(journey(story.documents), View("error")).lines
    assert [(line.what.event.document["message"], line.bracket) for line in lines] == [("one", ""), ("two", "")]


def test_the_bracket_says_how_far_apart_the_clocks_may_be(story, drawn):
    shop, orders = story.process("shop-1"), story.process("orders-1", skew_ms=3)
    shop.log(1, "begin", span="s1")
    orders.log(5, "there", span="s2")
    shop.log(5.5, "meanwhile", span="s1")
    orders.access(8, 5, "GET /b", 200, span="s2", parent="c1")
    shop.call(9, 7, "GET http://orders/b", 200, span="c1", parent="s1")
    shop.access(10, 10, "GET /a", 200, span="s1")
    last = table(drawn, journey(story.documents))[-1]
    assert last.startswith("┌│└ order not known (±")
    assert last.endswith(" ms)")


def test_nothing_left_to_show_is_said(checkout, drawn):
    lines = table(drawn, journey(checkout().documents), view=View("critical", ("nowhere",)))
    assert lines[-1] == "11 events are hidden: below CRITICAL or of other nodes"
