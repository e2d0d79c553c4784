"""Queries as JSON: what is asked here is asked there, and what is no query is refused in one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.errors import QueryError
from clusterlog.search.language.parsing import parse
from clusterlog.store.query import And, Everything, Exists, Match, Not, Or, Query, Range, Wildcard
from clusterlog.store.wire import DEEPEST, LONGEST, MOST_NODES, decoded, encoded, stamp
from clusterlog.testing.strategies import queries, typed_queries

values = st.one_of(
    st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.just("\ud800")
)
fields = st.text()
anything = st.recursive(
    st.one_of(
        st.just(Everything()),
        st.builds(Match, fields | st.none(), values, st.booleans()),
        st.builds(Wildcard, fields | st.none(), st.lists(st.text(), min_size=1).map(tuple)),
        st.builds(Range, fields, *[values | st.none()] * 4),
        st.builds(Exists, fields),
    ),
    lambda inner: st.one_of(
        st.lists(inner).map(lambda parts: And(tuple(parts))),
        st.lists(inner).map(lambda parts: Or(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=8,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(("and", "match", "where")), inner),
)


def typed(value):
    """Equal values of different types are different questions: ``1``, ``1.0`` and ``True``."""
    return repr(value)


@given(queries(anything))
def test_a_query_comes_back_as_it_was_sent(query):
    assert typed(decoded(encoded(query))) == typed(query)


@given(typed_queries())
def test_what_people_type_comes_back_as_it_was_meant(text):
    query = Query(parse(text, now_ns=1_700_000_000_000_000_000))
    assert decoded(encoded(query)) == query


def test_defaults_are_left_out_and_an_empty_object_is_the_default_query():
    assert encoded(Query()) == b"{}"
    assert decoded(b"{}") == decoded(b"") == Query()


def test_times_are_told_with_nine_digits_and_zones_are_understood():
    assert json.loads(encoded(Query(since=1, until=1_700_000_000_123_456_789))) == {
        "since": "1970-01-01T00:00:00.000000001Z",
        "until": "2023-11-14T22:13:20.123456789Z",
    }
    assert decoded(b'{"since": "2023-11-14T23:13:20+01:00"}').since == 1_700_000_000_000_000_000


@pytest.mark.parametrize(("time", "told"), [(-(10**30), "0001-01-01T00:00:00.000000000Z"), (10**30, "9999-12-31T")])
def test_a_bound_that_no_event_lies_beyond_becomes_the_nearest_there_is(time, told):
    assert stamp(time).startswith(told)
    assert decoded(encoded(Query(since=time))).since is not None


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_number_json_has_not_is_not_sent(value):
    with pytest.raises(QueryError, match="infinite, or none"):
        encoded(Query(Match("a", value)))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (b"", None),
        (b"[]", "the query: expected an object"),
        (b"5", "the query: expected an object"),
        (b"{", "the query is not JSON: "),
        (b"\xff", "the query is not JSON: "),
        (b'{"since": NaN}', "the query is not JSON: NaN is no JSON value"),
        (b'{"query": {}}', "the query: expected where, since, until, order, limit, after in it, and not 'query'"),
        (b'{"since": 5}', "since: expected a time such as 2026-11-03T12:00:00Z"),
        (b'{"until": null}', "until: expected a time such as "),
        (b'{"order": "up"}', "order: expected newest or oldest"),
        (b'{"limit": -1}', "limit: expected a number of events, or null for all"),
        (b'{"limit": true}', "limit: expected a number of events"),
        (b'{"limit": 1.5}', "limit: expected a number of events"),
        (b'{"after": ["2026-11-03T12:00:00Z"]}', "after: expected the time and the event.id"),
        (b'{"after": [1, "a"]}', "after[0]: expected a time"),
        (b'{"where": {}}', "where: expected an object with one of and, or, not, "),
        (b'{"where": {"and": [], "or": []}}', "where: expected an object with one of and, or, not, "),
        (b'{"where": {"xor": []}}', "where: expected one of and, or, not, match, wildcard, range, exists, everything"),
        (b'{"where": {"and": {}}}', "where.and: expected a list of conditions"),
        (b'{"where": {"and": [{"not": {"match": 5}}]}}', "where.and[0].not.match: expected an object"),
        (b'{"where": {"everything": {"a": 1}}}', "where.everything: expected nothing in it, and not 'a'"),
        (b'{"where": {"match": {"value": 1}}}', "where.match.field: expected the name of a field, or null"),
        (b'{"where": {"match": {"field": "a"}}}', "where.match.value: expected a text, a number, true or false"),
        (b'{"where": {"match": {"field": "a", "value": null}}}', "where.match.value: expected a text"),
        (b'{"where": {"match": {"field": "a", "value": []}}}', "where.match.value: expected a text"),
        (b'{"where": {"match": {"field": "a", "value": 1e999}}}', "where.match.value: expected a number that is not"),
        (b'{"where": {"match": {"field": "a", "value": 1, "phrase": 1}}}', "where.match.phrase: expected true"),
        (b'{"where": {"wildcard": {"field": "a", "pattern": []}}}', "where.wildcard.pattern: expected a list"),
        (b'{"where": {"wildcard": {"field": "a", "pattern": ["a", 1]}}}', "where.wildcard.pattern: expected a list"),
        (b'{"where": {"range": {"gt": 1}}}', "where.range.field: expected the name of a field"),
        (b'{"where": {"range": {"field": null}}}', "where.range.field: expected the name of a field"),
        (b'{"where": {"range": {"field": "a", "gt": null}}}', "where.range.gt: expected a text"),
        (b'{"where": {"range": {"field": "a", "above": 1}}}', "where.range: expected field, gt, gte, lt, lte in it"),
        (b'{"where": {"exists": {"field": 5}}}', "where.exists.field: expected the name of a field"),
        (b"9" * 5000, "the query is not JSON: "),
    ],
)
def test_what_is_no_query_is_refused_with_its_place_in_one_line(told, reason):
    if reason is None:
        assert decoded(told) == Query()
        return
    with pytest.raises(QueryError) as caught:
        decoded(told)
    assert str(caught.value).startswith(reason)
    assert str(caught.value).isprintable()


@given(json_values)
def test_any_other_json_is_a_query_or_a_refusal(value):
    try:
        found = decoded(json.dumps(value).encode())
    except QueryError as error:
        refusal, found = str(error), Query()
    else:
        refusal = ""
    assert "\n" not in refusal
    assert typed(decoded(encoded(found))) == typed(found)


def nested(depth, inner=b'{"everything": {}}'):
    return b'{"where": ' + b'{"not": ' * depth + inner + b"}" * depth + b"}"


def test_conditions_within_conditions_are_counted():
    assert decoded(nested(DEEPEST - 1))
    for depth in (DEEPEST, 5_000, 500_000):
        with pytest.raises(QueryError, match="nested too deeply"):
            decoded(nested(depth))


def test_so_are_conditions_beside_each_other_and_bytes():
    many = ",".join(['{"everything": {}}'] * MOST_NODES)
    with pytest.raises(QueryError, match=r"more than 50,000 conditions"):
        decoded(f'{{"where": {{"or": [{many}]}}}}'.encode())
    with pytest.raises(QueryError, match="longer than 8 MiB"):
        decoded(b" " * LONGEST + b"{}")
