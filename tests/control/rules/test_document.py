"""The document of a cluster: stable bytes, limits that hold before anything is read, revisions that only rise."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.control.canonical import canonical, plain
from clusterlog.control.rules.document import (
    MOST_BYTES,
    MOST_RULES,
    Document,
    Version,
    document_of,
    fields_of,
    successor,
)
from clusterlog.control.rules.rule import Rule
from clusterlog.errors import Rejected

RULES = st.lists(st.from_type(Rule), max_size=5, unique_by=lambda rule: rule.id).map(tuple)
DOCUMENTS = st.builds(
    Document,
    cluster=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    version=st.builds(Version, st.text("0123456789abcdef", min_size=1, max_size=4), st.integers(0, 1 << 62)),
    rules=RULES,
    issued_ns=st.integers(0, 1 << 62),
)
PLAIN = {"schema": "clusterlog.control/1", "cluster": "c", "epoch": "e", "rev": 1, "issued_ns": 5, "rules": []}


def reason(fields: object) -> str:
    with pytest.raises(Rejected) as caught:
        document_of(fields)
    return caught.value.reason


@given(DOCUMENTS)
@settings(max_examples=50)
def test_a_document_is_read_as_it_was_written(document):
    assert document_of(plain(canonical(fields_of(document)), 1 << 20)) == document


@given(DOCUMENTS, st.randoms())
@settings(max_examples=40)
def test_the_canonical_form_is_the_same_bytes_in_whatever_order_names_came_and_however_they_were_spaced(document, rng):
    def shuffled(value):
        if isinstance(value, dict):
            items = [(name, shuffled(inner)) for name, inner in value.items()]
            rng.shuffle(items)
            return dict(items)
        return [shuffled(inner) for inner in value] if isinstance(value, list) else value

    fields = fields_of(document)
    written = canonical(fields)
    assert canonical(shuffled(fields)) == written
    assert canonical(json.loads(json.dumps(fields, indent=3, ensure_ascii=True))) == written
    assert canonical(fields_of(document_of(fields))) == written


def test_f29_what_another_version_says_in_a_document_is_passed_over_and_its_rules_are_kept():
    later = {"id": "z", "level": "DEBUG", "logger": "orders", "kind": "mute"}
    document = document_of(PLAIN | {"rules": [later], "zone": "eu"})
    assert document.rules == ()
    assert [(each.id, each.reason) for each in document.refused] == [("z", "kind")]
    assert fields_of(successor(document, "c", (), 6, "new"))["rules"] == [later]


@pytest.mark.parametrize(
    "change",
    [
        {"rules": None},
        {"rules": {}},
        {"rules": ["r"]},
        {"epoch": ""},
        {"epoch": 1},
        {"rev": -1},
        {"rev": "1"},
        {"rev": 1 << 63},
        {"rev": True},
        {"issued_ns": None},
        {"cluster": None},
    ],
)
def test_f14_what_is_no_document_is_refused(change):
    assert reason(PLAIN | change) == "garbage"


def test_a_cluster_has_so_many_rules_and_no_more():
    rules = tuple(Rule(str(number), "", 20) for number in range(MOST_RULES + 1))
    fields = fields_of(Document("c", Version("e", 1), rules[:-1]))
    assert len(document_of(fields).rules) == MOST_RULES
    with pytest.raises(Rejected) as caught:
        fields_of(Document("c", Version("e", 1), rules))
    assert caught.value.reason == "limit"
    fields["rules"].append(fields["rules"][0])
    assert reason(fields) == "limit"


def test_f14_a_million_rules_and_ten_megabytes_are_refused_before_they_are_read():
    """By the count of what is read, not by the time it takes: none of the million is looked at."""

    class Untouched(list[object]):
        def __iter__(self):
            raise AssertionError("a rule was read")

    million = Untouched([{}])
    million *= 1_000_000
    assert reason(PLAIN | {"rules": million}) == "limit"
    for much in (b"[" * (10 << 20), b" " * (MOST_BYTES + 1), b'{"rules":[' + b"{}," * 1_000_000 + b"{}]}"):
        with pytest.raises(Rejected) as caught:
            plain(much, MOST_BYTES)
        assert caught.value.reason == "size"


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff\xfe",
        b"[" * 30_000,
        b'{"a":' * 5_000,
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":' + b"9" * 20_000 + b"}",
        b"[]",
        b"null",
        b"{",
        b'{"a":1}x',
    ],
)
def test_f14_garbage_is_garbage_whatever_it_would_do_to_a_parser(garbage):
    with pytest.raises(Rejected) as caught:
        plain(garbage, MOST_BYTES)
    assert caught.value.reason == "garbage"


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_f14_any_bytes_are_an_object_or_are_refused(data):
    found: object = {}
    with suppress(Rejected):
        found = plain(data, 100)
    assert isinstance(found, dict)


@given(st.none() | DOCUMENTS, RULES, st.lists(st.builds(Version, st.sampled_from(["e", "f"]), st.integers(0, 99))))
@settings(max_examples=50)
def test_cp25_the_next_revision_is_above_all_that_was_ever_seen_in_its_epoch(before, rules, acknowledged):
    if before is not None:
        before = replace(before, version=Version("e", before.version.rev % 100))
    after = successor(before, "c", rules, 7, "f", acknowledged)
    assert after.version.epoch == ("e" if before else "f")
    assert all(version.rev < after.version.rev for version in acknowledged if version.epoch == after.version.epoch)
    assert before is None or before.version.rev < after.version.rev
    assert all(rule.rev < after.version.rev for rule in rules)
    assert after.rules == rules


def test_a_new_rule_bears_the_revision_that_brought_it_and_the_others_keep_theirs():
    before = Document("c", Version("e", 8), (Rule("old", "", 20, rev=3),))
    after = successor(before, "c", (*before.rules, Rule("new", "", 10)), 7, "unused")
    assert [(rule.id, rule.rev) for rule in after.rules] == [("old", 3), ("new", 9)]
    assert after.issued_ns == 7


@given(st.builds(Version, st.text("abc/", min_size=1), st.integers(0, 10**18)))
@settings(max_examples=50)
def test_a_version_is_read_as_it_was_written(version):
    assert Version.read(str(version)) == version


@pytest.mark.parametrize(
    "text", ["", "e", "/1", "e/", "e/x", "e/-1", "e/1.0", "e/" + "1" * 20, "e/\N{SUPERSCRIPT TWO}"]
)
def test_what_is_no_version_is_an_error(text):
    with pytest.raises(ValueError, match="a version such as"):
        Version.read(text)
