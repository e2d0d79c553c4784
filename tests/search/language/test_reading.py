"""What conditions mean that are more than a field and its value: levels, times from now, lengths of time, hashes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.errors import QueryError
from clusterlog.search.instant import rfc3339
from clusterlog.search.language import fields
from clusterlog.search.language.parsing import parse
from clusterlog.search.language.rendering import render
from clusterlog.store.predicate import matches
from clusterlog.store.query import And, Everything, Exists, Match, Not, Or, Range, Wildcard

NOON = 1_793_707_200_000_000_000
"""2026-11-03T12:00:00Z in nanoseconds."""
HASH = "3f9a" * 16


def levels(*names: str) -> Or:
    return Or(tuple(Match("log.level", name) for name in names))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("level >= warning", levels("warning", "warn", "error", "critical", "fatal", "alert", "emergency")),
        ("log.level > Warning", levels("error", "critical", "fatal", "alert", "emergency")),
        ("level < info", levels("trace", "debug")),
        ("level <= WARN", levels("trace", "debug", "info", "notice", "warning", "warn")),
        ('level >= "emergency"', Match("log.level", "emergency")),
        ("level > emergency", Not(Everything())),
    ],
)
def test_a_range_of_levels_is_the_names_in_it(text: str, node: object) -> None:
    assert parse(text) == node


@given(st.sampled_from([name for group in fields.LEVELS for name in group]), st.sampled_from(["<", "<=", ">", ">="]))
def test_every_level_is_on_exactly_one_side_of_every_bound(bound: str, operator: str) -> None:
    other = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}[operator]
    for group in fields.LEVELS:
        for name in group:
            event = {"log": {"level": name}}
            one = matches(parse(f"level {operator} {bound}"), event)
            assert one != matches(parse(f"level {other} {bound}"), event)
            assert one == ("=" in operator) or name not in next(g for g in fields.LEVELS if bound in g)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("since: 15m", Range("@timestamp", gte="2026-11-03T11:45:00.000000000Z")),
        ("since: now - 15m", Range("@timestamp", gte="2026-11-03T11:45:00.000000000Z")),
        ("since: 2026-11-02", Range("@timestamp", gte="2026-11-02T00:00:00.000000000Z")),
        ('since: "11:50"', Range("@timestamp", gte="2026-11-03T11:50:00.000000000Z")),
        ('until: "2026-11-03T13:30:00+02:00"', Range("@timestamp", lt="2026-11-03T11:30:00.000000000Z")),
        ("until: now", Range("@timestamp", lt="2026-11-03T12:00:00.000000000Z")),
        ("@timestamp >= now-1d", Range("@timestamp", gte="2026-11-02T12:00:00.000000000Z")),
        ("@timestamp < now", Range("@timestamp", lt="2026-11-03T12:00:00.000000000Z")),
        ("@timestamp: now", Match("@timestamp", "2026-11-03T12:00:00.000000000Z")),
    ],
)
def test_times_before_now_count_from_the_clock_that_is_given(text: str, node: object) -> None:
    assert parse(text, now_ns=NOON) == node


def test_names_are_written_small_ours_as_all_others() -> None:
    for text in ("SINCE: 15m", "Since: 15m"):
        with pytest.raises(QueryError, match="did you mean since"):
            parse(text)


def test_a_query_counts_all_its_times_from_one_moment() -> None:
    one, other = parse("since: 1h and since: 1h").parts  # type: ignore[union-attr]
    assert one == other


def test_without_a_clock_times_count_from_this_machine_s() -> None:
    before = time.time_ns()
    found = parse("since: 1m")
    assert isinstance(found, Range)
    assert rfc3339(before - 60_000_000_000) <= str(found.gte) <= rfc3339(time.time_ns() - 60_000_000_000)


def test_since_and_until_bound_what_is_found_as_the_options_of_these_names_do() -> None:
    query = parse("since: 15m and until: 5m", now_ns=NOON)
    minutes = [
        minute for minute in range(30) if matches(query, {"@timestamp": rfc3339(NOON - minute * 60_000_000_000)})
    ]
    assert minutes == list(range(6, 16))


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("500ms", 500_000_000),
        ("1.5s", 1_500_000_000),
        ("2m", 120_000_000_000),
        ("1h", 3_600_000_000_000),
        ("1d", 86_400_000_000_000),
        ("250us", 250_000),
        ("250µs", 250_000),
        ("1.000000001s", 1_000_000_001),
        ("7ns", 7),
        ("1500000", 1_500_000),
    ],
)
def test_lengths_of_time_have_units_and_without_one_are_nanoseconds(text: str, ns: int) -> None:
    assert parse(f"dur > {text}") == Range("event.duration", gt=ns)
    assert parse(f"event.duration: {text}") == Match("event.duration", ns)


def test_only_lengths_of_time_have_units() -> None:
    for text in ("status > 5s", "event.sequence: 5s", "clusterlog.metrics.took > 5ms"):
        with pytest.raises(QueryError, match="is a number of at most 64 bits"):
            parse(text)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("has: exception", Exists("error.type")),
        ("has: user", Exists("user.hash")),
        ("has: labels.order", Exists("labels.order")),
        ("has: (exception and not request)", And((Exists("error.type"), Not(Exists("http.request.id"))))),
    ],
)
def test_has_asks_whether_there_is_a_value(text: str, node: object) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        (f"user: {HASH}", Match("user.hash", HASH)),
        (f"session: {HASH}", Match("clusterlog.session.hash", HASH)),
        ("user: 3f9a*", Wildcard("user.hash", ("3f9a", ""))),
        ("user: *", Exists("user.hash")),
        ("user.hash: alice", Match("user.hash", "alice")),
    ],
)
def test_hashes_their_beginnings_and_what_stands_at_the_field_s_own_name_are_asked_as_they_are(
    text: str, node: object
) -> None:
    assert parse(text) == node


def _conditions() -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("level {} {}".format, st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from(["warn", "INFO"])),
        st.builds("{}: {}{}".format, st.sampled_from(["since", "until"]), st.integers(0, 99), st.sampled_from("smhdw")),
        st.builds("dur > {}{}".format, st.integers(0, 99), st.sampled_from(["ns", "us", "ms", "s", "m", "h", "d"])),
        st.builds("has: {}".format, st.sampled_from(["exception", "user", "labels.x"])),
        st.sampled_from([f"user: {HASH}", "session: 3f*", "@timestamp >= now-5m", "@timestamp: 2026-11-03"]),
    )


@given(st.lists(_conditions(), min_size=1, max_size=5), st.sampled_from([" and ", " or ", " and not "]))
def test_what_is_ours_is_written_as_conditions_that_need_no_clock(conditions: list[str], between: str) -> None:
    query = parse(between.join(conditions), now_ns=NOON)
    written = render(query)
    assert parse(written, now_ns=0) == query
    assert not {"since", "until", "has", "dur", "now"} & set(written.replace(":", " ").split())
