"""A request for a ticket, read as Markdown is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.encode.console.terminal import escaped
from clusterlog.search.export.markdown import code, markdown
from clusterlog.search.story.journey import journey
from clusterlog.search.story.verdict import verdict

markdown_it = pytest.importorskip("markdown_it", reason="rich brings it")
READER = markdown_it.MarkdownIt("commonmark").enable("table")


def told(story: Any) -> str:
    found = journey(story.documents)
    return "\n".join(markdown(found, verdict(found))) + "\n"


def test_a_ticket_says_what_it_was_why_it_failed_and_what_happened(checkout: Any) -> None:
    story = checkout()
    trace = (
        'Traceback (most recent call last):\n  File "bank.py", line 7, in charge\nConnectTimeout: bank.example:443\n'
    )
    for document in story.documents:
        if document.get("error"):
            document["error"]["stack_trace"] = trace
            document.setdefault("clusterlog", {})["error"] = {"fingerprint": "ab12"}
    lines = told(story).split("\n")
    assert lines[:4] == [
        "### `POST /checkout` → 502, FAILED in 1.84 s",
        "",
        f"Request `{story.id}`, 2026-11-03T12:00:00.000000000Z, on `shop-1` → `orders-2` → `payments-1`,",
        "11 events, 6 spans",
    ]
    assert lines[5].startswith("- **why** `POST https://bank.example/charge from payments-1 failed")
    table = lines.index("| time | node | level | where | what |")
    assert lines[table + 2] == "| +0.000 s | `shop-1` | info | `shop.api` | `checkout begins  cart=3` |"
    assert lines[table + 5] == (
        "| +1.421 s | `payments-1` | **error** | `call` | "
        "`POST https://bank.example/charge failed in 1.40 s  ConnectTimeout: bank.example:443` |"
    )
    begin = lines.index("#### Exceptions")
    assert lines[begin:] == [
        "#### Exceptions",
        "",
        "`ConnectTimeout` on `payments-1` at +1.421 s, told 2 times",
        "",
        "```text",
        *trace.removesuffix("\n").split("\n"),
        "```",
        "",
    ]


def test_a_request_of_which_no_answer_was_logged_says_so_as_the_picture_does(story: Any) -> None:
    story.process("shop-1").log(1, "a line of another logger")
    assert told(story).startswith("### `Request`, no answer logged")


@pytest.mark.parametrize(
    ("foreign", "expected"),
    [
        ("plain", "`plain`"),
        ("a `b` c", "``a `b` c``"),
        ("`", "`` ` ``"),
        ("a\nb", r"`a\nb`"),
        ("\u202e\x1b[2J", r"`\u202e\x1b[2J`"),
        (" ", "`   `"),
        ("", ""),
    ],
)
def test_a_code_span_holds_what_it_was_given(foreign: str, expected: str) -> None:
    assert code(foreign) == expected


def test_a_stack_trace_neither_ends_its_block_nor_steers_a_terminal(story: Any) -> None:
    trace = "```\n````\n\x1b[2J"
    story.process("shop-1").log(1, "x", level="error", error={"type": "E", "stack_trace": trace})
    lines = told(story).split("\n")
    assert lines[lines.index("`````text") :] == ["`````text", "```", "````", r"\x1b[2J", "`````", ""]


FOREIGN = st.text(st.sampled_from("ab `|\\\n<>*_#@[]()!-~&\r\x1b\u202e\u2028é漢")) | st.text()


@given(data=st.data())
@settings(max_examples=100)
def test_whatever_was_logged_the_text_has_the_same_parts_and_shows_it_as_it_was(any_request: Any, data: Any) -> None:
    story, _ = data.draw(any_request)
    for document in story.documents:
        document["message"] = data.draw(FOREIGN)
        document["labels"] = {data.draw(FOREIGN): data.draw(FOREIGN)}
        if data.draw(st.booleans()):
            document["error"] = {"type": data.draw(FOREIGN), "message": "m", "stack_trace": data.draw(FOREIGN)}
    tokens = READER.parse(told(story))
    found = journey(story.documents)
    assert [token.tag for token in tokens if token.type == "heading_open"][:1] == ["h3"]
    assert not [token for token in tokens if token.type in ("html_block", "hr", "blockquote_open", "code_block")]
    rows = [token for token in tokens if token.type == "tr_open"]
    assert len(rows) == 1 + len(found.entries)
    inline = [child for token in tokens for child in token.children or ()]
    assert not [child for child in inline if child.type in ("html_inline", "link_open", "image", "em_open")]
    traces = {d["error"]["stack_trace"] for d in story.documents if d.get("error", {}).get("stack_trace")}
    assert len([token for token in tokens if token.type == "fence"]) == len(traces)
    shown = {child.content for child in inline if child.type == "code_inline"}
    lines = [entry.event for entry in found.entries if entry.event.kind == "line"]
    for event in lines:
        message = escaped(event.document["message"])
        assert any(message.strip() in cell for cell in shown) or not message.strip()
