"""A plan for a search server as people read it: one line a field, as a diff, with a sum."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.cli.drawing.plan import diff, lines, plan, server, summary
from clusterlog.store.elasticsearch.provision.plan import Plan, Step
from clusterlog.store.elasticsearch.provision.server import Server

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def text(rows):
    return ["".join(segment.text for segment in row) for row in rows]


def step(action="create", name="clusterlog@settings", **more):
    return Step(action, "component template", name, "PUT", "/x", **more)


@given(values)
def test_json_for_people_is_still_the_same_json(value):
    assert json.loads("\n".join(lines(value))) == value


def test_every_field_of_a_mapping_is_one_line():
    properties = {"http.request.id": {"type": "keyword"}, "labels": {"type": "flattened"}}
    assert lines({"properties": properties, "names": ["a", "b"], "of": {}}) == [
        "{",
        '  "properties": {',
        '    "http.request.id": {"type": "keyword"},',
        '    "labels": {"type": "flattened"}',
        "  },",
        '  "names": ["a", "b"],',
        '  "of": {}',
        "}",
    ]


def test_what_does_not_fit_on_a_line_stands_on_several():
    assert lines({"a": ["x" * 60, "y" * 60]}) == [
        "{",
        '  "a": [',
        f'    "{"x" * 60}",',
        f'    "{"y" * 60}"',
        "  ]",
        "}",
    ]


def test_a_change_is_a_unified_diff_with_the_lines_around_it():
    before = {"template": {"settings": {f"index.{name}": {"type": "x"} for name in "abcdefgh"}}}
    after = {"template": {"settings": {**before["template"]["settings"], "index.e": {"type": "y"}}}}
    rows = list(diff(before, after, "it"))
    assert text(rows) == [
        "--- it",
        "+++ it",
        "@@ -6,5 +6,5 @@",
        '       "index.c": {"type": "x"},',
        '       "index.d": {"type": "x"},',
        '-      "index.e": {"type": "x"},',
        '+      "index.e": {"type": "y"},',
        '       "index.f": {"type": "x"},',
        '       "index.g": {"type": "x"},',
    ]
    assert [row[0].role for row in rows[2:7]] == ["dim", "", "", "bad", "good"]


def test_what_is_made_or_taken_back_is_a_diff_against_nothing():
    assert text(diff(None, {"a": 1}, "it")) == ["--- nothing", "+++ it", "@@ -0,0 +1 @@", '+{"a": 1}']
    assert text(diff({"a": 1}, None, "it")) == ["--- it", "+++ nothing", "@@ -1 +0,0 @@", '-{"a": 1}']


def test_a_plan_tells_notes_steps_with_why_refusals_and_the_sum():
    told = Plan(
        (step(after={"a": 1}), step("roll over", "logs-x", why="its index is old")),
        ("it is not ours",),
        ("something over it",),
        ("role clusterlog_ship",),
    )
    assert text(plan(told)) == [
        "  note: something over it",
        "",
        "create component template clusterlog@settings",
        "--- nothing",
        "+++ component template clusterlog@settings",
        "@@ -0,0 +1 @@",
        '+{"a": 1}',
        "",
        "roll over component template logs-x  its index is old",
        "  refused: it is not ours",
        "",
        "1 to create, 1 to roll over; 1 as they should be",
    ]


def test_a_plan_without_steps_says_that_there_is_nothing_to_do():
    assert summary(Plan()) == "nothing to do"
    assert summary(Plan(kept=("a", "b"))) == "nothing to do: 2 as they should be"


def test_where_the_secret_of_a_key_goes_is_said():
    key = Step("create", "API key", "clusterlog_ship", "POST", "/x", file="/h/ship.token")
    assert "create API key clusterlog_ship  into /h/ship.token" in text(plan(Plan((key,))))


def test_the_server_is_named_with_its_profile_and_all_that_is_left_out():
    lacks = {"logsdb": "unknown setting [index.mode]", "flat_object": "no handler"}
    told = Server("opensearch", "3.8.0", frozenset(), lacks)
    assert text(server(told, "http://h:9200")) == [
        "OpenSearch 3.8.0 at http://h:9200, reduced profile",
        "  without index mode logsdb: events take more disk; the codec best_compression stands in",
        "    unknown setting [index.mode]",
    ]


def test_what_a_server_says_cannot_steer_the_terminal():
    lacks = {"logsdb": "no \x1b[2J"}
    rows = [*server(Server("opensearch", "3", frozenset(), lacks), "http://h")]
    rows += plan(Plan((step(name="x\x1b[2J", before={"a": "\x1b"}, after={"a": "\x9b"}),), ("\x1b",), ("\x1b",)))
    assert not any("\x1b" in line or "\x9b" in line for line in text(rows))
