"""`clusterlog diff`: two requests beside each other, on screen, in a pipe and for machines."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

DRAWINGS = Path(__file__).parent / "drawings"
FAILED = "0193f0c2a1b27c3d8e4f5a6b7c8d9e0f"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("diff", []),
        ("diff-all", ["--all"]),
        ("diff-80", ["--width", "80"]),
        ("diff-80-ascii", ["--width", "80", "--ascii"]),
        ("diff-all-120", ["--all", "--width", "120"]),
    ],
)
def test_the_failing_checkout_beside_a_healthy_one_looks_as_it_is_drawn(run, checkouts, name, options):
    """`UPDATE_DRAWINGS=1` writes the files anew: look at what has changed before it is committed."""
    result = run("diff", FAILED, *options)
    assert (result.code, result.err) == (0, "")
    file = DRAWINGS / f"{name}.txt"
    if os.environ.get("UPDATE_DRAWINGS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(result.out, encoding="utf-8")
    assert result.out == file.read_text(encoding="utf-8")


def test_a_second_request_that_is_named_is_compared_with_whatever_it_is(run, checkouts):
    told = json.loads(run("diff", "healthy-0", FAILED, "--json").out)
    assert (told["schema"], told["twin"]) == ("clusterlog.diff/1", None)
    assert (told["a"]["id"], told["b"]["id"]) == ("healthy-0", FAILED)
    assert [each["text"] for each in told["only_a"]] == [
        "charged in payments on payments-1",
        "receipt mailed in shop on shop-2",
    ]


def test_without_one_the_twin_and_why_it_was_taken_are_told(run, checkouts):
    told = json.loads(run("diff", FAILED, "--json").out)
    assert told["b"]["id"] == "healthy-0"
    assert told["twin"] == {
        "why": "same route and service, one of 3 near in time that succeeded; typical is 58 ms; 1.00 s later",
        "among": 3,
        "typical_ns": [58_000_000, 58_000_000],
        "apart_ns": 1_000_000_000,
    }


def test_times_bound_where_the_twin_is_looked_for(run, checkouts):
    told = json.loads(run("diff", FAILED, "--since", "2026-11-03T12:00:02.5Z", "--json").out)
    assert told["b"]["id"] == "healthy-2"


def test_a_request_does_not_differ_from_itself(run, checkouts):
    result = run("diff", FAILED, FAILED)
    assert result.code == 0
    assert result.lines[-1] == "no differences"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            (FAILED, "--since", "2026-11-04"),
            "no healthy request to compare with: no POST /checkout on shop succeeded in",
        ),
        (("f" * 32,), f"no request {'f' * 32}"),
        ((FAILED, "f" * 32), f"no request {'f' * 32}"),
    ],
)
def test_a_request_or_a_twin_that_is_not_there_is_1_and_one_line(run, checkouts, arguments, said):
    result = run("diff", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith(f"clusterlog: {said}")


def test_nothing_is_cut_in_a_pipe_and_nothing_is_wider_than_the_terminal(run, stories, keep):
    failed, healthy = stories.failing_checkout(), stories.healthy_checkout(at=3000)
    failed.processes[0].log(1900, "x" * 500 + " the end", span="s1", labels={"note": "y" * 300})
    keep(*failed.documents, *healthy.documents)
    assert "x the end" in run("diff", FAILED, healthy.id).out
    for width in (40, 60, 100):
        lines = run("diff", FAILED, healthy.id, "--all", "--width", width).lines
        assert max(map(len, lines)) <= width


def test_hostile_text_reaches_a_terminal_escaped(run, stories, keep, on_terminal):
    hostile = "\x1b[2J\u202e<b>\x00\n\x9b31m"
    failed, healthy = stories.failing_checkout(), stories.healthy_checkout(at=3000)
    for story in (failed, healthy):
        shop = story.processes[0]
        shop.log(3000, hostile + story.id, level="error", span="s1", labels={hostile: hostile + story.id})
        story.documents[0]["service"]["node"]["name"] = hostile + story.id
        story.documents[0]["http"]["request"]["method"] = hostile
    keep(*failed.documents, *healthy.documents)
    for options in ((), ("--all",), ("--json",)):
        text = run("diff", FAILED, healthy.id, *options).out
        assert "<b>" in text
        assert not [c for c in text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e")]
