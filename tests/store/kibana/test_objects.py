"""Saved objects are what Kibana takes: strict in shape, complete in references, without overlaps, stamped low."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from urllib.parse import unquote

import pytest
from kibana_schemas import COLUMNS, object_violations

from clusterlog import __version__
from clusterlog.encode.console import addresses
from clusterlog.store.kibana import objects


def attributes(made):
    return made["attributes"]


def layers(panel):
    state = panel["embeddableConfig"]["attributes"]["state"]
    return state["datasourceStates"]["formBased"]["layers"]


def drawn_columns(panel):
    """Every column that a panel's drawing names."""
    drawn = panel["embeddableConfig"]["attributes"]["state"]["visualization"]
    named = [drawn.get("metricAccessor"), drawn.get("sorting", {}).get("columnId")]
    named += [each["columnId"] for each in drawn.get("columns", ())]
    for layer in drawn.get("layers", ()):
        named += [layer["xAccessor"], layer.get("splitAccessor"), *layer["accessors"]]
        named += [each["forAccessor"] for each in layer.get("yConfig", ())]
    return {each for each in named if each}


@pytest.mark.parametrize("space", ["", "ops"])
def test_every_object_holds_what_the_schemas_know_and_nothing_else(read, space):
    found = {each["id"]: object_violations(each) for each in objects.build(read, space)}
    assert not {id: wrong for id, wrong in found.items() if wrong}


def test_the_schemas_are_strict(built):
    """An object that is changed a little anywhere does not fit any more."""

    def spoilt(change, kind="dashboard"):
        made = copy.deepcopy(next(each for each in built if each["type"] == kind))
        change(made)
        return object_violations(made)

    def in_panels(change):
        def changed(made):
            panels = json.loads(made["attributes"]["panelsJSON"])
            change(next(each for each in panels if each["type"] == "lens"))
            made["attributes"]["panelsJSON"] = json.dumps(panels)

        return changed

    assert spoilt(lambda made: None) == []
    assert spoilt(lambda made: made.update(extra=1))
    assert spoilt(lambda made: made["attributes"].update(hits=0))
    assert spoilt(lambda made: made["attributes"].update(panelsJSON="{"))
    assert spoilt(lambda made: made["attributes"].pop("optionsJSON"))
    assert spoilt(in_panels(lambda panel: panel.update(id="x")))
    assert spoilt(in_panels(lambda panel: panel["gridData"].update(w="24")))
    assert spoilt(in_panels(lambda panel: panel["embeddableConfig"]["attributes"]["state"].update(filters=[{}])))
    assert spoilt(
        in_panels(lambda panel: layers(panel)["layer"]["columns"]["measure0"].update(operationType="average"))
    )
    assert spoilt(lambda made: made["attributes"].update(fieldFormatMap='{"a": {"id": "url"}}'), "index-pattern")
    assert spoilt(lambda made: made["attributes"].update(sort="@timestamp"), "search")


def test_every_reference_leads_to_an_object_that_comes_before_it(built):
    before = set()
    for made in built:
        assert {(each["type"], each["id"]) for each in made["references"]} <= before
        before.add((made["type"], made["id"]))
    assert len(before) == len(built)


def test_every_part_of_a_dashboard_has_its_reference_and_every_reference_its_part(built):
    for made in built:
        if made["type"] != "dashboard":
            continue
        needed = []
        for panel in json.loads(attributes(made)["panelsJSON"]):
            index = panel["panelIndex"]
            if panel["type"] == "lens":
                needed += [f"{index}:indexpattern-datasource-layer-{layer}" for layer in layers(panel)]
            elif panel["type"] == "search":
                assert panel["panelRefName"] == f"panel_{index}"
                needed.append(f"{index}:{panel['panelRefName']}")
        controls = json.loads(attributes(made)["controlGroupInput"]["panelsJSON"])
        needed += [f"controlGroup_{control}:optionsListDataView" for control in controls]
        assert Counter(each["name"] for each in made["references"]) == Counter(needed)


def test_what_a_panel_refers_to_by_itself_is_what_its_dashboard_refers_to(panels):
    for _, references, panel in panels:
        if panel["type"] == "lens":
            own = panel["embeddableConfig"]["attributes"]["references"]
            wanted = [{**each, "name": f"{panel['panelIndex']}:{each['name']}"} for each in own]
            assert [each for each in references if each["name"].startswith(f"{panel['panelIndex']}:")] == wanted


def test_every_session_refers_to_the_data_view_by_the_name_in_its_source(built):
    sessions = [each for each in built if each["type"] == "search"]
    assert len(sessions) == 4
    for made in sessions:
        source = json.loads(attributes(made)["kibanaSavedObjectMeta"]["searchSourceJSON"])
        (reference,) = made["references"]
        assert reference == {"type": "index-pattern", "id": "clusterlog-events", "name": source["indexRefName"]}


def test_panels_lie_within_the_grid_and_none_over_another(panels):
    taken = {}
    for dashboard, _, panel in panels:
        grid = panel["gridData"]
        assert grid["i"] == panel["panelIndex"]
        assert grid["w"] >= 4 and grid["h"] >= 3 and grid["x"] + grid["w"] <= COLUMNS
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                assert taken.setdefault((dashboard, x, y), panel["panelIndex"]) == panel["panelIndex"]


def test_no_row_of_a_dashboard_is_left_half_empty(panels):
    """What the eye would take for a panel that is missing."""
    for title in {dashboard for dashboard, _, _ in panels}:
        cells = Counter()
        for dashboard, _, panel in panels:
            if dashboard == title:
                grid = panel["gridData"]
                cells.update(dict.fromkeys(range(grid["y"], grid["y"] + grid["h"]), grid["w"]))
        assert set(cells.values()) == {COLUMNS}
        assert sorted(cells) == list(range(len(cells)))


def test_every_column_that_is_drawn_or_ordered_by_is_asked_for_and_all_are_drawn(panels):
    for _, _, panel in panels:
        if panel["type"] != "lens":
            continue
        ((name, layer),) = layers(panel).items()
        assert layer["columnOrder"] == list(layer["columns"])
        assert drawn_columns(panel) == set(layer["columns"])
        drawn = panel["embeddableConfig"]["attributes"]["state"]["visualization"]
        assert {each["layerId"] for each in drawn.get("layers", [drawn])} == {name}
        for column in layer["columns"].values():
            if column["operationType"] == "terms":
                assert column["params"]["orderBy"]["columnId"] in layer["columns"]
        buckets = [column["isBucketed"] for column in layer["columns"].values()]
        assert buckets == sorted(buckets, reverse=True), "what is divided by comes first"


def test_stamps_are_not_newer_than_the_oldest_kibana_we_name(built, panels):
    def number(version):
        return tuple(map(int, version.split(".")))

    oldest = number(addresses.OLDEST)
    for made in built:
        assert number(made["coreMigrationVersion"]) <= oldest
        assert number(made["typeMigrationVersion"]) <= oldest
    assert all(number(panel["version"]) <= oldest for _, _, panel in panels)


def test_nobody_can_edit_them_in_kibana_so_that_no_work_is_lost_by_an_update(built):
    assert all(made["managed"] is True for made in built)


def test_an_object_tells_who_made_it_and_from_which_source(built):
    marks = [objects.mark_of(made) for made in built]
    assert {version for version, _ in marks} == {__version__}
    assert len({generation for _, generation in marks}) == len(built)
    assert all(re.fullmatch("[0-9a-f]{12}", generation) for _, generation in marks)


def test_what_somebody_else_made_tells_nothing_of_that():
    for kind in ("dashboard", "index-pattern"):
        for given in ({}, {"attributes": None}, {"attributes": {"description": "mine", "fieldAttrs": "{}"}}):
            assert objects.mark_of({"type": kind, **given}) == ("", "")


def test_the_same_source_is_the_same_object_and_another_source_another_generation(read, built):
    assert objects.build(read) == built
    from dataclasses import replace

    changed = replace(read, view=replace(read.view, title="other"))
    assert objects.mark_of(objects.build(changed)[0]) != objects.mark_of(built[0])
    assert [objects.mark_of(each) for each in objects.build(changed)[1:]] == [
        objects.mark_of(each) for each in built[1:]
    ]


def test_ids_of_two_spaces_differ_as_kibana_knows_each_id_once(read, built):
    there = {each["id"] for each in objects.build(read, "ops")}
    assert there == {f"{each['id']}.ops" for each in built}
    assert {each["id"] for each in objects.build(read, "default")} == {each["id"] for each in built}


@pytest.mark.parametrize("space", ["", "ops"])
def test_a_click_on_an_id_shows_everything_that_has_it_in_the_same_kibana(read, space):
    view = objects.build(read, space)[0]
    formats = json.loads(attributes(view)["fieldFormatMap"])
    assert read.view.links.keys() == {field for field, each in formats.items() if each["id"] == "url"}
    for field in read.view.links:
        template = formats[field]["params"]["urlTemplate"]
        assert template.startswith("/app/r?l=DISCOVER_APP_LOCATOR&v=")
        told = json.loads(unquote(template.replace("{{value}}", "01a1")).partition("&p=")[2])
        assert told["query"] == {"language": "kuery", "query": f'{field}: "01a1"'}
        assert told["dataViewId"] == view["id"]


def test_the_file_for_kibanas_import_has_one_object_a_line(built):
    lines = objects.ndjson(built).splitlines()
    assert [json.loads(line) for line in lines] == list(built)
