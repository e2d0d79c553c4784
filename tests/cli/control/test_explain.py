"""`level explain` and `why`: every worker is asked how a level came about, and what stops a line."""

from __future__ import annotations

import json

import pytest

STEPS = [
    {"source": "base", "rule": "", "level": "WARNING"},
    {"source": "rule", "rule": "k7d3q", "level": "DEBUG"},
    {"source": "ceiling", "rule": "", "level": "INFO"},
]
FILTERED = {"layer": "filter", "text": "logger orders has a filter", "certain": False}
HANDLED = {"layer": "handler", "text": "the handler of clusterlog takes INFO and above", "certain": True}


def says(calm, **more):
    return lambda asked: {**calm, **more}


@pytest.fixture
def calm():
    return {"exists": True, "base": "INFO", "effective": "INFO", "steps": STEPS[:1], "stops": [], "requests": []}


def test_cp_24_every_step_to_a_level_is_told_by_node(run, cluster, calm):
    cluster.puppets[0].answers = says(calm, base="WARNING", effective="INFO", steps=STEPS)
    found = json.loads(run("level", "explain", "orders.stock", "--json").out)
    assert found["schema"] == "clusterlog.explain/1" and found["logger"] == "orders.stock"
    assert [each["node"] for each in found["nodes"]] == ["orders-1", "orders-2", "payments-1", "shop-1", "shop-2"]
    odd = next(each for each in found["nodes"] if each["node"] == "payments-1")
    assert (odd["base"], odd["effective"], odd["steps"], odd["blocked_by"]) == ("WARNING", "INFO", STEPS, None)


def test_what_blocks_lines_of_the_level_in_force_is_told(run, cluster, calm):
    cluster.puppets[0].answers = says(calm, stops=[FILTERED, HANDLED])
    found = json.loads(run("level", "explain", "orders", "--node", "payments-*", "--json").out)
    assert [each["blocked_by"] for each in found["nodes"]] == [f"handler: {HANDLED['text']}"]


def test_workers_of_a_node_that_differ_are_told_apart(run, cluster, calm):
    cluster.puppets[1].answers = says(calm, effective="DEBUG")
    found = json.loads(run("level", "explain", "orders", "--node", "orders-1", "--json").out)
    assert sorted((each["effective"], each["pids"]) for each in found["nodes"]) == [("DEBUG", [4001]), ("INFO", [4002])]


def test_nodes_that_answer_alike_are_told_of_once(run, cluster, calm):
    cluster.puppets[0].answers = says(calm, effective="DEBUG", steps=STEPS[:2])
    result = run("level", "explain", "orders")
    assert "orders-1, orders-2, shop-1, shop-2  6 workers" in result.out
    assert any("DEBUG" in line and "rule k7d3q" in line for line in result.lines)


def test_who_does_not_answer_is_told_with_what_it_said_last(run, cluster, monkeypatch):
    monkeypatch.setattr("clusterlog.control.operator.asking.PATIENCE_S", 0.3)
    cluster.puppets[0].mute = True
    found = json.loads(run("level", "explain", "orders", "--json").out)
    odd = next(each for each in found["nodes"] if each["node"] == "payments-1")
    assert odd["base"] is None and odd["effective"] == "INFO" and odd["error"] == "no answer: up"


def test_where_nobody_answers_the_command_ends_with_3(run, cluster, monkeypatch):
    monkeypatch.setattr("clusterlog.control.operator.asking.PATIENCE_S", 0.1)
    for puppet in cluster.puppets:
        puppet.mute = True
    assert run("level", "explain", "orders").code == 3


def test_a_node_nobody_has_is_said_with_near_ones(run, cluster):
    for words in (("level", "explain", "orders"), ("why", "orders", "debug")):
        result = run(*words, "--node", "order-1")
        assert result.code == 1 and "did you mean orders-1" in result.err


def test_why_names_the_layers_that_stop_a_line_and_those_that_stop_some(run, cluster, calm):
    asked = []

    def answer(question):
        asked.append(question)
        return {**calm, "stops": [FILTERED, HANDLED]}

    cluster.puppets[0].answers = answer
    cluster.puppets[5].answers = says(calm, stops=[FILTERED])
    result = run("why", "orders.stock", "debug")
    assert result.code == 0
    assert asked == [{"logger": "orders.stock", "level": 10}]
    text = result.out
    assert "payments-1  1 worker: DEBUG of orders.stock stopped" in text
    assert "shop-1  1 worker: DEBUG of orders.stock passes" in text
    assert "filter    logger orders has a filter: stops some lines, or none" in text
    found = json.loads(run("why", "orders.stock", "debug", "--json").out)
    assert found["schema"] == "clusterlog.why/1" and found["level"] == "DEBUG"
    assert {each["node"]: each["passes"] for each in found["nodes"]}["payments-1"] is False


def test_why_tells_of_the_store_that_nobody_ships_to(run, cluster, home):
    speaker = home.speaker()
    speaker.say("waits")
    found = json.loads(run("why", "orders", "info", "--store", "http://127.0.0.1:9", "--json").out)
    (stop,) = found["road"]
    assert stop["layer"] == "store" and "wait in the spools" in stop["text"] and stop["certain"]
    assert json.loads(run("why", "orders", "info", "--json").out)["road"] == []
    speaker.end()


def test_a_level_nobody_knows_is_a_usage_error(run, cluster):
    assert run("why", "orders", "debog").code == 2


def test_what_nodes_say_cannot_steer_the_terminal(run, cluster, calm):
    cluster.puppets[0].answers = says(calm, stops=[{**HANDLED, "text": "\x1b[2Jgone"}])
    for words in (("why", "orders", "debug"), ("level", "explain", "orders")):
        assert "\x1b" not in run(*words).out
