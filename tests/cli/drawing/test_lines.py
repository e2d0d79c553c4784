"""One event is one line, as the picture of a request tells it, and the lines stand under one another."""

from __future__ import annotations

import pytest

from clusterlog.cli.drawing.lines import Columns


def event(**more):
    return {
        "@timestamp": "2026-11-03T12:00:00.123456789Z",
        "service": {"node": {"name": "shop-1"}},
        "log": {"level": "warning", "logger": "shop.db"},
        "message": "slow",
        **more,
    }


def test_a_line_tells_time_node_level_request_logger_message_exception_and_fields():
    whole = event(
        http={"request": {"id": "f" * 32}},
        labels={"sku": "a9", "rows": 3, "why": "no index", "path": ["a"]},
        error={"type": "TimeoutError", "message": "after 3 s"},
    )
    assert Columns(whole_ids=True).line(whole) == (
        f"2026-11-03T12:00:00.123Z  shop-1  W  {'f' * 32}  shop.db     "
        'slow  TimeoutError: after 3 s  sku=a9  rows=3  why="no index"  path=["a"]'
    )
    assert "..ffffffff" in Columns(whole_ids=False).line(whole)


def test_columns_grow_with_what_they_have_shown_and_never_shrink():
    lines = Columns(whole_ids=False)
    first = lines.line(event())
    lines.line(event(service={"node": {"name": "a-node-with-a-name"}}))
    third = lines.line(event())
    assert third.index("W") > first.index("W")


@pytest.mark.parametrize(
    "document", [{}, {"log": 5, "message": ["x"], "labels": "text", "error": None, "@timestamp": 1}]
)
def test_a_stranger_s_document_is_a_line_as_well(document):
    assert Columns(whole_ids=True).line(document).startswith("-")


def test_a_field_cannot_pretend_to_be_another_one():
    line = Columns(whole_ids=True).line(event(labels={"note": "x  user=root", "empty": ""}))
    assert line.endswith('note="x  user=root"  empty=""')


def test_answers_and_calls_say_how_they_ended_and_how_long_they_took(checkout):
    said = [Columns(whole_ids=True).line(document) for document in checkout().documents]
    assert any(line.endswith("access      POST /checkout → 502 in 1.84 s") for line in said)
    call = "call        → POST https://bank.example/charge failed in 1.40 s  ConnectTimeout"
    assert any(call in line for line in said)


def test_a_step_says_how_long_it_took():
    document = event(message="reserve stock", span={"id": "a" * 16}, event={"duration": 96_000_000})
    document["event"]["dataset"] = "clusterlog.span"
    assert Columns(whole_ids=False).line(document).endswith("  reserve stock took 96 ms")


def test_where_the_terminal_knows_no_arrows_none_are_drawn(checkout):
    assert all(Columns(whole_ids=True, ascii_only=True).line(document).isascii() for document in checkout().documents)


def test_an_exception_that_the_message_tells_is_not_told_again():
    told = event(message="TimeoutError: gone", error={"type": "TimeoutError", "message": "gone"})
    assert Columns(whole_ids=False).line(told).count("gone") == 1


def test_lines_of_events_that_were_seen_before_stand_under_one_another():
    documents = [
        event(),
        event(service={"node": {"name": "a-node-with-a-name"}}),
        event(log={"logger": "shop.payments"}),
    ]
    lines = Columns(whole_ids=False)
    lines.see(documents)
    assert len({lines.line(each).index("slow") for each in documents}) == 1
