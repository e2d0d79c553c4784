"""Every field of every panel, control, column, sort, format and query is mapped, with a type that allows its use."""

from __future__ import annotations

import json

import pytest
from lens_search import RECORDS, fields_of, read

from clusterlog.store.elasticsearch.provision.comparison import canonical
from clusterlog.store.elasticsearch.provision.templates.features import FEATURES
from clusterlog.store.elasticsearch.provision.templates.fields import properties
from clusterlog.store.query import Exists, Range

NUMBERS = {"long", "double"}
TIMES = {"date_nanos", "date"}
ONE_VALUE = {"keyword", "ip"}
ALLOWED = {
    "terms": {"keyword"},
    "unique_count": {"keyword"},
    "date_histogram": TIMES,
    "max": NUMBERS | TIMES,
    "min": NUMBERS | TIMES,
    "sum": NUMBERS,
    "median": NUMBERS,
    "percentile": NUMBERS,
}


@pytest.fixture(scope="module", params=["everything", "opensearch"])
def mapping(request):
    """Field → type, as the templates make it on a server that knows all, and on one that knows less."""
    lacks = {"flattened", "match_only_text", "subobjects"} if request.param == "opensearch" else set()
    made = properties(frozenset(each.name for each in FEATURES) - lacks)
    told = canonical({"template": {"mappings": {"properties": made}}})["template"]["mappings"]["properties"]
    return {field: each["type"] for field, each in told.items()}


def states(panels):
    for _, _, panel in panels:
        if panel["type"] == "lens":
            yield panel["panelIndex"], panel["embeddableConfig"]["attributes"]["state"]


def queries(built, panels):
    """Every query there is, with where it stands."""
    for name, state in states(panels):
        yield name, state["query"]["query"]
        for layer in state["datasourceStates"]["formBased"]["layers"].values():
            for column in layer["columns"].values():
                yield f"{name}: {column['label']}", column.get("filter", {}).get("query", "")
    for each in built:
        source = json.loads(each["attributes"].get("kibanaSavedObjectMeta", {}).get("searchSourceJSON", "{}"))
        yield each["id"], source.get("query", {}).get("query", "")


def test_what_is_measured_or_divided_by_has_a_type_that_allows_it(panels, mapping):
    looked_at = 0
    for name, state in states(panels):
        for layer in state["datasourceStates"]["formBased"]["layers"].values():
            for column in layer["columns"].values():
                field = column["sourceField"]
                if field == RECORDS:
                    assert column["operationType"] == "count"
                    continue
                assert mapping.get(field) in ALLOWED[column["operationType"]], f"{name}: {field}"
                kind = "date" if mapping[field] in TIMES and column["operationType"] != "unique_count" else None
                kind = kind or ("string" if column["operationType"] == "terms" else "number")
                assert column["dataType"] == kind, f"{name}: {field}"
                looked_at += 1
    assert looked_at > 40


def test_every_query_reads_and_asks_for_fields_that_are_mapped(built, panels, mapping):
    asked = [(where, query) for where, query in queries(built, panels) if query]
    assert len(asked) > 30
    for where, query in asked:
        for field, node in fields_of(read(query)):
            kind = mapping.get(field)
            if isinstance(node, Range):
                assert kind in NUMBERS | TIMES, f"{where}: {query}"
            else:
                assert kind in ONE_VALUE or (isinstance(node, Exists) and kind), f"{where}: {query}"


def test_every_control_offers_values_of_a_field_that_has_them(built, mapping):
    controls = [
        control["explicitInput"]["fieldName"]
        for each in built
        if each["type"] == "dashboard"
        for control in json.loads(each["attributes"]["controlGroupInput"]["panelsJSON"]).values()
    ]
    assert len(controls) == 5
    assert {mapping.get(field) for field in controls} == {"keyword"}


def test_every_column_and_sort_of_a_session_is_mapped(built, mapping):
    for each in built:
        if each["type"] == "search":
            assert {field for field in each["attributes"]["columns"] if field not in mapping} == set()
            for field, direction in each["attributes"]["sort"]:
                assert mapping[field] in NUMBERS | TIMES | ONE_VALUE and direction in ("asc", "desc")


def test_every_format_link_and_description_is_for_a_field_it_fits(built, mapping):
    view = built[0]["attributes"]
    assert mapping[view["timeFieldName"]] == "date_nanos"
    for field, told in json.loads(view["fieldFormatMap"]).items():
        assert mapping[field] in (ONE_VALUE if told["id"] == "url" else NUMBERS), field
    assert json.loads(view["fieldAttrs"]).keys() <= mapping.keys()
