"""What kind of server it is, by its own words and not by what a proxy leaves of them."""

from __future__ import annotations

import pytest

from clusterlog.errors import SettingError, StoreDenied, StoreUnavailable
from clusterlog.store.elasticsearch.provision.server import ask, reason
from clusterlog.store.elasticsearch.provision.templates.features import BARE, FEATURES
from clusterlog.store.elasticsearch.provision.templates.fields import ECS
from clusterlog.store.elasticsearch.transport import Answer

NODE = "/_nodes/_local/settings"
SIMULATE = "/_index_template/_simulate"


def node(**facts):
    return 200, {"nodes": {"n": {"version": "8.19.0", **facts}}}


def knows(*names):
    """Simulates a template where a feature is known that is named, and no other."""
    probes = {str(sorted(each.probe)) + str(each.probe): each.name for each in FEATURES}

    def answer(body):
        asked = {name: value for name, value in body.items() if BARE.get(name) != value}
        name = probes.get(str(sorted(asked)) + str(asked))
        known = not asked or name in names
        return (200, {}) if known else (400, {"error": {"reason": "no", "caused_by": {"reason": f"what is {name}"}}})

    return answer


def server(scripted, *names, headers=None, **facts):
    answers = {("GET", NODE): node(**facts), ("POST", SIMULATE): knows(*names)}
    return scripted(answers, headers)


def test_elasticsearch_is_known_by_its_build_and_its_version_by_its_node(scripted):
    told = ask(server(scripted, *(each.name for each in FEATURES), build_flavor="default"))
    assert (told.flavour, told.version, told.title) == ("elasticsearch", "8.19.0", "Elasticsearch 8.19.0")
    assert (told.profile, told.left_out()) == ("full", ())


def test_elasticsearch_is_known_by_its_header_as_well(scripted):
    told = ask(server(scripted, "flattened", headers={"x-elastic-product": "Elasticsearch"}))
    assert told.flavour == "elasticsearch"


def test_what_tells_no_build_is_opensearch_of_the_reduced_profile(scripted):
    told = ask(server(scripted, "flat_object", "match_only_text", "disable_objects"))
    assert (told.flavour, told.profile) == ("opensearch", "reduced")
    left_out = {feature.name: why for feature, why in told.left_out()}
    assert left_out["logsdb"] == "what is logsdb"
    assert {"lifecycle", "failure_store", "flattened", "optional_components", ECS} <= left_out.keys()


def test_one_of_two_that_serve_alike_is_enough(scripted):
    lacks_one = [each.name for each in FEATURES if each.name != "subobjects"]
    assert ask(server(scripted, *lacks_one)).profile == "full"
    lacks_both = [name for name in lacks_one if name != "disable_objects"]
    assert [feature.name for feature, _ in ask(server(scripted, *lacks_both)).left_out()] == ["subobjects"]


def test_the_root_of_a_server_is_never_asked_and_nothing_is_changed(scripted):
    asked = server(scripted, "flattened")
    ask(asked)
    assert {(method, path) for method, path, _ in asked.asked} == {("GET", NODE), ("POST", SIMULATE)}


def test_it_tells_how_many_of_its_questions_are_asked(scripted):
    told = []
    ask(server(scripted, "flattened"), lambda done, total: told.append((done, total)))
    assert told == [(number, len(FEATURES)) for number in range(1, len(FEATURES) + 1)]


@pytest.mark.parametrize(
    ("answers", "error", "told"),
    [
        ({}, SettingError, "is no Elasticsearch or OpenSearch that can be set up"),
        ({("GET", NODE): (410, {"error": {"reason": "not available in serverless mode"}})}, SettingError, "serverless"),
        ({("GET", NODE): (200, {"ok": True})}, SettingError, "is neither Elasticsearch nor OpenSearch"),
        ({("GET", NODE): (200, None)}, SettingError, "is neither Elasticsearch nor OpenSearch"),
        ({("GET", NODE): (403, {"error": {"reason": "nobody"}})}, StoreDenied, "the right monitor is lacking: nobody"),
        ({("GET", NODE): (401, {})}, StoreDenied, "401"),
        ({("GET", NODE): (503, {})}, StoreUnavailable, "has too much to do"),
        (
            {("GET", NODE): node(), ("POST", SIMULATE): (403, {"error": {"reason": "no"}})},
            StoreDenied,
            "the right manage_index_templates is lacking",
        ),
        (
            {("GET", NODE): node(), ("POST", SIMULATE): (400, {"error": {"reason": "unknown field [data_stream]"}})},
            SettingError,
            "cannot have data streams: unknown field",
        ),
        ({("GET", NODE): node(), ("POST", SIMULATE): knows("logsdb")}, SettingError, "has no field type for labels"),
    ],
)
def test_what_cannot_be_set_up_is_told_in_one_line(scripted, answers, error, told):
    with pytest.raises(error, match=told.replace("(", r"\(")) as caught:
        ask(scripted(answers))
    assert str(caught.value).startswith("http://es:9200: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": {"reason": "outer", "caused_by": {"reason": "middle", "caused_by": {"reason": "inner"}}}}, "inner"),
        ({"error": "no handler found"}, "no handler found"),
        ({"error": {"reason": "two\n lines"}}, "two lines"),
        (None, "status 400"),
        (
            {"error": {"reason": "index_template [simulate_template_x1-y] invalid, cause [unknown setting]"}},
            "[unknown setting]",
        ),
        ({"error": {"reason": "x" * 5000}}, "x" * 300),
    ],
)
def test_why_a_server_refuses_is_its_innermost_cause(body, told):
    assert reason(Answer(400, body, {}, "n")) == told
