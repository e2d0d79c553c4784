"""What is taken back: all that is ours, nothing of others, and nothing from under events that are there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterlog.store.elasticsearch.provision.found import Found, Rival
from clusterlog.store.elasticsearch.provision.keys import TokenFile
from clusterlog.store.elasticsearch.provision.plan import Plan
from clusterlog.store.elasticsearch.provision.removal import removal
from clusterlog.store.elasticsearch.provision.rights import Key, Security, roles
from clusterlog.store.elasticsearch.provision.templates.bodies import CUSTOM, MAPPINGS

BUILT_IN = Rival("logs", ("logs-*-*",), 100, makes_streams=True)
ADMIN = Security(True, frozenset({"manage_security", "manage_api_key"}))


def told(plan):
    return [(step.kind, step.name, step.method, step.path) for step in plan.steps]


def test_templates_go_the_whole_before_its_parts(provided):
    assert told(removal(provided(), Security())) == [
        ("index template", "clusterlog", "DELETE", "/_index_template/clusterlog"),
        ("component template", "clusterlog@settings", "DELETE", "/_component_template/clusterlog@settings"),
        ("component template", "clusterlog@mappings", "DELETE", "/_component_template/clusterlog@mappings"),
    ]


def test_a_server_with_nothing_of_ours_has_nothing_to_take_back():
    assert removal(Found(), Security()) == Plan()


def test_what_somebody_else_made_under_our_names_stays(provided):
    found = provided()
    foreign = {**found.components, MAPPINGS: {"template": {}}}
    plan = removal(replace(found, components=foreign, index={"priority": 1}), ADMIN)
    assert [step.name for step in plan.steps] == ["clusterlog@settings"]
    assert plan.notes == (
        "index template clusterlog was not made by clusterlog, and stays",
        "component template clusterlog@mappings was not made by clusterlog, and stays",
    )


def test_the_users_component_stays(provided):
    found = provided()
    plan = removal(replace(found, components={**found.components, CUSTOM: {"template": {}}}), Security())
    assert plan.notes == ("component template clusterlog@custom is yours, and stays",)


def test_templates_that_streams_stand_on_are_not_taken_from_under_them(provided, stream):
    many = [stream(f"logs-clusterlog.{name}-test") for name in "abcde"]
    (refusal,) = removal(provided(streams=many), Security()).refused
    assert "logs-clusterlog.a-test, logs-clusterlog.b-test, logs-clusterlog.c-test and 2 more stand on" in refusal
    assert "delete those data streams first, and with them their events" in refusal


def test_streams_that_another_template_would_make_as_well_forbid_nothing(provided, stream):
    assert removal(provided(streams=[stream()], rivals=(BUILT_IN,)), Security()).refused == ()


@pytest.mark.parametrize("other", [replace(BUILT_IN, makes_streams=False), replace(BUILT_IN, patterns=("metrics-*",))])
def test_one_that_would_not_make_them_is_no_help(provided, stream, other):
    assert removal(provided(streams=[stream()], rivals=(other,)), Security()).refused != ()


def test_streams_of_somebody_elses_template_do_not_stand_on_ours(provided, stream):
    assert removal(provided(streams=[stream(template="mine")]), Security()).refused == ()


def test_templates_that_others_are_made_of_are_not_taken_from_under_them(provided):
    rival = Rival("mine", ("x-*",), 1, composed_of=(MAPPINGS, "other"))
    (refusal,) = removal(provided(rivals=(rival,)), Security()).refused
    assert refusal == "index template mine is composed of clusterlog@mappings: change it first"


def test_roles_and_keys_go_as_well_and_the_key_we_come_with_is_the_last(provided):
    made = {step.name: step.body for step in roles(ADMIN).steps}
    mine, other = Key("id1", "clusterlog_setup"), Key("id2", "clusterlog_ship", ("logs-clusterlog.*-*",))
    security = replace(ADMIN, roles={**made, "clusterlog_read": {}}, keys=(mine, other), as_key="id1")
    plan = removal(Found(), security, [TokenFile("ship", "/h/ship.token", "id2"), TokenFile("read", "/h/read.token")])
    assert [(step.kind, step.name, step.file) for step in plan.steps] == [
        ("role", "clusterlog_ship", ""),
        ("role", "clusterlog_setup", ""),
        ("API key", "clusterlog_ship", "/h/ship.token"),
        ("API key", "clusterlog_setup", ""),
    ]
    assert [step.body for step in plan.steps[2:]] == [{"ids": ["id2"]}, {"ids": ["id1"]}]
    assert plan.notes == ("role clusterlog_read was not made by clusterlog, and stays",)


def test_who_may_only_manage_keys_of_their_own_asks_for_no_more():
    security = Security(True, frozenset({"manage_own_api_key"}), keys=(Key("id1", "clusterlog_ship"),))
    (step,) = removal(Found(), security).steps
    assert step.body == {"ids": ["id1"], "owner": True}
