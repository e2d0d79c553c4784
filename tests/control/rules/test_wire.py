"""Rules on the wire: read as they were written, refused alone where they would mean more than was meant (F17, F29)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.control.canonical import canonical
from clusterlog.control.rules.rule import Limits, Predicate, Rule, Selector
from clusterlog.control.rules.wire import read_rule, read_rules, written
from clusterlog.errors import Rejected

PLAIN = {"id": "r1", "logger": "orders.stock", "level": "DEBUG"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.from_type(Rule))
@settings(max_examples=50)
def test_a_rule_is_read_as_it_was_written_with_what_a_later_version_said_in_it(rule):
    assert read_rule(json.loads(canonical(written(rule)))) == rule


def test_what_is_empty_is_left_out_and_a_level_is_its_name():
    assert written(Rule("r1", "orders.stock", 10)) == PLAIN | {"kind": "set"}
    full = Rule(
        "r1", "", 30, "cap", Selector(worker=(1,), percent=0), Predicate(user="u"), Limits(5), 1, 2, 3, "ann", "why"
    )
    assert written(full) == {
        "id": "r1",
        "logger": "",
        "level": "WARNING",
        "kind": "cap",
        "selector": {"worker": [1], "percent": 0},
        "predicate": {"user": "u"},
        "limits": {"lines_per_s": 5},
        "created_ns": 1,
        "expires_ns": 2,
        "rev": 3,
        "actor": "ann",
        "reason": "why",
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "throttle"}, "kind"),
        ({"kind": None}, "kind"),
        ({"level": "LOUD"}, "level"),
        ({"level": 10}, "level"),
        ({"level": None}, "level"),
        ({"level": "NOTSET"}, "level"),
        ({"logger": "orders.*"}, "logger"),
        ({"logger": 7}, "logger"),
        ({"logger": "x" * 300}, "logger"),
        ({"selector": {"zone": ["a"]}}, "selector"),
        ({"selector": {"service": "orders"}}, "selector"),
        ({"selector": {"worker": [True]}}, "selector"),
        ({"selector": {"worker": ["1"]}}, "selector"),
        ({"selector": {"percent": 101}}, "selector"),
        ({"selector": {"percent": True}}, "selector"),
        ({"selector": []}, "selector"),
        ({"predicate": {"ip": "10.0.0.1"}}, "predicate"),
        ({"predicate": {"request": 1}}, "predicate"),
        ({"limits": {"bytes": 1}}, "limits"),
        ({"limits": {"lines": -1}}, "limits"),
        ({"created_ns": 1.5}, "created_ns"),
        ({"expires_ns": -1}, "expires_ns"),
        ({"rev": 1 << 63}, "rev"),
        ({"rev": True}, "rev"),
        ({"reason": "x" * 257}, "reason"),
        ({"actor": ["ann"]}, "actor"),
    ],
)
def test_f29_a_rule_that_cannot_be_followed_as_it_was_meant_is_refused_with_a_reason_and_the_others_hold(
    change, reason
):
    raw = PLAIN | change
    followed, refused = read_rules([raw, PLAIN | {"id": "r2"}])
    assert [rule.id for rule in followed] == ["r2"]
    assert [(each.id, each.reason, each.raw) for each in refused] == [("r1", reason, raw)]


def test_f29_a_field_that_is_not_known_changes_nothing_and_is_kept_for_who_knows_it():
    later = PLAIN | {"colour": {"b": 1, "a": [2]}}
    rule = read_rule(later)
    assert (rule.logger, rule.level) == ("orders.stock", 10)
    assert written(rule) == later | {"kind": "set"}


def test_of_two_rules_with_one_id_the_first_holds():
    followed, refused = read_rules([PLAIN, PLAIN | {"level": "ERROR"}])
    assert [rule.level for rule in followed] == [10]
    assert [each.reason for each in refused] == ["duplicate"]


@pytest.mark.parametrize("raw", [None, 1, "r1", [], {}, {"id": 7}, {"id": ""}])
def test_f14_what_is_no_rule_at_all_spoils_the_document(raw):
    with pytest.raises(Rejected) as caught:
        read_rules([PLAIN, raw])
    assert caught.value.reason == "garbage"


@settings(max_examples=80)
@given(
    st.dictionaries(
        st.sampled_from(["logger", "level", "kind", "selector", "predicate", "limits", "rev", "actor", "expires_ns"]),
        JSON | st.dictionaries(st.sampled_from(["node", "percent", "worker", "user", "lines"]), JSON, max_size=2),
    )
)
def test_f14_whatever_stands_in_a_rule_it_is_followed_or_refused_and_nothing_else_happens(change):
    followed, refused = read_rules([PLAIN | change])
    assert len(followed) + len(refused) == 1
    assert all(each.level in (10, 20, 30, 40, 50) and each.kind in ("set", "cap") for each in followed)
