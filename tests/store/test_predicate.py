"""The predicate says what a condition means; here are its edges, one by one."""

from __future__ import annotations

import pytest

from clusterlog.store.predicate import fits, matches, selects, word_patterns
from clusterlog.store.query import And, Exists, Match, Not, Or, Query, Range, Wildcard

EVENT = {
    "@timestamp": "2023-11-14T22:13:20.000000001Z",
    "message": ["Payment timed out", "after 3 tries"],
    "log": {"level": "error"},
    "http": {"response": {"status_code": 503}},
    "labels": {"n": 7, "text": "7a", "flag": True, "version": "1.10", "none": None},
}


@pytest.mark.parametrize(
    "condition",
    [
        Match("log.level", "error"),
        Match("labels.n", "7"),
        Match("labels.flag", True),
        Match("labels.flag", "true"),
        Match("message", "OUT payment 3"),
        Match("message", "timed out", phrase=True),
        Match(None, "tries"),
        Wildcard("log.level", ("e", "r")),
        Wildcard("http.response.status_code", ("5", "")),
        Wildcard("message", ("", "imed ou", "")),
        Wildcard("message", ("", "")),
        Range("http.response.status_code", gte=500, lt=600),
        Range("http.response.status_code", gte="500"),
        Range("labels.version", lt="1.9"),
        Range("labels.text", gt=""),
        Range("@timestamp", gt="2023-11-14T23:13:20+01:00", lte="2023-11-14T22:13:20.000000001Z"),
        Range("@timestamp", gte="2023"),
        Exists("labels"),
        Exists("labels.flag"),
        And(()),
        Not(Or(())),
    ],
    ids=repr,
)
def test_this_holds(condition):
    assert matches(condition, EVENT)


@pytest.mark.parametrize(
    "condition",
    [
        Match("log.level", "Error"),
        Match("labels.flag", 1),
        Match("labels.none", "None"),
        Match("labels", "7"),
        Match("message", "out after", phrase=True),
        Match("message", "?"),
        Match(None, "error"),
        Wildcard("log.level", ("", "E", "")),
        Wildcard("log.level", ("err", "ror")),
        Wildcard("message", ("", " - ", "")),
        Wildcard("labels.none", ("", "")),
        Range("labels.text", gte=7),
        Range("labels.flag", gte=0),
        Range("labels.n", gte=True),
        Range("labels.n", gt="6a"),
        Range("labels.version", gte="2023-11-14T22:13:20Z"),
        Range("@timestamp", gt="2023-11-14T22:13:20.000000001Z"),
        Exists("labels.none"),
        Exists("labels.nothing"),
    ],
    ids=repr,
)
def test_this_does_not_hold(condition):
    assert not matches(condition, EVENT)


def test_bounds_that_are_equal_and_of_another_type_are_other_bounds():
    event = {"labels": {"n": 5}}
    assert [matches(Range("labels.n", gte=limit), event) for limit in (1, True, 1.0, True, 1)] == [
        *(True, False, True, False, True),
    ]


def test_since_is_inclusive_and_until_is_not():
    query = Query(since=10, until=20)
    assert [selects(query, EVENT, time) for time in (9, 10, 19, 20)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("pattern", "value", "holds"),
    [
        (("a",), "a", True),
        (("a",), "ab", False),
        (("ab", "bc"), "abc", False),
        (("ab", "bc"), "abbc", True),
        (("", "b", "b", ""), "ab", False),
        (("", "b", "b", ""), "abcb", True),
        (("a", "", "c"), "ac", True),
        (("", "\n", ""), "a\nb", True),
        (("", ".", ""), "ab", False),
    ],
)
def test_a_pattern_must_fit_the_whole_value(pattern, value, holds):
    assert fits(pattern, value) is holds


def test_a_pattern_that_would_keep_a_regular_expression_busy_for_ever_is_judged():
    assert not fits(("", *["a"] * 500, "b"), "a" * 20_000)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (("", "timed out", ""), (("", "timed"), ("out", ""))),
        (("Time", ""), (("time", ""),)),
        (("a b", "c d"), (("a",), ("b", "c"), ("d",))),
        (("", "-", ""), ()),
        (("a ", " b"), (("a",), ("b",))),
        (("x_y", "z"), (("x",), ("y", "z"))),
    ],
)
def test_a_pattern_over_text_is_cut_into_patterns_over_words(pattern, words):
    assert word_patterns(pattern) == words


@pytest.mark.parametrize("field", ["url.path", "message"])
def test_a_pattern_of_very_many_stars_takes_one_pass_over_the_value(field):
    event = {"url": {"path": "a" * 200_000}, "message": "a" * 200_000}
    assert matches(Wildcard(field, ("", *["a"] * 100_000, "")), event)
    assert not matches(Wildcard(field, ("", *["a"] * 100_000, "b", "")), event)  # with backtracking it would never end
