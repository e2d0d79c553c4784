"""What docs/queries.md tells of the language is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clusterlog.errors import QueryError
from clusterlog.search.language import fields, reading
from clusterlog.search.language.parsing import LONGEST, parse
from clusterlog.search.language.rendering import render

PAGE = (Path(__file__).parents[3] / "docs" / "queries.md").read_text(encoding="utf-8")
NOON = 1_793_707_200_000_000_000
"""2026-11-03T12:00:00Z in nanoseconds."""


def rows(first: str, second: str) -> list[tuple[str, str]]:
    """The rows of the table with these headings; what stands in backquotes without them."""
    _, table = PAGE.split(f"| {first} | {second} |\n|---|---|\n")
    found = [line.strip("|").split(" | ") for line in table.partition("\n\n")[0].splitlines()]
    return [(one.strip().strip("`"), other.strip().strip("`")) for one, other in found]


@pytest.mark.parametrize("query", [query for query, _ in rows("query", "finds")])
def test_every_example_is_a_query(query: str) -> None:
    found = parse(query, now_ns=NOON)
    assert parse(render(found)) == found


@pytest.mark.parametrize(("typed", "asked"), rows("you type", "it asks"))
def test_short_names_become_what_the_page_says(typed: str, asked: str) -> None:
    assert render(parse(typed, now_ns=NOON)) == asked


@pytest.mark.parametrize(("query", "answer"), rows("query", "answer"))
def test_what_is_refused_is_answered_as_the_page_says(query: str, answer: str) -> None:
    with pytest.raises(QueryError, match=re.escape(answer)):
        parse(query)


def test_every_short_name_and_every_name_of_ours_has_an_example() -> None:
    typed = " ".join(query for query, _ in rows("you type", "it asks"))
    assert {*fields.SHORT, *fields.OWN} <= set(re.findall(r"\w+", typed))


def test_bounds_and_levels_are_those_of_the_code() -> None:
    assert f"{LONGEST:,} characters and {reading.MOST_CONDITIONS:,} conditions" in PAGE
    for group in fields.LEVELS:
        assert " ".join((f"`{group[0]}`", *(f"(`{other}`)" for other in group[1:]))) in PAGE.replace("\n", " ")
