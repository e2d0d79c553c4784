"""What each condition becomes in the language of Elasticsearch and OpenSearch, by how its field is mapped."""

from __future__ import annotations

import pytest

from clusterlog.search.language.parsing import parse
from clusterlog.store.elasticsearch.dsl import DEEPEST, MOST_CLAUSES, condition, window
from clusterlog.store.elasticsearch.reading.clauses import ALL, NONE, depth, size
from clusterlog.store.elasticsearch.reading.mapping import Mapping
from clusterlog.store.query import And, Everything, Exists, Match, Not, Or, Range, Wildcard

NOON = 1_793_707_200_000_000_000
STAMP = "2026-11-03T12:00:00.000000000Z"


def mapping(**more):
    """As ``_field_caps`` tells it: field → its type, or several types with the indices that have each."""
    told = {}
    for name, kinds in more.items():
        each = kinds if isinstance(kinds, dict) else {kinds: ()}
        told[name] = {
            kind: {"type": kind, "searchable": True, **({"indices": list(indices)} if indices else {})}
            for kind, indices in each.items()
        }
    return Mapping.read({"indices": ["one", "two"], "fields": told})


FULL = mapping(
    **{
        "@timestamp": "date_nanos",
        "client.geo.location": "geo_point",
        "clusterlog.metrics.ms": "double",
        "error": "object",
        "error.message": "text",
        "error.stack_trace": "text",
        "error.type": "keyword",
        "event.created": "date",
        "host.ip": "ip",
        "http.request.id": "keyword",
        "http.response.status_code": "long",
        "labels": "flattened",
        "message": "text",
        "process.alive": "boolean",
    }
)
"""The fields as our templates map them for Elasticsearch."""

REDUCED = mapping(**{"@timestamp": "date_nanos", "labels": "flat_object", "message": "match_only_text"})
"""As OpenSearch has them."""

BARE = mapping(
    **{
        "@timestamp": "date",
        "http.request.id": "text",
        "http.request.id.keyword": "keyword",
        "labels": "object",
        "labels.n": "long",
        "labels.note": "text",
        "message": "text",
        "message.keyword": "keyword",
        "error.stack_trace": "wildcard",
        "error.stack_trace.text": "match_only_text",
        "error.message": "keyword",
    }
)
"""As a server without our templates makes them of the first events it gets, or of ECS alone."""

ID, STATUS, MS, TYPE = "http.request.id", "http.response.status_code", "clusterlog.metrics.ms", "error.type"


def term(field, value):
    return {"term": {field: value}}


def terms(field, *values):
    return {"terms": {field: list(values)}}


def there(field):
    return {"exists": {"field": field}}


def fits(field, pattern):
    return {"wildcard": {field: {"value": pattern}}}


def ignored(field):
    return term("_ignored", field)


def any_of(*clauses):
    return {"bool": {"should": list(clauses)}}


def all_of(*clauses):
    return {"bool": {"filter": list(clauses)}}


def none_of(*clauses):
    return {"bool": {"must_not": list(clauses)}}


def between(field, **bounds):
    return {"range": {field: bounds}}


LETTERS = "a-z0-9ß-öø-ɏά-ώа-ҁҊ-ԯ"
SIGNS = "!-/:-@\\[-`{-~\u00b7\u2018\u2019\u2024\u2027\u203f\u2040\u0300-\u036f"


def expression(field, value):
    return {"regexp": {field: {"value": value, "flags": "NONE"}}}


def maybe(field, inside):
    """Terms in which something may stand by itself."""
    return expression(field, f"(.*[^{LETTERS}])?{inside}([^{LETTERS}].*)?")


def sure(field, inside):
    """Terms in which it does."""
    return expression(field, f"(.*[{SIGNS}])?{inside}([{SIGNS}].*)?")


def joined(field, word):
    return expression(field, f"(.*[^{LETTERS}]){word}([^{LETTERS}].*)?|{word}[^{LETTERS}].*")


def words(field, text):
    return {"match": {field: {"query": text, "operator": "and"}}}


def phrase(field, text):
    return {"match_phrase": {field: {"query": text}}}


LONG = "x" * 300
UNINDEXED = any_of(there(TYPE), ignored(TYPE))


@pytest.mark.parametrize(
    ("node", "known", "clause"),
    [
        (Everything(), FULL, ALL),
        (Match(ID, "abc"), FULL, term(ID, "abc")),
        (Match(ID, "abc"), BARE, term(f"{ID}.keyword", "abc")),
        (Match("labels.a", "x y"), FULL, term("labels.a", "x y")),
        (Match("labels.a", "x y"), REDUCED, term("labels.a", "x y")),
        (Match("labels.a", True), FULL, term("labels.a", "true")),
        (Match(STATUS, 500), FULL, term(STATUS, 500)),
        (Match("labels.n", "5"), BARE, term("labels.n", 5)),
        (Match(MS, 5), FULL, term(MS, 5.0)),
        (Match(MS, 2.5), FULL, term(MS, 2.5)),
        (Match("process.alive", True), FULL, term("process.alive", True)),
        (Match("message", "?!"), FULL, NONE),
        (Match("labels", "x"), FULL, NONE),
        (Wildcard("message", ("", " ", "")), FULL, NONE),
        (Range(STATUS, gte=500, lt=600), FULL, between(STATUS, gte=500, lte=599)),
        (Range(STATUS, gte=True), FULL, NONE),
        (Range(MS, gt=1, gte=2), FULL, all_of(between(MS, gt=1.0), between(MS, gte=2.0))),
        (Range(MS, gt=1, lte=2.5), FULL, between(MS, gt=1.0, lte=2.5)),
        (Range("@timestamp", gte=STAMP), FULL, between("@timestamp", gte=STAMP)),
        (
            Range("@timestamp", gt="2026-11-03T13:00:00+01:00", lte=STAMP),
            FULL,
            between("@timestamp", gte="2026-11-03T12:00:00.000000001Z", lt="2026-11-03T12:00:00.000000001Z"),
        ),
        (Range("@timestamp", gte="1960-01-01T00:00:00Z"), FULL, there("@timestamp")),
        (Range("@timestamp", lt="1960-01-01T00:00:00Z"), FULL, NONE),
        (Range("@timestamp", gte="2300-01-01T00:00:00Z"), FULL, NONE),
        (Exists("labels.a"), FULL, there("labels.a")),
        (And(()), FULL, ALL),
        (Or(()), FULL, NONE),
        (Not(Everything()), FULL, NONE),
        (Not(Match(ID, "a")), FULL, none_of(term(ID, "a"))),
        (Not(Not(Match(ID, "a"))), FULL, term(ID, "a")),
        (
            And((Match(ID, "a"), Not(Match(ID, "b")))),
            FULL,
            {"bool": {"filter": [term(ID, "a")], "must_not": [term(ID, "b")]}},
        ),
        (Or((Match(ID, "a"), Match(ID, "b"), Match(TYPE, "c"))), FULL, any_of(terms(ID, "a", "b"), term(TYPE, "c"))),
        (And((Match(ID, "a"), And((Match(TYPE, "b"), Everything())))), FULL, all_of(term(ID, "a"), term(TYPE, "b"))),
    ],
)  # fmt: skip
def test_what_the_index_knows_all_about_is_one_clause(node, known, clause):
    part = condition(node, known)
    assert part.maybe == part.sure == clause
    assert part.exact


@pytest.mark.parametrize(
    ("node", "known", "maybe", "sure"),
    [
        # a number may have been written in several ways, and a text may look like one
        (Match("labels.n", "5"), FULL, terms("labels.n", "5", "5.0"), term("labels.n", "5")),
        (Match("labels.n", "5.0"), FULL, term("labels.n", "5.0"), NONE),
        (Match("labels.n", "1e-07"), FULL, terms("labels.n", "1e-07", "1e-7", "1.0E-7"), term("labels.n", "1e-07")),
        (Match("labels.n", "0.0000001"), FULL, terms("labels.n", "0.0000001", "1e-07", "1e-7", "1.0E-7"), NONE),
        (Match("labels.n", 25_000_000), FULL, terms("labels.n", "25000000", "25000000.0", "2.5E7"), None),
        (Match("labels.n", 0), FULL, terms("labels.n", "0", "0.0", "-0.0", "-0"), term("labels.n", "0")),
        (
            Wildcard("labels.n", ("25", "")),
            FULL,
            any_of(
                all_of({"prefix": {"labels.n": "25"}}, fits("labels", "25*")),
                all_of(there("labels.n"), fits("labels", "*.*E*")),
            ),
            NONE,
        ),
        # words may be joined to others in what a server takes for one term
        (Match("message", "OUT"), FULL, maybe("message", "out"), sure("message", "out")),
        (
            Match("message", "timed OUT"),
            FULL,
            all_of(maybe("message", "timed"), maybe("message", "out")),
            all_of(sure("message", "timed"), sure("message", "out")),
        ),
        (
            Match("message", "timed out", phrase=True),
            REDUCED,
            any_of(
                phrase("message", "timed out"),
                all_of(
                    maybe("message", "timed"),
                    maybe("message", "out"),
                    any_of(joined("message", "timed"), joined("message", "out")),
                ),
            ),
            phrase("message", "timed out"),
        ),
        (
            Match("error.stack_trace", "oops"),
            BARE,
            maybe("error.stack_trace.text", "oops"),
            sure("error.stack_trace.text", "oops"),
        ),
        (Wildcard("message", ("tim", "")), FULL, maybe("message", "tim.*"), sure("message", f"tim[{LETTERS}]*")),
        (
            Wildcard("message", ("", "d OUT", "")),
            FULL,
            all_of(maybe("message", ".*d"), maybe("message", "out.*")),
            all_of(sure("message", f"[{LETTERS}]*d"), sure("message", f"out[{LETTERS}]*")),
        ),
        (Match("message", "連接 out"), FULL, all_of(words("message", "連接"), maybe("message", "out")), NONE),
        (Wildcard("message", ("a", "b", "c", "d", "e")), FULL, fits("message", "*a*b*c*d*e*"), NONE),
        # a value longer than the index takes stands in _ignored, if it is kept at all
        (Match(ID, LONG), FULL, any_of(term(ID, LONG), ignored(ID)), term(ID, LONG)),
        (Match("labels.a", LONG), FULL, term("labels.a", LONG), term("labels.a", LONG)),
        (Wildcard(ID, ("a", "b*?\\")), FULL, any_of(fits(ID, "a*b\\*\\?\\\\"), ignored(ID)), fits(ID, "a*b\\*\\?\\\\")),
        (Exists(TYPE), FULL, UNINDEXED, there(TYPE)),
        (
            Exists("error"),
            FULL,
            any_of(there("error"), ignored("error"), {"prefix": {"_ignored": "error."}}),
            there("error"),
        ),
        (Exists("no.such"), FULL, any_of(ignored("no.such"), {"prefix": {"_ignored": "no.such."}}), NONE),
        (Match("no.such", "x"), FULL, ignored("no.such"), NONE),
        # numbers: what does not fit the field is not indexed, what is rounded may be another
        (Match(STATUS, "abc"), FULL, ignored(STATUS), NONE),
        (Match(STATUS, 2**70), FULL, ignored(STATUS), NONE),
        (Match(STATUS, "5.0"), FULL, term(STATUS, 5), NONE),
        (Match(MS, 2**60), FULL, term(MS, float(2**60)), NONE),
        (Range(MS, gt=2**60), FULL, between(MS, gte=float(2**60)), NONE),
        # values that a field can say nothing about but that they are there
        (Range(TYPE, gte=5), FULL, UNINDEXED, NONE),
        (Range(TYPE, gte="5"), FULL, UNINDEXED, NONE),
        (Range(TYPE, gte=STAMP), FULL, UNINDEXED, NONE),
        (
            Range(STATUS, gt=1.5),
            FULL,
            any_of(between(STATUS, gte=2, lte=2**63 - 1), ignored(STATUS)),
            between(STATUS, gte=2, lte=2**63 - 1),
        ),
        (Range(STATUS, gte=2**70), FULL, ignored(STATUS), NONE),
        (
            Range("event.created", gte=STAMP),
            FULL,
            any_of(between("event.created", gte=STAMP), ignored("event.created")),
            between("event.created", gte=STAMP),
        ),
        (Range(TYPE, gte="a"), FULL, any_of(between(TYPE, gte="a"), ignored(TYPE)), between(TYPE, gte="a")),
        (Range("labels.a", gte=5), FULL, there("labels.a"), NONE),
        (Range(STATUS), FULL, any_of(there(STATUS), ignored(STATUS)), NONE),
        (Match("host.ip", "10.0.0.1"), FULL, term("host.ip", "10.0.0.1"), NONE),
        (Match("host.ip", "10.0.0.0/8"), FULL, ignored("host.ip"), NONE),
        (Match("client.geo.location", "x"), FULL, None, NONE),
        (Match("@timestamp", STAMP), FULL, between("@timestamp", gte=STAMP, lt="2026-11-03T12:00:00.000000001Z"), NONE),
        (Match("process.alive", "x"), FULL, any_of(term("process.alive", False), ignored("process.alive")), NONE),
        (Match("process.alive", ""), FULL, any_of(term("process.alive", False), ignored("process.alive")), NONE),
        # patterns over a flattened field can be asked of its beginning, and of all of its values together
        (Wildcard("labels.a", ("x", "y")), FULL, all_of({"prefix": {"labels.a": "x"}}, fits("labels", "x*y")), NONE),
        (Wildcard("labels.a", ("", "y")), FULL, all_of(there("labels.a"), fits("labels", "*y")), NONE),
        (Wildcard("labels.a", ("", "5")), REDUCED, any_of(fits("labels.a", "*5"), fits("labels.a", "*5.0")), NONE),
        (Wildcard("labels.note", ("", "y")), BARE, None, NONE),
        # words in a field that is not cut into words
        (
            Match("error.message", "Größe timeout"),
            BARE,
            any_of(
                all_of(
                    {"wildcard": {"error.message": {"value": "*gr**e*", "case_insensitive": True}}},
                    {"wildcard": {"error.message": {"value": "*timeout*", "case_insensitive": True}}},
                ),
                ignored("error.message"),
            ),
            NONE,
        ),
        (Match("message", LONG), FULL, words("message", LONG), NONE),
        # by milliseconds alone, the events of the first and the last one decide
        (
            Range("@timestamp", gte="2026-11-03T12:00:00.0005Z", lt="2026-11-03T12:00:00.0025Z"),
            BARE,
            between("@timestamp", gte=STAMP, lt="2026-11-03T12:00:00.003000000Z"),
            between("@timestamp", gte="2026-11-03T12:00:00.001000000Z", lt="2026-11-03T12:00:00.002000000Z"),
        ),
        # not: what may match and what surely does change places
        (Not(Match("labels.n", "5")), FULL, none_of(term("labels.n", "5")), none_of(terms("labels.n", "5", "5.0"))),
        (Not(Wildcard("labels.a", ("", "y"))), FULL, ALL, None),
        (Match("a*", "x"), FULL, ALL, NONE),
    ],
)  # fmt: skip
def test_what_it_does_not_know_lies_between_two_clauses(node, known, maybe, sure):
    part = condition(node, known)
    assert part.maybe == maybe or maybe is None
    assert part.sure == sure or sure is None
    assert part.exact == (part.maybe == part.sure)


def test_a_question_without_a_field_asks_every_text():
    part = condition(Match(None, "out"), FULL)
    texts = ("message", "error.message", "error.stack_trace")
    assert part.maybe == any_of(*(maybe(field, "out") for field in texts))
    assert part.sure == any_of(*(sure(field, "out") for field in texts))


def test_indices_that_map_a_field_in_two_ways_are_asked_apart():
    mixed = mapping(**{STATUS: {"long": ["one"], "keyword": ["two"]}})
    part = condition(Match(STATUS, 500), mixed)
    one, two = terms("_index", "one"), terms("_index", "two")
    assert part.maybe == any_of(all_of(one, term(STATUS, 500)), all_of(two, terms(STATUS, "500", "500.0")))
    assert part.sure == any_of(all_of(one, term(STATUS, 500)), all_of(two, term(STATUS, "500")))


def test_a_field_that_is_not_indexed_leaves_it_to_the_events():
    blind = Mapping.read({"fields": {TYPE: {"keyword": {"type": "keyword", "searchable": False}}}})
    part = condition(Match(TYPE, "x"), blind)
    assert (part.maybe, part.sure) == (ALL, NONE)


@pytest.mark.parametrize("piece", ["a", "ab", "x" * 100])
def test_a_long_pattern_is_asked_by_a_part_of_it_that_a_server_takes(piece):
    whole = ("", *[piece] * 1_000, "")
    part = condition(Wildcard(TYPE, whole), FULL)
    asked = part.maybe["bool"]["should"][0]["wildcard"][TYPE]["value"]
    assert len(asked) < 2_000
    assert part.sure == NONE
    assert condition(Wildcard("message", whole), FULL).maybe == any_of(there("message"), ignored("message"))


def test_very_many_values_of_one_field_are_one_clause():
    part = condition(Or(tuple(Match(ID, f"request-{n}") for n in range(2_000))), FULL)
    assert size(part.maybe) == 1
    assert part.exact


def test_more_conditions_than_a_server_takes_are_left_to_the_events():
    many = Or(tuple(Match("message", f"word{n}") for n in range(2_000)))
    assert (condition(many, FULL).maybe, condition(many, FULL).sure) == (ALL, NONE)
    both = condition(And((Match(ID, "a"), many, Match(TYPE, "b"))), FULL)
    assert both.maybe == all_of(term(ID, "a"), term(TYPE, "b"))
    all_words = condition(And(tuple(Match("message", f"word{n}") for n in range(2_000))), FULL)
    assert size(all_words.maybe) == MOST_CLAUSES
    assert all_words.sure == NONE


def test_conditions_nested_deeper_than_a_server_takes_are_left_to_the_events():
    node = Match(ID, "inside")
    for number in range(100):
        node = And((Or((node, Match(ID, f"or {number}"))), Match(TYPE, f"and {number}")))
    part = condition(node, FULL)
    assert depth(part.maybe) <= DEEPEST
    assert part.maybe["bool"]["filter"][-1] == term(TYPE, "and 99")
    assert not part.exact


def test_a_window_in_time_is_exact_where_nanoseconds_are_kept():
    part = window(NOON, NOON + 1, FULL)
    assert part.maybe == part.sure == between("@timestamp", gte=STAMP, lt="2026-11-03T12:00:00.000000001Z")
    assert window(None, None, FULL).maybe == ALL
    assert not window(NOON, NOON + 1, BARE).exact


def test_what_people_type_is_asked_in_the_words_of_the_mapping():
    asked = condition(parse('level: error and status >= 500 and not request: abc and "timed out"'), FULL)
    assert asked.maybe == {
        "bool": {
            "filter": [
                ignored("log.level"),
                any_of(between(STATUS, gte=500, lte=2**63 - 1), ignored(STATUS)),
                condition(Match(None, "timed out", phrase=True), FULL).maybe,
            ],
            "must_not": [term(ID, "abc")],
        }
    }
