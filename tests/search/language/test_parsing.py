from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.errors import QueryError
from clusterlog.search.language.parsing import DEEPEST, LONGEST, parse
from clusterlog.search.language.reading import MOST_CONDITIONS
from clusterlog.store.query import And, Everything, Exists, Match, Node, Not, Or, Range, Wildcard

A, B, C = (Match("labels.x", value) for value in "abc")
STATUS = "http.response.status_code"


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("", Everything()),
        (" \n\t ", Everything()),
        ("*", Everything()),
        ("*: *", Everything()),
        ("labels.x: a", A),
        ("labels.x:a", A),
        ("labels.x :a", A),
        ("(labels.x: a)", A),
        ("labels.x: *", Exists("labels.x")),
        ("timeout", Match(None, "timeout")),
        ("connection  timed\nout", Match(None, "connection timed out")),
        ('"connection timed out"', Match(None, "connection timed out", phrase=True)),
        ("message: payment failed", Match("message", "payment failed")),
        ('error.stack_trace: "in charge"', Match("error.stack_trace", "in charge", phrase=True)),
        ('""', Match(None, "", phrase=True)),
        ("android notes oreo", Match(None, "android notes oreo")),
    ],
)
def test_a_condition_is_a_field_with_a_value_or_words_for_the_text_fields(text: str, node: Node) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("labels.x: a and labels.x: b or labels.x: c", Or((And((A, B)), C))),
        ("labels.x: a or labels.x: b and labels.x: c", Or((A, And((B, C))))),
        ("labels.x: a and (labels.x: b or labels.x: c)", And((A, Or((B, C))))),
        ("labels.x: a AND labels.x: b And labels.x: c", And((A, B, C))),
        ("(labels.x: a and labels.x: b) and labels.x: c", And((And((A, B)), C))),
        ("not labels.x: a and labels.x: b", And((Not(A), B))),
        ("NOT (labels.x: a or labels.x: b)", Not(Or((A, B)))),
        ("not(labels.x: a)", Not(A)),
        ("labels.x: (a or b)", Or((A, B))),
        ("labels.x: (a or not b and c)", Or((A, And((Not(B), C))))),
        ("labels.x: ((a or b) and not (c))", And((Or((A, B)), Not(C)))),
        ("labels.x: (a)", A),
    ],
)
def test_not_binds_before_and_before_or_and_parentheses_before_all(text: str, node: Node) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(
    ("short", "field"),
    [
        ("service", "service.name"),
        ("node", "service.node.name"),
        ("request", "http.request.id"),
        ("logger", "log.logger"),
        ("route", "clusterlog.route"),
        ("dataset", "event.dataset"),
        ("trace", "trace.id"),
        ("level", "log.level"),
        ("error", "error.message"),
    ],
)
def test_short_names_stand_for_ecs_fields(short: str, field: str) -> None:
    assert parse(f"{short}: a") == Match(field, "a") == parse(f'"{field}": a')


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("status: 502", Match(STATUS, 502)),
        ('status: "502"', Match(STATUS, 502)),
        ("status >= 500", Range(STATUS, gte=500)),
        ("status > 499 and status<600", And((Range(STATUS, gt=499), Range(STATUS, lt=600)))),
        ("event.duration <= 1.5e9", Range("event.duration", lte=1.5e9)),
        ("clusterlog.metrics.price: -0.5", Match("clusterlog.metrics.price", -0.5)),
        ("source.port: 443", Match("source.port", 443)),
        ("event.duration > 18446744073709551615", Range("event.duration", gt=18446744073709551615)),
        ("labels.order: 42", Match("labels.order", "42")),
        ("user_agent.version >= 12", Range("user_agent.version", gte=12)),
        ('user_agent.version >= "12"', Range("user_agent.version", gte="12")),
        ("host.name >= 12", Range("host.name", gte="12")),
    ],
)
def test_values_are_numbers_on_number_fields_and_text_elsewhere(text: str, node: Node) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("level: ERROR", Match("log.level", "error")),
        ("log.level: (Warning or E*)", Or((Match("log.level", "warning"), Wildcard("log.level", ("e", ""))))),
        ("logger: Shop", Match("log.logger", "Shop")),
    ],
)
def test_only_levels_are_the_same_in_any_case(text: str, node: Node) -> None:
    assert parse(text) == node


FIRST, LAST = "2026-11-03T00:00:00.000000000Z", "2026-11-03T23:59:59.999999999Z"


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ('@timestamp >= "2026-11-03T12:00:00+02:00"', Range("@timestamp", gte="2026-11-03T10:00:00.000000000Z")),
        ("@timestamp >= 2026-11-03", Range("@timestamp", gte=FIRST)),
        ("@timestamp < 2026-11-03", Range("@timestamp", lt=FIRST)),
        ("@timestamp > 2026-11-03", Range("@timestamp", gt=LAST)),
        ("@timestamp <= 2026-11-03", Range("@timestamp", lte=LAST)),
        ("@timestamp: 2026-11-03", And((Range("@timestamp", gte=FIRST), Range("@timestamp", lte=LAST)))),
        ('@timestamp: "2026-11-03T00:00:00Z"', Match("@timestamp", FIRST)),
    ],
)
def test_times_become_canonical_and_a_date_is_its_whole_day(text: str, node: Node) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("node: shop-*", Wildcard("service.node.name", ("shop-", ""))),
        ("node: *-1", Wildcard("service.node.name", ("", "-1"))),
        ("url.path: /a b/**/c", Wildcard("url.path", ("/a b/", "/c"))),
        ("time*", Wildcard(None, ("time", ""))),
        ("message: time* bank c*d now", And((
            Match("message", "bank now"), Wildcard("message", ("time", "")), Wildcard("message", ("c", "d")),
        ))),
        ('node: "shop-*"', Match("service.node.name", "shop-*")),
        (r"node: shop-\*", Match("service.node.name", "shop-*")),
        (r"node: \**", Wildcard("service.node.name", ("*", ""))),
        (r"node: \\*", Wildcard("service.node.name", ("\\", ""))),
    ],
)  # fmt: skip
def test_stars_stand_for_any_characters_and_on_text_are_about_one_word(text: str, node: Node) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\(a\)\:\<\>\{\}\"\*\\", '(a):<>{}"*\\'),
        (r"a \and b \OR \not", "a and b OR not"),
        (r"a\tb\nc\r", "a\tb\nc\r"),
        (r"\u0041\u00e4\u20ac", "Aä€"),
        (r"\ud83d\ude00", "😀"),
        (r"a\u0020\u0020b", "a  b"),
        (r"\nothing", "\nothing"),
        ('"a\\"b\\\\c\\u0041\\n\\d"', 'a"b\\cA\n\\d'),
        ('"and or not : ( * {"', "and or not : ( * {"),
        ('"two\nlines"', "two\nlines"),
    ],
)
def test_escapes_are_those_of_kql(text: str, value: str) -> None:
    assert parse(f"labels.x: {text}") == Match("labels.x", value)


def test_a_range_on_a_label_is_asked_of_the_metric_of_its_name() -> None:
    assert parse("labels.price >= 12.5", metrics=frozenset({"price"})) == Range("clusterlog.metrics.price", gte=12.5)
    assert parse("labels.price: 12", metrics=frozenset({"price"})) == Match("labels.price", "12")
    with pytest.raises(QueryError, match='add "price" to the setting metrics'):
        parse("labels.price >= 12.5", metrics=frozenset({"weight"}))


@pytest.mark.parametrize(
    ("text", "offending", "message"),
    [
        ("servce: a", "servce", 'no field "servce": did you mean service'),
        ("level: a and loger: b", "loger", "did you mean logger"),
        ("status_code: 5", "status_code", "http.response.status_code or clusterlog.call.status_code"),
        ("hostname: x", "hostname", "did you mean host.name"),
        ("order_id: 5", "order_id", "fields of your own are written labels.order_id"),
        ("http: 5", "http", "is an object: name a field in it, such as http.request.id"),
        ("labels: *", "labels", "such as labels.order_id"),
        ("labels.: 5", "labels.", "no field"),
        ("http..id: 5", "http..id", "no field"),
        ("labels.*: 5", "labels.*", "field names have no wildcards: name the field, such as message"),
        ("*: 5", "*", "field names have no wildcards"),
        ("trace.*: 5", "trace.*", "such as trace.id"),
        ("*.status_code: 5", "*.status_code", "such as clusterlog.call.status_code, http.response.status_code"),
        ("status: 5*", "5*", "is a number: write a range"),
        ("status: many", "many", "is a number of at most 64 bits"),
        ("status: 400 404", "400 404", "one number is expected"),
        ("status > 99999999999999999999", "99999999999999999999", "at most 64 bits"),
        ("status > 1e999", "1e999", "at most 64 bits"),
        ("status > nan", "nan", "at most 64 bits"),
        ("status > " + "9" * 5000, "9" * 5000, "at most 64 bits"),
        ("@timestamp > yesterday", "yesterday", 'is a time: write "2026-11-03T12:00:00Z", 2026-11-03 or now-15m'),
        ("@timestamp > now-15m/m", "now-15m/m", "is a time"),
        ("@timestamp > now-*", "now-*", "a range has no wildcards"),
        ("@timestamp: now-*", "now-*", "is a time"),
        ('@timestamp > "0001-01-01T00:00:00+02:00"', '"0001-01-01T00:00:00+02:00"', "between the years 1 and 9999"),
        ("message > a", "message", "is text and has no order"),
        ("level >= 30", "30", "levels are, from the lowest, trace, debug, info, notice, warning, error, critical"),
        ("level > w*", "w*", "a range has no wildcards"),
        ("dur > fast", "fast", "is a length of time: write 500ms, 1.5s or 2m"),
        ("dur > 99999999999d", "99999999999d", "is a length of time"),
        ("since: yesterday", "yesterday", "'yesterday' is not a time: write 2026-11-03T12:00:00Z"),
        ("since: 1*", "1*", "a time is expected here"),
        ("since > 15m", "since", "since is followed by a colon: since: 15m"),
        ("since: 11:50", "11", 'quotes around a value that contains ":"'),
        ("sinc: 15m", "sinc", "did you mean since"),
        ("has: stacktrace", "stacktrace", 'no field "stacktrace": did you mean error.stack_trace'),
        ("has: *", "*", "has takes the name of a field"),
        ("has: user*", "user*", "has takes the name of a field"),
        ("user: alice", "alice", "users are kept as hashes, and this is none: .* there is --user"),
        ("user: (3f9a* or alice smith)", "alice smith", "there is --user"),
        ('session: "s3cr3t"', '"s3cr3t"', "sessions are kept as hashes, and this is none"),
        ("source.ip > 10.*", "10.*", "a range has no wildcards"),
        ("message: a * b", "*", "leave it out"),
        ("foo level: error", "level", 'put "and" or "or" before "level"'),
        ("url.full: http://shop/", "http", 'quotes around a value that contains ":"'),
        ("level: error status >= 500", "status", 'put "and" or "or" before "status"'),
        ("status:>500", ":", "leave out the colon: a range is written field > 5"),
        ("a (b)", "(", r'expected "and", "or" or the end, found "\('),
        ("a)", ")", 'expected "and", "or" or the end, found'),
        ("()", ")", "expected a condition"),
        ("or a", "or", "expected a condition"),
        ("a and or b", "or", "expected a condition"),
        ("not not a", "not", r'expected a value or "\(", found "not"'),
        ("labels.x: and", "and", r'expected a value or "\("'),
        ("status >= or", "or", "expected a value, found"),
        ('a and "b c', '"b c', "the quote that begins here has no end"),
        (r"\d", r"\d", r"before 'd' means nothing: write \\\\ for a backslash"),
        ("trace: {id: 5}", "{", "nested queries are not understood"),
    ],
)
def test_an_error_points_at_the_offending_text_and_says_what_was_expected(
    text: str, offending: str, message: str
) -> None:
    with pytest.raises(QueryError, match=message) as told:
        parse(text)
    error = told.value
    assert text[error.position : error.position + error.length] == offending
    assert error.query == text
    assert "\n" not in str(error)
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a and", "ends where a condition is expected"),
        ("a and not ", "ends where"),
        ("(a", r'ends where "and", "or" or "\)" is expected'),
        ("level:", r'ends where a value or "\("'),
        ("status >=  ", "ends where a value is expected"),
        ("labels.x: (a or", "ends where"),
    ],
)
def test_half_a_query_is_answered_with_what_is_expected_behind_its_end(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message) as told:
        parse(text)
    assert told.value.position == len(text.rstrip())


def test_a_query_is_read_up_to_100000_characters() -> None:
    longest = "labels.x: (" + " or ".join(["a" * 46] * 1_999) + ")"
    longest += " " * (LONGEST - len(longest))
    assert len(parse(longest).parts) == 1_999  # type: ignore[union-attr]
    with pytest.raises(QueryError, match=f"has {LONGEST + 1} characters: at most {LONGEST}"):
        parse(longest + " ")
    with pytest.raises(QueryError, match="has 1000000 characters"):
        parse("level: error " * 76_923 + "a")


@pytest.mark.parametrize(
    ("piece", "between"),
    [("labels.x: a", " or "), ("a*", " "), ("not dur > 5", " and "), ("since: 1m", " and "), ("has: user", " or ")],
)
def test_a_query_has_at_most_2000_conditions(piece: str, between: str) -> None:
    held = MOST_CONDITIONS - (between == " ")  # several words are one more, the condition they are together
    assert parse(between.join([piece] * held))
    with pytest.raises(QueryError, match="more than 2000 conditions: ask in several parts"):
        parse(between.join([piece] * (held + 1)))


@pytest.mark.parametrize("before", ["", "labels.x: "])
def test_parentheses_are_read_50_deep_and_no_deeper(before: str) -> None:
    assert parse(before + "(" * DEEPEST + "a" + ")" * DEEPEST) == parse(before + "a")
    assert parse("(a) and " * 100 + "(a)")
    for step in ("(", "(not ", "(a or "):
        with pytest.raises(QueryError, match="nested deeper than 50") as told:
            parse(before + step * 15_000)
        assert told.value.position == len(before) + DEEPEST * len(step)


@pytest.mark.parametrize("text", ["a\udc80", r"labels.x: \ud800", r'"\udfff"', r"node: a*\ud800", "\ud83d\ude00"])
def test_half_a_character_is_refused_because_no_store_could_be_asked_for_it(text: str) -> None:
    with pytest.raises(QueryError, match="surrogate"):
        parse(text)


ALPHABET = 'and or not ( ) : >= < " * \\ \\and \\u00 level status labels.x message @timestamp 2026-11-03 500 é \x00 {'
OURS = "since until has user dur 15m 5ms now warning".split()
PIECES = st.sampled_from([*ALPHABET.split(" "), *OURS, " ", "\n"])


@given(st.text(max_size=200) | st.lists(PIECES, max_size=30).map(" ".join) | st.lists(PIECES, max_size=30).map("".join))
@settings(max_examples=300)
def test_any_text_is_a_query_or_a_query_error_that_lies_within_it(text: str) -> None:
    try:
        parse(text, metrics=frozenset({"x"}))
    except QueryError as told:
        error = told
    else:
        return
    assert 0 <= error.position <= len(text)
    assert error.length >= 1
    assert error.position + error.length <= len(text) + 1


@given(st.text(st.characters(categories=["Cs", "Cc", "Lu"]), max_size=20))
def test_surrogates_and_controls_give_nothing_but_query_errors(text: str) -> None:
    with suppress(QueryError):
        parse(text)
