"""What would have to be done for a Kibana to have what the sources say; pure."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

from kibana_double import _rewritten

from clusterlog.store.kibana import objects
from clusterlog.store.kibana.outline import outline, panels_of
from clusterlog.store.kibana.plan import key_of, planned, removal


def there(*made):
    """As a newer Kibana gives them back."""
    return {key_of(each): _rewritten(each) for each in made}


def with_version(made, version):
    text = json.dumps(made).replace(f"clusterlog {objects.__version__},", f"clusterlog {version},")
    return json.loads(text)


def test_what_comes_from_the_same_source_is_kept_however_kibana_has_rewritten_it(built):
    plan = planned(built, there(*built))
    assert plan.steps == plan.refused == plan.notes == ()
    assert plan.kept[0] == "data view clusterlog-events"


def test_what_was_made_by_another_version_from_the_same_source_is_kept(built):
    assert planned(built, there(*(with_version(each, "0.0.9") for each in built))).steps == ()


def test_what_comes_from_another_source_is_updated_and_the_difference_shown(read, built):
    dashboards = list(read.dashboards)
    panel = replace(dashboards[1].panels[3], query="log.level: error")
    dashboards[1] = replace(dashboards[1], panels=(*dashboards[1].panels[:3], panel, *dashboards[1].panels[4:]))
    before = objects.build(replace(read, dashboards=tuple(dashboards)))
    (step,) = planned(built, there(*before)).steps
    assert (step.action, step.kind, step.name) == ("update", "dashboard", "clusterlog-requests")
    changed = {title for title, told in step.after["panels"].items() if step.before["panels"][title] != told}
    assert changed == {panel.title}
    assert step.before["panels"][panel.title].endswith("where log.level: error")


def test_a_change_that_only_shows_in_looks_is_told_as_that(read, built):
    dashboards = list(read.dashboards)
    panel = replace(dashboards[1].panels[2], colours={"Failed requests": "#00ff00"})
    dashboards[1] = replace(dashboards[1], panels=(*dashboards[1].panels[:2], panel, *dashboards[1].panels[3:]))
    (step,) = planned(built, there(*objects.build(replace(read, dashboards=tuple(dashboards))))).steps
    assert step.why == "how it looks has changed, not what it shows" and step.before == step.after


def test_what_somebody_else_made_forbids_it_all(built):
    mine = copy.deepcopy(built[-1])
    mine["attributes"]["description"], mine["managed"] = "mine", False
    plan = planned(built, there(mine))
    assert plan.refused == ("dashboard clusterlog-requests is there, and clusterlog did not make it: remove it first",)


def test_what_lost_its_mark_and_could_not_be_edited_is_ours_and_made_anew(built):
    """As where a Kibana has written the descriptions of a data view's fields anew."""
    unmarked = copy.deepcopy(built[0])
    unmarked["attributes"]["fieldAttrs"] = '{"message": {"count": 3}}'
    plan = planned(built[:1], there(unmarked))
    assert (plan.refused, [step.action for step in plan.steps]) == ((), ["update"])
    assert [step.action for step in removal(built[:1], there(unmarked)).steps] == ["remove"]


def test_what_a_newer_clusterlog_made_is_not_replaced(built):
    plan = planned(built, there(with_version(built[0], "99.0.0")))
    assert len(plan.refused) == 1
    assert plan.refused[0].startswith("data view clusterlog-events is of clusterlog 99.0.0, and this is ")


def test_only_ours_is_taken_back_what_refers_to_others_first(built):
    mine = copy.deepcopy(built[1])
    mine["attributes"]["description"], mine["managed"] = "", False
    plan = removal(built, there(built[0], mine, built[-1]))
    assert [step.name for step in plan.steps] == ["clusterlog-requests", "clusterlog-events"]
    assert plan.notes[0].endswith("was not made by clusterlog, and stays")
    assert "will not find it any more" in plan.notes[1]
    assert removal(built, {}).steps == ()


def test_an_outline_is_the_same_before_and_after_kibana_has_rewritten_an_object(built):
    for made in built:
        assert outline(_rewritten(made)) == outline(made)


def test_an_outline_tells_everything_a_panel_shows(built, read):
    requests = next(each for each in built if each["id"] == "clusterlog-requests")
    shown = {each.title: each for each in panels_of(requests)}
    slowest = shown["Slowest requests"]
    assert (slowest.kind, slowest.query) == ("table", "http.request.id: *")
    assert slowest.measures[0] == "max event.duration where event.dataset: clusterlog.access"
    assert slowest.divided_by == ("http.request.id top 25",)
    assert shown["Duration of requests"].measures == (
        "p99 event.duration",
        "p95 event.duration",
        "median event.duration",
    )
    assert next(each.title for each in panels_of(requests)) == "How to find one request"
    assert len(shown) == len(read.dashboards[1].panels)


def test_an_object_that_cannot_be_read_has_an_outline_all_the_same():
    hostile = [
        {"type": "dashboard"},
        {"type": "dashboard", "attributes": {"panelsJSON": "{", "controlGroupInput": {"panelsJSON": "[1]"}}},
        {"type": "dashboard", "attributes": {"panelsJSON": '[1, {}, {"gridData": {"x": "a"}, "type": "lens"}]'}},
        {"type": "search", "attributes": {"tabs": [], "kibanaSavedObjectMeta": None}},
        {"type": "index-pattern", "attributes": {"fieldFormatMap": '{"a": null}'}},
        {"type": "lens", "attributes": {"title": "t"}},
        {"type": "dashboard", "attributes": [], "references": [None]},
    ]
    for each in hostile:
        assert "title" in outline(each)
