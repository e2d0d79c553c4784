"""`control export` and `import`: the rules of a cluster as a file, and back."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def saved(run, cluster, tmp_path):
    for words in (
        ("DEBUG", "--logger", "orders.stock", "--node", "orders-*", "--reason", "löst"),
        ("WARNING", "--logger", "noisy", "--cap", "--percent", "12.5"),
        ("DEBUG", "--request", "abc", "--lines", "100"),
    ):
        assert run("level", "set", *words, "--wait", "0").code == 0
    file = tmp_path / "rules.json"
    assert run("control", "export", file).code == 0
    return file


def test_export_import_export_is_byte_for_byte_the_same(run, cluster, saved, tmp_path):
    again = tmp_path / "again.json"
    assert run("level", "reset", "--all").code == 0
    assert run("control", "import", saved).code == 0
    assert run("control", "export", again).code == 0
    assert again.read_bytes() == saved.read_bytes()
    assert run("control", "import", again).code == 0
    assert run("control", "export").out.encode() == saved.read_bytes()


def test_an_import_puts_the_rules_of_the_file_in_force_and_no_others(run, cluster, saved):
    run("level", "set", "ERROR", "--wait", "0")
    result = run("control", "import", saved, "--json")
    assert result.code == 0
    found = json.loads(result.out)
    assert (found["applied"], found["expected"]) == (7, 7)
    rules = json.loads(run("level", "--json").out)["rules"]
    assert sorted(rule["level"] for rule in rules) == ["DEBUG", "DEBUG", "WARNING"]


def test_a_rule_that_has_ended_by_then_stays_over(run, cluster, saved):
    state = json.loads(saved.read_bytes())
    for rule in state["rules"]:
        rule["expires_ns"] = rule["created_ns"] + 1
    saved.write_text(json.dumps(state))
    result = run("control", "import", saved)
    assert result.code == 0 and "3 rules of 3 had ended already" in result.err
    assert json.loads(run("level", "--json").out)["rules"] == []


def test_a_file_that_cannot_be_followed_changes_nothing(run, cluster, saved):
    before = cluster.document()
    for broken in (
        saved.read_text().replace('"DEBUG"', '"DEBGU"', 1),
        saved.read_text()[:-20],
        "{}",
        saved.read_text().replace('"cap"', '"sample"'),
    ):
        saved.write_text(broken)
        result = run("control", "import", saved)
        assert result.code == 2 and str(saved) in result.err
        assert cluster.document() == before


def test_a_file_that_is_not_there_is_named(run, cluster, tmp_path):
    assert run("control", "import", tmp_path / "none").code == 2
    assert run("control", "export", tmp_path / "no" / "where").code == 2


def test_an_empty_cluster_exports_no_rules(run, stage):
    assert json.loads(run("control", "export").out) == {"schema": "clusterlog.rules/1", "rules": []}
