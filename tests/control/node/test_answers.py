"""What a worker says when it is asked how a level came about, and what stops a line."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from clusterlog.control.applying.levels import InForce
from clusterlog.control.node.answers import explained
from clusterlog.control.rules.effective import Levels, Policy
from clusterlog.control.rules.rule import Member, Predicate, Rule

NAME = "answers.of.tests"
ME = Member("shop", "shop-1", "host")


@pytest.fixture
def force() -> Iterator[InForce]:
    root, logger, parent = (logging.getLogger(name) for name in ("", NAME, "answers.of"))
    before = root.level
    root.setLevel(logging.INFO)
    made = InForce()
    yield made
    made.restore()
    root.setLevel(before)
    for each in (logger, parent):
        each.setLevel(logging.NOTSET)
        each.filters.clear()
        each.disabled = False
        each.handlers.clear()


def apply(force, *rules, **policy):
    force.apply(Levels(rules, ME, Policy(**policy)))


def layers(answer):
    return [(stop["layer"], stop["certain"]) for stop in answer["stops"] if stop["layer"] != "road"]


def test_the_base_is_told_where_no_rule_speaks_of_a_logger(force):
    found = explained(force, {"logger": NAME})
    assert (found["base"], found["effective"], found["exists"]) == ("INFO", "INFO", True)
    assert found["steps"] == [{"source": "base", "rule": "", "level": "INFO"}]


def test_every_rule_on_the_way_is_a_step_and_the_ceiling_is_the_last_one(force):
    apply(force, Rule("low", "answers", 10), Rule("high", NAME, 40), ceilings=(("", 20),))
    found = explained(force, {"logger": NAME})
    assert [(step["source"], step["rule"], step["level"]) for step in found["steps"]] == [
        ("base", "", "INFO"),
        ("rule", "low", "DEBUG"),
        ("rule", "high", "ERROR"),
    ]
    assert found["effective"] == "ERROR"
    apply(force, Rule("low", "answers", 10), ceilings=(("", 20),))
    assert explained(force, {"logger": NAME})["effective"] == "INFO"


def test_a_logger_that_nobody_has_made_has_the_level_it_would_have(force):
    apply(force, Rule("r", "answers.nobody", 10))
    found = explained(force, {"logger": "answers.nobody.yet"})
    assert (found["exists"], found["base"], found["effective"]) == (False, "INFO", "DEBUG")


def test_a_line_below_the_configured_level_is_stopped_by_the_logger_that_sets_it(force):
    logging.getLogger("answers.of").setLevel(logging.WARNING)
    (stop, *_) = explained(force, {"logger": NAME, "level": 20})["stops"]
    assert stop["layer"] == "logger" and stop["certain"]
    assert "answers.of" in stop["text"] and "WARNING" in stop["text"]


def test_a_line_below_the_level_of_a_rule_is_stopped_by_that_rule(force):
    apply(force, Rule("quiet", NAME, 40))
    (stop, *_) = explained(force, {"logger": NAME, "level": 20})["stops"]
    assert (stop["layer"], stop["text"]) == ("rule", "rule quiet sets it to ERROR")


def test_a_cap_that_changes_nothing_stops_nothing(force):
    apply(force, Rule("cap", NAME, 10, "cap"))
    (stop, *_) = explained(force, {"logger": NAME, "level": 10})["stops"]
    assert stop["layer"] == "logger" and "root" in stop["text"]


def test_a_line_that_the_node_does_not_allow_is_stopped_by_its_ceiling(force):
    apply(force, Rule("loud", NAME, 10), ceilings=((NAME, 15),))
    (stop, *_) = explained(force, {"logger": NAME, "level": 10})["stops"]
    assert stop["layer"] == "rule" and "ceiling" in stop["text"]


def test_what_passes_is_stopped_by_nothing_certain(force):
    apply(force, Rule("loud", NAME, 10))
    assert not [layer for layer, certain in layers(explained(force, {"logger": NAME, "level": 10})) if certain]


def test_filters_may_stop_and_a_disabled_logger_does(force):
    logger = logging.getLogger(NAME)
    logger.addFilter(lambda record: True)
    logger.disabled = True
    found = layers(explained(force, {"logger": NAME, "level": 20}))
    assert ("logger", True) in found and ("filter", False) in found


def test_a_throttle_stands_at_the_gate(force):
    found = explained(force, {"logger": NAME, "level": 20}, throttle="100/60s")
    assert ("gate", False) in layers(found) and "100/60s" in str(found["stops"])


def test_rules_that_let_lines_of_some_requests_pass_are_named(force):
    apply(force, Rule("one", "answers", 10, predicate=Predicate(request="abc")))
    found = explained(force, {"logger": NAME, "level": 10})
    assert found["requests"] == ["one"] and found["effective"] == "INFO"
    assert explained(force, {"logger": "other", "level": 10})["requests"] == []
