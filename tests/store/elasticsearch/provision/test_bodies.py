"""The bodies of the templates, and that they are ones the official client would send."""

from __future__ import annotations

import inspect
import json

import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig, Transport, TransportApiResponse
from elasticsearch import Elasticsearch, dsl

from clusterlog import __version__
from clusterlog.store.elasticsearch.provision import rights
from clusterlog.store.elasticsearch.provision.changes import changes
from clusterlog.store.elasticsearch.provision.found import Found
from clusterlog.store.elasticsearch.provision.keys import TokenFile, keys
from clusterlog.store.elasticsearch.provision.plan import templates
from clusterlog.store.elasticsearch.provision.removal import removal
from clusterlog.store.elasticsearch.provision.rights import Key, Security, roles
from clusterlog.store.elasticsearch.provision.templates.bodies import (
    CUSTOM,
    FOREVER,
    MAPPINGS,
    SETTINGS,
    Choice,
    component_templates,
    generation,
    index_template,
)
from clusterlog.store.elasticsearch.provision.templates.features import BARE, FEATURES, probe
from clusterlog.store.elasticsearch.provision.templates.fields import ECS
from clusterlog.store.elasticsearch.streams import PATTERN

OPENSEARCH = frozenset({"flat_object", "match_only_text", "disable_objects"})
SECURITY = Security(on=True, rights=frozenset({"manage_security", "manage_api_key"}), failure_store=True)


def settings_of(present, **choice):
    return component_templates(present, Choice(**choice))[SETTINGS]["template"]["settings"]


def test_the_full_body_has_logsdb_a_failure_store_a_lifecycle_and_the_fields_of_ecs(everything):
    index = index_template(everything, Choice(), custom=False)
    assert index["index_patterns"] == [PATTERN] == ["logs-clusterlog.*-*"]
    assert (index["priority"], index["data_stream"]) == (200, {})
    assert index["composed_of"] == [SETTINGS, MAPPINGS, CUSTOM, ECS]
    assert index["ignore_missing_component_templates"] == [CUSTOM]
    assert index["template"] == {
        "lifecycle": {"enabled": True, "data_retention": "30d"},
        "data_stream_options": {"failure_store": {"enabled": True}},
    }
    assert settings_of(everything)["index.mode"] == "logsdb"


def test_the_reduced_body_names_nothing_that_the_server_does_not_know():
    index = index_template(OPENSEARCH, Choice(), custom=False)
    assert index["composed_of"] == [SETTINGS, MAPPINGS]
    assert "ignore_missing_component_templates" not in index
    assert list(index["template"]) == ["mappings"]
    assert settings_of(OPENSEARCH) == {
        "index.codec": "best_compression",
        "index.mapping.ignore_malformed": "true",
        "index.query.default_field": ["message", "error.message", "error.stack_trace"],
        "index.auto_expand_replicas": "0-1",
    }


def test_where_a_component_cannot_be_optional_the_users_own_takes_part_if_it_is_there():
    assert index_template(OPENSEARCH, Choice(), custom=True)["composed_of"] == [SETTINGS, MAPPINGS, CUSTOM]


def test_rules_for_any_text_come_behind_those_of_the_user(everything):
    texts = index_template(OPENSEARCH, Choice(), custom=True)["template"]["mappings"]["dynamic_templates"]
    assert [list(each) for each in texts] == [["clusterlog_texts"]]
    assert "clusterlog_texts" not in str(component_templates(OPENSEARCH, Choice()))
    composed = index_template(everything, Choice(), custom=True)["composed_of"]
    assert composed.index(CUSTOM) < composed.index(ECS)


def test_numbers_of_ones_own_are_doubles_whatever_their_names_mean_in_ecs(everything):
    mappings = component_templates(everything, Choice())[MAPPINGS]["template"]["mappings"]
    rules = [rule for each in mappings["dynamic_templates"] for rule in each.values()]
    assert [(rule["path_match"], rule["match_mapping_type"], rule["mapping"]) for rule in rules] == [
        ("clusterlog.metrics.*", "long", {"type": "double"}),
        ("clusterlog.metrics.*", "double", {"type": "double"}),
    ]
    composed = index_template(everything, Choice(), custom=False)["composed_of"]
    assert composed.index(MAPPINGS) < composed.index(ECS)


@pytest.mark.parametrize(("retention", "kept"), [("7d", {"data_retention": "7d"}), (FOREVER, {})])
def test_retention_is_the_lifecycle_of_the_stream(everything, retention, kept):
    index = index_template(everything, Choice(retention), custom=False)
    assert index["template"]["lifecycle"] == {"enabled": True, **kept}


def test_replicas_are_as_chosen_or_one_where_a_second_node_can_hold_it(everything):
    assert settings_of(everything, replicas=2)["index.number_of_replicas"] == "2"
    assert "index.auto_expand_replicas" not in settings_of(everything, replicas=2)
    assert settings_of(everything)["index.auto_expand_replicas"] == "0-1"


def test_everything_made_says_whose_it_is_and_of_which_version(everything):
    made = [*component_templates(everything, Choice()).values(), index_template(everything, Choice(), custom=False)]
    for each in made:
        assert (each["_meta"]["managed_by"], each["_meta"]["version"]) == ("clusterlog", __version__)
        assert each["_meta"]["managed"] is True


def test_a_generation_is_one_set_of_mappings_and_settings_whatever_retention_and_replicas_are(everything):
    one = generation(component_templates(everything, Choice()))
    assert one == generation(component_templates(everything, Choice("1d", 3)))
    others = {generation(component_templates(everything - {each.name}, Choice())) for each in FEATURES}
    assert len(others - {one}) > 4
    for matters in ("logsdb", "match_only_text", ECS, "subobjects", "flattened"):
        assert generation(component_templates(everything - {matters}, Choice())) != one


@pytest.mark.parametrize("feature", FEATURES, ids=lambda each: each.name)
def test_a_feature_is_asked_for_by_a_template_that_nothing_else_fits(feature):
    asked = probe(feature)
    assert asked["index_patterns"] == BARE["index_patterns"]
    assert not asked["index_patterns"][0].startswith("logs-")
    assert asked != probe()


class Recorder(Transport):
    """Notes what the official client would send, and sends nothing."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.sent = []

    def perform_request(self, method, target, *, body=None, headers=None, **options):
        self.sent.append((method, target, body))
        meta = ApiResponseMeta(
            status=200,
            http_version="1.1",
            headers=HttpHeaders({"x-elastic-product": "Elasticsearch", "content-type": "application/json"}),
            duration=0.0,
            node=NodeConfig("http", "h", 9200),
        )
        return TransportApiResponse(meta, {})


@pytest.fixture
def official():
    return Elasticsearch("http://h:9200", transport_class=Recorder)


def call(client, step):
    """The official client's own method for a step, with the members of the body as its named parameters."""
    body = {{"_meta": "meta"}.get(name, name): value for name, value in (step.body or {}).items()}
    stream = step.name
    match step.method, step.path.split("/")[1:]:
        case "PUT", ["_component_template", name]:
            client.cluster.put_component_template(name=name, **body)
        case "PUT", ["_index_template", name]:
            client.indices.put_index_template(name=name, **body)
        case "DELETE", ["_component_template", name]:
            client.cluster.delete_component_template(name=name)
        case "DELETE", ["_index_template", name]:
            client.indices.delete_index_template(name=name)
        case "PUT", ["_data_stream", name, "_lifecycle"]:
            client.indices.put_data_lifecycle(name=name, **body)
        case "PUT", ["_data_stream", name, "_options"]:
            client.indices.put_data_stream_options(name=name, **body)
        case "POST", [name, "_rollover"]:
            client.indices.rollover(alias=stream)
        case "PUT", [name, "_settings"]:
            client.indices.put_settings(index=name, settings=body)
        case "PUT", ["_security", "role", name]:
            client.security.put_role(name=name, **body)
        case "DELETE", ["_security", "role", name]:
            client.security.delete_role(name=name)
        case "POST", ["_security", "api_key"]:
            client.security.create_api_key(**body)
        case "DELETE", ["_security", "api_key"]:
            client.security.invalidate_api_key(**body)
        case other:
            raise AssertionError(f"no method of the client sends {other}")


def every_step(everything, provided, stream):
    """A step of every kind there is."""
    told = stream("logs-clusterlog.app-old", generation="", version="", lifecycle=None, failure_store=False)
    adopted = provided(streams=[told, stream("logs-clusterlog.app-new")], can_change_streams=True)
    files = [TokenFile(use, "-") for use in rights.USES]
    there = Security(True, SECURITY.rights, roles={"clusterlog_ship": {"metadata": {"managed_by": "clusterlog"}}})
    with_keys = Security(True, there.rights, roles=there.roles, keys=(Key("k1", "clusterlog_ship"),))
    bare = provided()
    return [
        *templates(everything, Choice(), Found()).steps,
        *templates(everything, Choice("1d", 0), adopted).steps,
        *roles(SECURITY).steps,
        *keys(files, SECURITY, (PATTERN,), {}).steps,
        *removal(bare, with_keys).steps,
    ]


def test_the_official_client_sends_every_step_the_same_way(official, everything, provided, stream):
    steps = every_step(everything, provided, stream)
    assert {(step.action, step.kind) for step in steps} == {
        ("create", "component template"),
        ("create", "index template"),
        ("update", "component template"),
        ("update", "index template"),
        ("change", "data stream"),
        ("roll over", "data stream"),
        ("create", "role"),
        ("create", "API key"),
        ("remove", "component template"),
        ("remove", "index template"),
        ("remove", "role"),
        ("remove", "API key"),
    }
    for step in steps:
        official.transport.sent.clear()
        call(official, step)  # a member that the client does not know is a TypeError
        ((method, target, body),) = official.transport.sent
        assert target.partition("?")[0].replace("%40", "@").replace("%2A", "*") == step.path
        assert {method, step.method} <= {"PUT", "POST"} or method == step.method
        assert json.loads(json.dumps(body)) == json.loads(json.dumps(step.body))


FIELD_TYPES = {
    "keyword": dsl.Keyword,
    "flattened": dsl.Flattened,
    "date_nanos": dsl.DateNanos,
    "match_only_text": dsl.MatchOnlyText,
    "text": dsl.Text,
    "long": dsl.Long,
    "double": dsl.Double,
    "ip": dsl.Ip,
    "object": dsl.Object,
}


@pytest.mark.parametrize("lacks", [(), ("match_only_text",), (ECS, "subobjects")], ids=str)
def test_every_mapping_has_only_parameters_that_the_client_knows_of_its_type(everything, mapped, lacks):
    mappings = component_templates(everything - set(lacks), Choice())[MAPPINGS]["template"]["mappings"]
    inner = [rule["mapping"] for each in mappings["dynamic_templates"] for rule in each.values()]
    for mapping in [*mapped(mappings["properties"]).values(), *inner]:
        known = set(inspect.signature(FIELD_TYPES[mapping["type"]].__init__).parameters) | {"type"}
        assert set(mapping) - known <= ({"disable_objects"} if "subobjects" in lacks else set())
    assert {"ignore_malformed"} <= set(inspect.signature(dsl.DateNanos.__init__).parameters)


def test_streams_that_are_there_are_changed_by_what_the_client_would_send(everything, provided, stream):
    found = provided(streams=[stream(lifecycle=None, generation="")], can_change_streams=True)
    told = changes(found, "new", Choice("1d"), Choice(), everything)
    lifecycle = next(each for each in told.before if each.path.endswith("_lifecycle"))
    known = inspect.signature(Elasticsearch("http://h:9200").indices.put_data_lifecycle).parameters
    assert set(lifecycle.body) <= set(known)
    assert lifecycle.body == {"enabled": True, "data_retention": "1d"}
