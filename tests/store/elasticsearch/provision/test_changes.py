"""What streams that are there get of a change: the next index, and what was chosen for all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterlog.store.elasticsearch.provision.changes import changes
from clusterlog.store.elasticsearch.provision.plan import templates
from clusterlog.store.elasticsearch.provision.templates.bodies import (
    FOREVER,
    MAPPINGS,
    Choice,
    component_templates,
    generation,
)

NAME = "logs-clusterlog.app-test"


@pytest.fixture
def current(everything):
    return generation(component_templates(everything, Choice()))


@pytest.fixture
def told(everything, current, provided):
    """The changes for streams, with the choice their templates had and the one they get."""

    def made(*streams, old=Choice(), choice=Choice(), can=True, present=everything):  # noqa: B008 - nobody changes it
        return changes(provided(streams=streams, can_change_streams=can), current, choice, old, present)

    return made


def paths(part):
    return [(each.method, each.path) for each in part]


def test_a_stream_as_it_should_be_is_left_alone(told, stream):
    assert told(stream()) == told()


def test_a_stream_whose_index_an_older_mapping_made_is_rolled_over_and_told_whose_it_was(told, stream):
    (change,) = told(stream(generation="older", version="0.0.9")).after
    assert (change.method, change.path, change.body, change.rolls_over) == ("POST", f"/{NAME}/_rollover", None, True)
    assert "those of clusterlog 0.0.9" in change.why


def test_a_stream_that_was_there_before_clusterlog_gets_all_that_a_new_one_has(told, stream):
    foreign = stream(generation="", version="", lifecycle=None, failure_store=False)
    found = told(foreign)
    assert paths(found.before) == [("PUT", f"/_data_stream/{NAME}/_lifecycle")]
    assert found.before[0].body == {"enabled": True, "data_retention": "30d"}
    assert paths(found.after) == [("PUT", f"/_data_stream/{NAME}/_options"), ("POST", f"/{NAME}/_rollover")]
    assert found.after[0].body == {"failure_store": {"enabled": True}}
    assert "those of somebody else" in found.after[1].why


def test_a_stream_that_somebody_elses_template_governs_is_theirs(told, stream):
    foreign = stream(generation="", lifecycle=None, failure_store=False, template="mine")
    assert told(foreign, choice=Choice("1d", 3)) == told()


@pytest.mark.parametrize(
    ("choice", "body"),
    [(Choice("7d"), {"enabled": True, "data_retention": "7d"}), (Choice(FOREVER), {"enabled": True})],
)
def test_another_retention_is_set_on_the_streams_that_have_the_old_one(told, stream, choice, body):
    (change,) = told(stream(), choice=choice).before
    assert (change.path, change.body) == (f"/_data_stream/{NAME}/_lifecycle", body)
    assert (change.before, change.after) == ({"retention": "30d"}, {"retention": choice.retention})


def test_a_retention_that_somebody_chose_for_one_stream_is_left_and_told(told, stream):
    found = told(stream(lifecycle={"enabled": True, "data_retention": "365d"}), choice=Choice("7d"))
    assert (found.before, found.after) == ((), ())
    assert found.notes == (f"data stream {NAME} keeps its events for 365d, as somebody chose for it alone",)


def test_a_lifecycle_that_somebody_took_away_stays_away(told, stream):
    assert told(stream(lifecycle=None), choice=Choice("7d")).before == ()


def test_a_failure_store_that_somebody_turned_off_stays_off(told, stream):
    assert told(stream(failure_store=False)).after == ()


def test_a_server_without_an_interface_for_streams_is_told_of_and_asked_for_nothing(told, stream):
    found = told(stream(generation="", lifecycle=None, failure_store=None), choice=Choice("7d"), can=False)
    assert (found.before, paths(found.after)) == ((), [("POST", f"/{NAME}/_rollover")])
    assert "they keep events as before (30d), streams that are made from now on 7d" in found.notes[0]


def test_a_server_without_lifecycles_is_not_asked_for_any(told, stream, everything):
    present = everything - {"lifecycle", "failure_store"}
    found = told(stream(generation="", lifecycle=None, failure_store=None), choice=Choice("7d"), present=present)
    assert (found.before, found.notes) == ((), ())


@pytest.mark.parametrize(
    ("old", "new", "body"),
    [
        (None, 0, {"index.auto_expand_replicas": "false", "index.number_of_replicas": "0"}),
        (0, 2, {"index.auto_expand_replicas": "false", "index.number_of_replicas": "2"}),
        (2, None, {"index.auto_expand_replicas": "0-1"}),
    ],
)
def test_other_replicas_reach_the_indices_that_are_there(told, stream, old, new, body):
    now = "auto" if old is None else str(old)
    (change,) = told(stream(replicas=now), old=Choice(replicas=old), choice=Choice(replicas=new)).before
    assert (change.method, change.path, change.body) == ("PUT", f"/{NAME}/_settings", body)


def test_replicas_that_somebody_chose_for_one_stream_are_left(told, stream):
    assert told(stream(replicas="5"), choice=Choice(replicas=0)).before == ()


def test_a_plan_that_broke_off_anywhere_is_finished_by_the_next_one(everything, provided, stream):
    """Every step is done on a model of the server; whatever number of them was done, the rest is planned again."""
    choice = Choice("7d", 0)
    older = stream(generation="older", failure_store=False)
    start = provided(streams=[older, stream("logs-clusterlog.call-test")], can_change_streams=True)
    whole = templates(everything, choice, start)
    assert len(whole.steps) == 8
    for done in range(len(whole.steps) + 1):
        found = start
        for step in whole.steps[:done]:
            found = after(found, step)
        rest = templates(everything, choice, found)
        assert [(step.action, step.path) for step in rest.steps] == [
            (step.action, step.path) for step in whole.steps[done:]
        ]


def after(found, step):
    """What is found when a step is done."""
    if step.kind == "component template":
        return replace(found, components={**found.components, step.name: step.body})
    if step.kind == "index template":
        return replace(found, index=step.body)
    (old,) = (each for each in found.streams if each.name == step.name)
    if step.action == "roll over":
        new = replace(old, generation=generation(dict(found.components)))
        assert MAPPINGS in found.components
    elif step.path.endswith("_lifecycle"):
        new = replace(old, lifecycle=step.body)
    elif step.path.endswith("_options"):
        new = replace(old, failure_store=True)
    else:
        new = replace(old, replicas=step.body["index.number_of_replicas"])
    return replace(found, streams=tuple(new if each is old else each for each in found.streams))
