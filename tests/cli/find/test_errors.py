"""`clusterlog errors`: each fault once, for people, pipes and machines."""

from __future__ import annotations

import json

import pytest

from clusterlog.cli import paint

FAILED = "0193f0c2a1b27c3d8e4f5a6b7c8d9e0f"


def test_in_a_pipe_each_fault_is_one_whole_line_with_a_request_to_look_at(run, checkouts):
    result = run("errors", "logger: orders.stock or logger: clusterlog.call")
    assert (result.code, result.err) == (0, "")
    heading, *lines = result.lines
    assert heading.split() == ("events requests causes first last level id logger nodes request error".split())
    assert lines[0].split() == [
        *("1", "1", "1", "2026-11-03T12:00:01Z", "2026-11-03T12:00:01Z", "error"),
        *(lines[0].split()[6], "clusterlog.call", "payments-1", FAILED, "ConnectTimeout:", "bank.example:443"),
    ]
    assert [line.split(FAILED)[1].strip() for line in lines] == [
        "ConnectTimeout: bank.example:443",
        "POST http://orders:8002/orders",
        "payment failed, releasing stock",
        "POST http://payments:8003/charge",
    ]


def test_people_see_what_began_it_first_and_where_to_look(run, checkouts, monkeypatch, on_terminal):
    monkeypatch.setattr(paint, "width", lambda: 100)
    result = run("errors", "logger: orders.stock or logger: clusterlog.call")
    assert result.lines == [
        "1  E  ConnectTimeout: bank.example:443",
        "      1 request, their first error  call on payments-1  2026-11-03T12:00:01Z  trace ..7c8d9e0f",
        "1  E  POST http://orders:8002/orders",
        "      1 request  call on shop-1  2026-11-03T12:00:01Z  trace ..7c8d9e0f",
        "1  E  payment failed, releasing stock",
        "      1 request  orders.stock on orders-2  2026-11-03T12:00:01Z  trace ..7c8d9e0f",
        "1  E  POST http://payments:8003/charge",
        "      1 request  call on orders-2  2026-11-03T12:00:01Z  trace ..7c8d9e0f",
    ]


def test_one_document_for_machines_names_its_schema(run, checkouts):
    told = json.loads(run("errors", "--json", "--limit", "1", "node: payments-1").out)
    assert (told["schema"], told["query"]) == ("clusterlog.errors/1", "node: payments-1")
    assert [each["message"] for each in told["errors"]] == ["bank.example:443"]
    assert told["errors"][0]["example"]["request"] == FAILED
    (line,) = run("errors", "--ndjson", "--limit", "1", "node: payments-1").lines
    assert json.loads(line) == told["errors"][0]


def test_what_is_new_is_what_never_occurred_before(run, stories, keep):
    story = stories.Story()
    shop = story.process("shop-1")
    for at, message in ((0, "old"), (5000, "old"), (6000, "young")):
        shop.log(at, message, level="error")
    keep(*story.documents)
    asked = ("errors", "--since", "2026-11-03T12:00:04Z", "--ndjson")
    assert [json.loads(line)["message"] for line in run(*asked).lines] == ["old", "young"]
    assert [json.loads(line)["message"] for line in run(*asked, "--new").lines] == ["young"]
    assert run("errors", "--new", "--until", "2026-11-03T12:00:05.5Z").code == 0
    assert run("errors", "--new", "--until", "2026-11-05").code == 1


@pytest.mark.parametrize("form", [[], ["--ndjson"], ["--new", "--since", "2026-11-04"]])
def test_nothing_found_is_1_and_silence(run, checkouts, form):
    result = run("errors", "node: nowhere", *form)
    assert (result.code, result.out, result.err) == (1, "", "")


def test_a_person_is_told_that_there_are_more(run, checkouts, on_terminal):
    assert run("errors", "--limit", "2").err == "the first 2 faults; --limit 0 shows all\n"
    assert run("errors", "--limit", "0").err == ""


def test_hostile_text_reaches_a_terminal_escaped(run, stories, keep, on_terminal):
    hostile = "\x1b[2J\u202e<b>\x00\n\x9b31m"
    story = stories.Story(hostile)
    story.process(hostile).log(1, hostile, level="error", logger=hostile, error={"type": hostile, "message": hostile})
    keep(*story.documents)
    for options in ((), ("--json",), ("--format", "plain")):
        text = run("errors", *options).out
        assert "<b>" in text
        assert not [c for c in text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e")]
