"""What a shell completes of a cluster: rules, nodes, services, loggers and levels."""

from __future__ import annotations

import json

import pytest
from click.shell_completion import BashComplete

from clusterlog.cli import commands


@pytest.fixture
def completed(monkeypatch, stage):
    """What is offered for the last word of a command line in the stage's home."""
    monkeypatch.setenv("CLUSTERLOG_HOME", str(stage.home))

    def offered(*words):
        completion = BashComplete(commands.clusterlog, {}, "clusterlog", "_CLUSTERLOG_COMPLETE")
        return [item.value for item in completion.get_completions(list(words[:-1]), words[-1])]

    return offered


def test_nodes_and_services_of_the_cluster_are_completed(completed, cluster):
    assert completed("level", "set", "DEBUG", "--node", "ord") == ["orders-1", "orders-2"]
    assert completed("level", "set", "DEBUG", "--service", "") == ["orders", "payments", "shop"]
    assert completed("nodes", "pay") == ["payments-1"]


def test_rules_in_force_are_completed_for_a_reset(completed, cluster, run):
    made = json.loads(run("level", "set", "DEBUG", "--json").out)["rule"]["id"]
    assert completed("level", "reset", made[:2]) == [made]
    assert completed("level", "reset", "") == [made]


def test_levels_and_loggers_with_a_level_are_completed(completed, cluster, run):
    assert completed("level", "set", "de") == ["DEBUG"]
    run("level", "set", "DEBUG", "--logger", "orders.stock")
    assert completed("level", "explain", "ord") == ["orders.stock"]
    assert completed("why", "orders.stock", "w") == ["WARNING"]


def test_nothing_is_said_where_there_is_no_cluster(completed, tmp_path, monkeypatch):
    monkeypatch.setenv("CLUSTERLOG_HOME", str(tmp_path / "nowhere"))
    assert completed("level", "reset", "") == []
    assert not (tmp_path / "nowhere").exists()
