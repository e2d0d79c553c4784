"""A request for pipes and for issues."""

from __future__ import annotations

from typing import Any

from clusterlog.cli.drawing.story import View, markdown, plain, rows
from clusterlog.search.receipt import Loss, Receipt
from clusterlog.search.story.journey import journey


def table(drawn: Any, found: Any, **options: Any) -> list[str]:
    lines: list[str] = drawn(plain(found, **options))
    return lines[lines.index("") + 2 :]


def test_every_line_has_the_same_columns_and_none_is_cut(checkout, drawn):
    told = checkout()
    told.documents[0]["message"] = "long " * 300
    lines = table(drawn, journey(told.documents))
    assert lines[0].split(maxsplit=6) == [
        *("=", "+0.000", "2026-11-03T12:00:00.000200000Z", "shop-1", "I", "shop.api"),
        "long " * 300 + "  cart=3",
    ]
    assert lines[1].split()[:6] == ["=", "+0.006", "2026-11-03T12:00:00.006000000Z", "orders-2", "I", "orders.stock"]
    assert {line.index("2026-") for line in lines if not line.startswith("-")} == {lines[0].index("2026-")}
    pause = next(line for line in lines if "no events" in line)
    assert pause.split()[:6] == ["-"] * 6


def test_what_is_uncertain_foreign_or_lost_is_marked_in_the_first_column(story, drawn):
    other = type(story)("another-request")
    story.process("a-1").log(1, "one")
    story.process("b-1").log(2, "two")
    beside = other.process("b-1")
    beside.instance, beside.sequence = story.processes[1].instance, 1
    beside.log(3, "of another")
    receipts = [Receipt(1, "lost", (Loss(3, 4, 2, "disk full", "x"),), "b-1: 2 events dropped")]
    lines = table(drawn, journey(story.documents), receipts=receipts, neighbours=other.documents)
    assert {line.split()[0]: line.split("  ")[-1] for line in lines} == {
        "=": "one",
        "~": "two",
        ".": "of another",
        "!": "2 events dropped at source (disk full, numbers 3-4)",
    }


def test_what_is_hidden_is_counted_below(checkout, drawn):
    assert table(drawn, journey(checkout().documents), view=View("error"))[-2:] == [
        "",
        "3 events are hidden: below ERROR",
    ]


def test_no_text_of_an_event_reaches_the_pipe_as_a_command_or_a_line_of_its_own(checkout, drawn):
    told = checkout()
    told.documents[0]["message"] = "\x1b[2J\n=  +0.000  forged"
    lines = table(drawn, journey(told.documents))
    assert r"\x1b[2J\n=  +0.000  forged" in lines[0]


def test_markdown_has_a_title_sentences_as_a_list_and_the_picture_in_a_block(checkout, drawn):
    found = journey(checkout().documents)
    lines = drawn(markdown(found))
    assert lines[0] == "### `POST /checkout` → 502, FAILED in 1.84 s"
    assert any(line.startswith("- **why** `POST https://bank.example/charge from payments-1") for line in lines)
    begin, end = lines.index("```text"), len(lines) - 1
    assert lines[end] == "```"
    assert lines[begin + 1 : end] == drawn(rows(found, sentences=False))
    assert not any(line.startswith("why") for line in lines[begin:])


def test_no_text_of_an_event_is_markup(story, drawn):
    shop = story.process("shop-1")
    error = {"type": "Error", "message": "<img src=x> [click](http://evil) *bold* `code`"}
    shop.log(1, "```\n</details> ````", level="error", span="s1", error=error)
    shop.access(2, 2, "GET /<b>_x_", 500, span="s1")
    lines = drawn(markdown(journey(story.documents)))
    assert lines[0].startswith("### `GET /<b>_x_` → 500, FAILED")
    (why,) = [line for line in lines if line.startswith("- **why**")]
    assert why.startswith("- **why** ``")
    assert why.endswith("``")
    assert lines[-1] == "`````"
    assert sum(line.startswith("`````") for line in lines) == 2


def test_an_empty_line_that_ends_a_message_is_not_drawn(story, drawn):
    story.process("shop-1").log(1, "Exception in ASGI application\n")
    (line,) = table(drawn, journey(story.documents))
    assert line.endswith("  Exception in ASGI application")
