import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.search.instant import rfc3339
from clusterlog.search.language.parsing import parse
from clusterlog.search.language.rendering import render
from clusterlog.store.query import And, Everything, Exists, Match, Node, Not, Or, Range, Wildcard

A, B, C = (Match("labels.x", value) for value in "abc")
STATUS = "http.response.status_code"
NOON = 1_793_707_200_000_000_000
"""2026-11-03T12:00:00Z in nanoseconds."""


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("level:ERROR   and node:(a or b)", "log.level: error and (service.node.name: a or service.node.name: b)"),
        ("not (a or b)", "not (a or b)"),
        ("a and b or c", "a and b or c"),
        ("(a or b) and c", "(a or b) and c"),
        ('user.hash: "x y"', 'user.hash: "x y"'),
        ("since: 15m", '@timestamp >= "2026-11-03T11:45:00.000000000Z"'),
        ('not until: "11:50"', 'not @timestamp < "2026-11-03T11:50:00.000000000Z"'),
        ("@timestamp > now-1h", '@timestamp > "2026-11-03T11:00:00.000000000Z"'),
        ("level < info and dur > 1.5ms", "(log.level: trace or log.level: debug) and event.duration > 1500000"),
        ("level < trace", "not *"),
        ("has: exception", "error.type: *"),
        (r"a \and b\*", r"a \and b\*"),
        ("status>=500", "http.response.status_code >= 500"),
        ('@timestamp > "2026-11-03T12:00:00Z"', '@timestamp > "2026-11-03T12:00:00.000000000Z"'),
        ("time* out", "out and time*"),
        ("", "*"),
    ],
)  # fmt: skip
def test_a_query_is_written_with_ecs_names_as_kibana_takes_it(typed: str, written: str) -> None:
    assert render(parse(typed, now_ns=NOON)) == written
    assert parse(written) == parse(typed, now_ns=NOON)


@pytest.mark.parametrize(
    ("node", "same"),
    [
        (And(()), Everything()),
        (Or(()), Not(Everything())),
        (And((A,)), A),
        (Or((Not(A),)), Not(A)),
        (Range(STATUS, gte=500, lt=600), And((Range(STATUS, gte=500), Range(STATUS, lt=600)))),
        (Not(Range(STATUS, gte=500, lt=600)), Not(And((Range(STATUS, gte=500), Range(STATUS, lt=600))))),
        (Range(STATUS), Exists(STATUS)),
        (Wildcard("labels.x", ("a", "", "", "b")), Wildcard("labels.x", ("a", "b"))),
        (Wildcard("labels.x", ("", "")), Exists("labels.x")),
        (Wildcard("labels.x", ("a",)), A),
        (Match("labels.x", 5), Match("labels.x", "5")),
        (Match("labels.x", True), Match("labels.x", "true")),
        (Match("labels.x", "a", phrase=True), A),
        (Match("message", ""), Match("message", "", phrase=True)),
        (Match("log.level", "ERROR"), Match("log.level", "error")),
    ],
)
def test_what_one_text_cannot_tell_apart_comes_back_in_its_one_form(node: Node, same: Node) -> None:
    assert parse(render(node)) == same


def test_characters_without_a_look_are_written_as_their_codes() -> None:
    text = render(And((Match("labels.x", "a\u202e\x1b\n"), Match(None, "b\u200bc\u2028"))))
    assert text == r'labels.x: "a\u202e\u001b\u000a" and b\u200bc\u2028'


FIELDS = st.sampled_from(
    ["service.name", "log.logger", "url.path", "source.ip", "labels.x", "labels.two words", "labels.o(r"]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.text(
    st.sampled_from(' \\():<>"*{}aN\t\u00a0\u202e'), min_size=1, max_size=8
)
VALUES = TEXTS | st.sampled_from(["and", "OR", "not", "a and b", "5", "\\not", "\\u0041", "*", "nothing"])
NUMBERS = st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.integers(0, 1 << 62).map(rfc3339)
TEXT_FIELDS = st.sampled_from([None, "message", "error.message", "error.stack_trace"])


def _inside(pieces: list[str]) -> tuple[str, ...]:
    """Pieces of a wildcard as a text can give them: none empty between two stars, not only stars."""
    return (pieces[0], *[piece for piece in pieces[1:-1] if piece], pieces[-1])


PATTERNS = st.lists(VALUES | st.just(""), min_size=2, max_size=4).map(_inside).filter(any)
BOUND = st.sampled_from(["gt", "gte", "lt", "lte"])
CONDITIONS: st.SearchStrategy[Node] = st.one_of(
    st.just(Everything()),
    st.builds(Match, FIELDS, VALUES),
    st.builds(Match, TEXT_FIELDS, VALUES, st.booleans()),
    st.builds(Match, st.sampled_from([STATUS, "clusterlog.metrics.x", "client.port"]), NUMBERS),
    st.builds(Match, st.just("@timestamp"), TIMES),
    st.builds(Match, st.just("log.level"), VALUES.map(str.lower).filter(lambda text: text == text.lower())),
    st.builds(Wildcard, FIELDS | TEXT_FIELDS, PATTERNS),
    st.builds(Exists, FIELDS | st.just("message")),
    st.builds(lambda bound, value: Range(STATUS, **{bound: value}), BOUND, NUMBERS),
    st.builds(lambda bound, value: Range("@timestamp", **{bound: value}), BOUND, TIMES),
    st.builds(lambda bound, value: Range("host.name", **{bound: value}), BOUND, VALUES),
    st.builds(lambda bound, value: Range("source.ip", **{bound: value}), BOUND, VALUES | NUMBERS),
)
QUERIES = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda parts: And(tuple(parts)), st.lists(inner, min_size=2, max_size=4)),
        st.builds(lambda parts: Or(tuple(parts)), st.lists(inner, min_size=2, max_size=4)),
    ),
    max_leaves=12,
)


@given(QUERIES)
@settings(max_examples=400)
def test_reading_what_was_written_gives_the_same_query(node: Node) -> None:
    assert parse(render(node)) == node
