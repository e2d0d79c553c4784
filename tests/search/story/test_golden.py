"""Stories of requests as they were told before, in files that people read.

Of each case ``golden`` has the documents (``NAME.jsonl``) and what is made of them (``NAME.txt``). The three of the
demo were drawn from a run of it by ``clusterlog export``, without their stack traces; the others are told in
``tests/stories.py``. ``WRITE_GOLDEN=1 pytest tests/search/story/test_golden.py`` writes all of it anew but the demo's
documents: what has changed is for eyes to judge.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stories  # loaded by the conftest

from clusterlog.search.instant import spoken
from clusterlog.search.story.journey import Entry, Journey, journey
from clusterlog.search.story.verdict import verdict

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[3]
DEMO = ("demo-failed", "demo-ok", "demo-slow")
WRITES = bool(os.environ.get("WRITE_GOLDEN"))
MOST_ROWS = 80


def told(found: Journey) -> str:
    """A request as text: what is said of it, its clocks, its pauses, and its events in order."""
    return (
        "\n".join([*header(found), "", *sentences(found), "", *clocks(found), "", *gaps(found), *order(found)]) + "\n"
    )


def header(found: Journey) -> Iterator[str]:
    took = "" if found.duration_ns is None else spoken(found.duration_ns)
    asked = f"{found.method} {found.route}".strip() or "?"
    yield f"{asked} -> {found.status or '?'}, {found.outcome}, {took or '?'}"
    yield f"{len(found.nodes)} nodes, {len(found.entries)} events, {found.spans} spans, began {found.started or '?'}"


def sentences(found: Journey) -> Iterator[str]:
    place = {entry.event.id: number for number, entry in enumerate(found.entries, 1)}
    for sentence in verdict(found):
        rows = [str(place[event]) for event in sentence.events]
        shown = ", ".join(rows if len(rows) <= 8 else [*rows[:7], f"... ({len(rows)} in all)"])
        yield f"{sentence.kind:8} {sentence.text}"
        yield f"         [{'row' if len(rows) == 1 else 'rows'} {shown}]"


def clocks(found: Journey) -> Iterator[str]:
    for lane in found.lanes:
        clock, facts = lane.clock, []
        if clock.offset_ns is not None and clock.error_ns is not None:
            facts.append(f"{'+' * (clock.offset_ns > 0)}{spoken(clock.offset_ns)} +-{spoken(clock.error_ns)}")
        if clock.at_least_ns is not None:
            facts.append(f"at least {spoken(clock.at_least_ns)}")
        if clock.stepped_ns is not None:
            facts.append(f"set by {spoken(clock.stepped_ns)}")
        facts.append("corrected" if clock.corrected else "wrong" if clock.wrong else "as recorded")
        yield f"clock    {lane.node}: {', '.join(facts)}"


def gaps(found: Journey) -> Iterator[str]:
    for gap in found.gaps:
        going_on = ", ".join(f"{event.document['message']} on {event.node}" for event in gap.open) or "nothing known"
        where = "" if gap.inside else ", after the response"
        yield f"pause    {spoken(gap.length_ns)} before row {gap.place + 1}{where}; open: {going_on}"
    if found.gaps:
        yield ""


def order(found: Journey) -> Iterator[str]:
    place = {entry.event.id: number for number, entry in enumerate(found.entries, 1)}
    for entry in found.entries[:MOST_ROWS]:
        yield row(found, entry, place)
    if len(found.entries) > MOST_ROWS:
        yield f"... {len(found.entries) - MOST_ROWS} more"


def row(found: Journey, entry: Entry, place: dict[str, int]) -> str:
    offset = found.offset_ns(entry.event)
    shown = "?" if offset is None else f"{offset / 1e9:+.3f}"
    after = ", ".join(str(number) for number in sorted(place[event] for event in entry.after))
    doubt = " " if entry.certain else "~"
    what = f"{entry.event.kind:6} {entry.event.node:11} {entry.event.document['message']}"
    return f"{place[entry.event.id]:3} {doubt}{shown:>8}  {what}  <- {after or 'nothing known'}"


def documents(name: str) -> list[dict[str, Any]]:
    kept = GOLDEN / f"{name}.jsonl"
    if WRITES and name in stories.PLANTED:
        GOLDEN.mkdir(exist_ok=True)
        lines = [json.dumps(each, sort_keys=True) for each in stories.PLANTED[name]().documents]
        kept.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]


def compared(name: str, text: str) -> None:
    kept = GOLDEN / f"{name}.txt"
    if WRITES:
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")


CASES = [*DEMO, *stories.PLANTED]


@pytest.mark.parametrize("name", CASES)
def test_a_request_is_told_as_it_was_before(name: str) -> None:
    compared(name, told(journey(documents(name))))


@pytest.mark.parametrize("name", CASES)
def test_a_request_is_told_the_same_in_whatever_order_its_events_arrive(name: str) -> None:
    arrived = documents(name)
    expected = told(journey(arrived))
    for seed in range(3):
        random.Random(seed).shuffle(arrived)
        assert told(journey(arrived)) == expected


def test_a_request_of_ten_thousand_events_is_told_as_it_was_before() -> None:
    compared("many-events", told(journey(stories.many_events().documents)))


def test_there_is_no_golden_file_that_no_test_reads() -> None:
    names = {*CASES, "many-events"}
    assert {path.stem for path in GOLDEN.iterdir()} == names


def documented() -> list[str]:
    """The sentences that the documentation gives as examples."""
    blocks = (ROOT / "docs" / "verdict.md").read_text(encoding="utf-8").split("```")[1::2]
    return [line for block in blocks for line in block.removeprefix("text").splitlines() if line]


@pytest.mark.parametrize("sentence", documented())
def test_a_sentence_in_the_documentation_is_one_that_is_said(sentence: str) -> None:
    said = {line[9:] for path in GOLDEN.glob("*.txt") for line in path.read_text(encoding="utf-8").splitlines()}
    assert sentence in said
