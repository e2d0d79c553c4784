"""Two bodies are the same if they say the same, however a server has written them down."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.store.elasticsearch.provision.comparison import canonical
from clusterlog.store.elasticsearch.provision.templates.bodies import Choice, component_templates, index_template


def test_settings_are_the_same_as_a_tree_of_texts_and_under_dotted_names():
    sent = {"template": {"settings": {"index.mode": "logsdb", "index.mapping.ignore_malformed": True, "number": 1}}}
    told = {
        "template": {
            "settings": {"index": {"mode": "logsdb", "mapping": {"ignore_malformed": "true"}, "number": "1"}},
            "aliases": {},
        }
    }
    assert canonical(sent) == canonical(told)


def test_fields_are_told_by_their_dotted_names_and_objects_by_what_they_say_of_themselves():
    properties = {
        "http": {"properties": {"request": {"properties": {"id": {"type": "keyword"}}}}},
        "numbers": {"type": "object", "subobjects": False},
        "list": {"type": "nested", "properties": {"of": {"type": "long"}}},
    }
    assert canonical({"template": {"mappings": {"properties": properties}}})["template"]["mappings"]["properties"] == {
        "http.request.id": {"type": "keyword"},
        "list": {"type": "nested"},
        "list.of": {"type": "long"},
        "numbers": {"subobjects": False, "type": "object"},
    }


def test_what_servers_add_by_themselves_is_no_difference(everything):
    sent = index_template(everything, Choice(), custom=False)
    told = {
        **sent,
        "data_stream": {"hidden": False, "allow_custom_routing": False, "timestamp_field": {"name": "@timestamp"}},
        "created_date_millis": 1,
        "modified_date_millis": 2,
        "deprecated": False,
    }
    assert canonical(told) == canonical(sent)
    role = {"indices": [{"names": ["a"], "privileges": ["read"]}], "metadata": {"managed_by": "clusterlog"}}
    told = {
        **role,
        "cluster": [],
        "applications": [],
        "run_as": [],
        "transient_metadata": {"enabled": True},
        "indices": [{**role["indices"][0], "allow_restricted_indices": False}],
    }
    assert canonical(told) == canonical(role)


def test_what_somebody_changed_is_a_difference(everything):
    sent = index_template(everything, Choice(), custom=False)
    for changed in ({"priority": 201}, {"data_stream": {"hidden": True}}, {"template": {}}, {"composed_of": []}):
        assert canonical({**sent, **changed}) != canonical(sent)


@given(st.permutations(["index_patterns", "priority", "data_stream", "composed_of", "template", "_meta"]))
def test_the_order_of_members_says_nothing_and_is_told_always_alike(order):
    sent = index_template(frozenset(), Choice(), custom=True)
    told = {name: sent[name] for name in order}
    assert list(canonical(told).items()) == list(canonical(sent).items())


def test_it_is_its_own_form(everything):
    for body in component_templates(everything, Choice()).values():
        assert canonical(canonical(body)) == canonical(body)
