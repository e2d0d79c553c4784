"""Rules as a file, there and back: the same bytes each time."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.control.rules.document import MOST_RULES, document_of, fields_of, successor
from clusterlog.control.rules.export import exported, imported
from clusterlog.control.rules.rule import Rule
from clusterlog.control.rules.wire import Refused
from clusterlog.errors import Rejected

RULES = st.lists(st.from_type(Rule), max_size=5, unique_by=lambda rule: rule.id).map(tuple)


@given(RULES, st.text(min_size=1, max_size=3, alphabet="xyz"))
@settings(max_examples=50)
def test_export_import_export_is_byte_identical_in_another_cluster_too(rules, cluster):
    first = exported(rules)
    there = document_of(fields_of(successor(None, cluster, imported(first), 99, "epoch")))
    assert exported(there.rules, there.refused) == first


def test_the_file_is_for_people_one_rule_after_the_other_by_id():
    text = exported([Rule("b", "orders", 10), Rule("a", "", 30, reason="\N{SNOWMAN}")]).decode()
    assert text.endswith("}\n")
    assert "\N{SNOWMAN}" in text
    assert [rule["id"] for rule in json.loads(text)["rules"]] == ["a", "b"]


def test_f29_a_rule_of_a_later_version_is_exported_as_it_stands_and_not_imported_by_one_that_cannot_follow_it():
    raw = {"id": "z", "kind": "mute", "level": "INFO", "logger": ""}
    file = exported([], [Refused("z", "kind", "…", raw)])
    assert json.loads(file)["rules"] == [raw]
    with pytest.raises(Rejected, match="rule z: 'mute' is a kind"):
        imported(file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "garbage"),
        (b"[]", "garbage"),
        (b"{}", "schema"),
        (b'{"schema":"clusterlog.control/1","rules":[]}', "schema"),
        (b'{"schema":"clusterlog.rules/1","rules":{}}', "schema"),
        (b'{"schema":"clusterlog.rules/1","rules":[{}]}', "id"),
        (b'{"schema":"clusterlog.rules/1","rules":["a"]}', "id"),
        (b'{"schema":"clusterlog.rules/1","rules":[{"id":"a","level":"LOUD"}]}', "level"),
        (b'{"schema":"clusterlog.rules/1","rules":[{"id":"a","level":"INFO"},{"id":"a","level":"INFO"}]}', "duplicate"),
        (b'{"schema":"clusterlog.rules/1","rules":[' + b"1," * MOST_RULES + b"1]}", "limit"),
        (b" " * (10 << 20), "size"),
    ],
)
def test_f17_a_file_that_cannot_be_followed_wholly_is_not_imported_at_all(content, reason):
    with pytest.raises(Rejected) as caught:
        imported(content)
    assert caught.value.reason == reason
