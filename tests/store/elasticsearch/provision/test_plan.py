"""What is planned for a server by what is found on it: made, changed, left alone, refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterlog import __version__
from clusterlog.store.elasticsearch.provision.found import Found, Rival
from clusterlog.store.elasticsearch.provision.plan import Plan, chosen, completed, templates
from clusterlog.store.elasticsearch.provision.templates.bodies import (
    CUSTOM,
    FOREVER,
    INDEX,
    MAPPINGS,
    SETTINGS,
    Choice,
    component_templates,
)

ALL = ("component template clusterlog@settings", "component template clusterlog@mappings", "index template clusterlog")


def told(plan):
    return [(step.action, step.kind, step.name) for step in plan.steps]


def test_an_empty_server_gets_everything_the_parts_before_the_whole(everything):
    plan = templates(everything, Choice(), Found())
    assert told(plan) == [
        ("create", "component template", SETTINGS),
        ("create", "component template", MAPPINGS),
        ("create", "index template", INDEX),
    ]
    assert [step.before for step in plan.steps] == [None] * 3
    assert (plan.refused, plan.notes, plan.kept) == ((), (), ())


def test_a_server_that_was_set_up_needs_nothing(everything, provided, stream):
    assert templates(everything, Choice(), provided(streams=[stream()])) == Plan(kept=ALL)


def test_only_what_differs_is_updated_and_is_shown_with_what_it_was(everything, provided):
    plan = templates(everything, Choice(replicas=2), provided())
    assert told(plan) == [("update", "component template", SETTINGS)]
    (step,) = plan.steps
    before, after = (each["template"]["settings"] for each in (step.before, step.after))
    assert before["index.auto_expand_replicas"] == "0-1"
    assert "index.auto_expand_replicas" not in after
    assert after["index.number_of_replicas"] == "2"
    assert plan.kept == ALL[1:]


def test_the_component_of_the_user_is_never_written_and_never_in_a_plan(everything, provided):
    found = provided()
    found = replace(found, components={**found.components, CUSTOM: {"template": {"settings": {"index.x": 1}}}})
    assert templates(everything, Choice(), found).steps == ()


@pytest.mark.parametrize("name", [SETTINGS, MAPPINGS, INDEX])
@pytest.mark.parametrize("meta", [{}, {"_meta": None}, {"_meta": {"managed_by": "fleet"}}, {"_meta": "clusterlog"}])
def test_what_somebody_else_made_is_refused_and_named(everything, provided, name, meta):
    found = provided()
    if name == INDEX:
        found = replace(found, index={"index_patterns": ["logs-*"], **meta})
    else:
        found = replace(found, components={**found.components, name: {"template": {}, **meta}})
    plan = templates(everything, Choice(), found)
    assert len(plan.refused) == 1
    assert f"template {name} is there, and clusterlog did not make it" in plan.refused[0]
    assert all(step.name != name for step in plan.steps)


def test_what_a_newer_clusterlog_made_is_not_taken_back(everything, provided):
    found = provided()
    newer = {**found.index, "_meta": {**found.index["_meta"], "version": "99.0.1"}}
    plan = templates(everything, Choice(), replace(found, index=newer))
    (refusal,) = plan.refused
    assert (
        refusal
        == f"index template clusterlog is of clusterlog 99.0.1, and this is {__version__}: set up with the newer one"
    )


def test_what_an_older_clusterlog_made_is_updated(everything, provided):
    found = provided()
    older = {**found.index, "_meta": {**found.index["_meta"], "version": "0.0.9"}}
    assert told(templates(everything, Choice(), replace(found, index=older))) == [("update", "index template", INDEX)]


def test_a_template_of_the_same_rank_for_our_streams_is_refused_before_the_server_does_it(everything):
    rival = Rival("mine", ("logs-clusterlog.app-*",), 200)
    (refusal,) = templates(everything, Choice(), Found(rivals=(rival,))).refused
    assert "index template mine has the priority of ours, 200" in refusal


def test_a_template_that_stands_over_ours_is_told_and_nothing_is_refused(everything):
    rivals = (Rival("mine", ("logs-*-production",), 500), Rival("logs", ("logs-*-*",), 100))
    plan = templates(everything, Choice(), Found(rivals=rivals))
    assert plan.notes == ("index template mine (priority 500) stands over ours for streams that fit logs-*-production",)
    assert plan.refused == ()


def test_one_that_is_only_composed_of_ours_is_nobodys_rival(everything):
    rival = Rival("other", ("elsewhere-*",), 200, composed_of=(MAPPINGS,))
    plan = templates(everything, Choice(), Found(rivals=(rival,)))
    assert (plan.refused, plan.notes) == ((), ())


class TestChoice:
    def test_without_one_a_new_server_gets_thirty_days_and_replicas_by_the_number_of_nodes(self):
        assert completed(None, None, Found()) == Choice("30d", None)

    @pytest.mark.parametrize("choice", [Choice("7d", 2), Choice(FOREVER, 0), Choice("1h", None)])
    def test_without_one_a_server_keeps_what_it_has(self, everything, provided, choice):
        found = provided(choice=choice)
        assert chosen(found) == completed(None, None, found) == choice
        assert templates(everything, completed(None, None, found), found).steps == ()

    def test_what_is_given_wins_over_what_is_there_and_the_rest_stays(self, provided):
        found = provided(choice=Choice("7d", 2))
        assert completed("1d", None, found) == Choice("1d", 2)
        assert completed(None, 0, found) == Choice("7d", 0)
        assert completed(None, "auto", found) == Choice("7d", None)

    def test_what_others_chose_for_theirs_is_no_choice_of_ours(self, everything):
        theirs = component_templates(everything, Choice(replicas=5))[SETTINGS] | {"_meta": {}}
        found = Found({SETTINGS: theirs}, {"template": {"lifecycle": {"data_retention": "1d"}}})
        assert chosen(found) == Choice()
