"""What our filters make of events, and of everything else that comes in: where it goes, and under which id.

The filters are run by an interpreter of ours, read from Logstash's sources, not by Logstash.
"""

import copy
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines.config import read, section
from pipelines.filters import Raised, get, path, run
from pipelines.ruby import RUBY, really, told

from clusterlog.store.elasticsearch.streams import data_stream

ROOT = Path(__file__).parents[2]
FILTERS = {
    name: section(read(ROOT / "logstash" / "pipeline" / f"{name}.conf"), "filter")
    for name in ("clusterlog", "edge", "dead-letters")
}
STAMP = "2026-11-03T12:00:00.123456789Z"
ID = "0190aaaa0000700080000000000000c7-0000000000f"


def passed(event, *pipelines):
    """The document and what Elasticsearch is told about it: stream and id."""
    event = copy.deepcopy(event)
    for name in pipelines or ("clusterlog",):
        run(FILTERS[name], event, told)
    stream = event.pop("data_stream")
    id = event.pop("@metadata", {}).get("id")
    return event, f"{stream['type']}-{stream['dataset']}-{stream['namespace']}", id


def event(dataset="clusterlog.access", environment="production", **parts):
    return {
        "@timestamp": STAMP,
        "@version": "1",
        "event": {"id": ID, "sequence": 15, "kind": "event", "dataset": dataset},
        "log": {"level": "info", "logger": "shop.api"},
        "service": {"name": "shop", "node": {"name": "shop-1"}, "environment": environment},
        "host": {"name": "h"},
        "message": "order placed",
        "labels": {"order": "42"},
        **parts,
    }


def test_an_event_of_ours_is_stored_as_it_is_under_its_own_id_in_its_own_stream():
    sent = event()
    document, stream, id = passed(sent)
    del sent["@version"]
    assert document == sent and stream == "logs-clusterlog.access-production" and id == ID


@given(
    st.sampled_from(["clusterlog.app", "clusterlog.State", "shop", "Shop-Access", "a b/c", "clusterlog", ""]),
    st.sampled_from(["production", "Pre-Prod", "staging eu", "prüfung", "x" * 150, ""]),
)
def test_streams_are_named_as_the_way_without_logstash_names_them(dataset, environment):
    sent = event(dataset, environment)
    for part, name, value in (("event", "dataset", dataset), ("service", "environment", environment)):
        if not value:
            del sent[part][name]
    assert passed(sent)[1] == data_stream(dataset, environment)


def test_what_has_no_id_gets_one_by_which_it_is_stored_once_however_often_it_is_read():
    line = {"@timestamp": STAMP, "message": "one line", "event": {"dataset": "clusterlog.app"}}
    first, again = passed(line), passed(line)
    assert first == again and len(first[2]) == 64
    assert first[0]["event"]["id"] == first[2]
    assert passed({**line, "message": "another"})[2] != first[2]
    assert passed({**line, "@timestamp": "2026-11-03T12:00:01Z"})[2] != first[2]


def test_a_line_that_is_no_json_is_kept_with_its_text_where_it_is_found():
    line = {"@timestamp": STAMP, "message": "{half a li", "tags": ["_jsonparsefailure"]}
    document, stream, id = passed(line)
    assert stream == "logs-clusterlog.unparsed-default" and id == document["event"]["id"]
    assert document["message"] == "{half a li" and document["log"]["level"] == "warning"
    assert document["event"]["dataset"] == "clusterlog.unparsed"


@pytest.mark.parametrize("name", ["event", "log", "service", "host", "http", "labels", "ecs", "error", "data_stream"])
@pytest.mark.parametrize("value", ["text", 7, True, ["a", "b"]], ids=["text", "number", "yes", "list"])
def test_what_strangers_put_in_the_place_of_an_object_ends_nothing(name, value):
    document, stream, id = passed({"@timestamp": STAMP, "message": "x", name: value})
    assert stream == "logs-clusterlog.unparsed-default" and id
    assert name == "data_stream" or isinstance(document["labels"][name], str)


def test_without_that_a_stranger_could_end_the_pipeline():
    unguarded = section(read(ROOT / "logstash" / "pipeline" / "clusterlog.conf"), "filter")
    with pytest.raises(Raised):
        run(unguarded, {"@timestamp": STAMP, "event": "text"}, lambda plugin, event: None)


def test_whatever_a_filter_sets_a_field_in_is_an_object_by_then():
    guarded = re.search(r"%w\[([a-z ]+)\]", next(each.get("code") for _, each in PIECES if each.get("id") == "objects"))
    set_in = {
        path(field)[0]
        for plugin in FILTERS["clusterlog"].plugins()
        for option in ("add_field", "replace", "copy")
        for field in (plugin.get(option, {}).values() if option == "copy" else plugin.get(option, {}))
        if field.startswith("[")
    }
    assert set_in - {"@metadata", "data_stream"} <= set(guarded[1].split())


def test_no_line_leads_into_the_streams_of_others():
    sent = event("nginx.access", data_stream={"type": "metrics", "dataset": "system.cpu", "namespace": "default"})
    assert passed(sent)[1] == "logs-clusterlog.nginx.access-production"


def syslog(line):
    return passed({"@timestamp": STAMP, "message": line, "host": {"ip": "10.0.0.1"}}, "edge", "clusterlog")


BODY = {
    "@timestamp": "2026-11-03T11:59:59.250Z",
    "event": {"dataset": "clusterlog.edge", "kind": "event"},
    "http": {"request": {"id": "0198f0c2a7b47c6e"}, "response": {"status_code": 200}},
    "service": {"name": "haproxy", "node": {"name": "shop-2"}, "environment": "production"},
}
HAPROXY = "<134>1 2026-11-03T11:59:59.300000+00:00 - haproxy 4711 - - "
NGINX = "<190>Nov  3 11:59:59 edge-1 nginx: "


@pytest.mark.parametrize(
    "header", [HAPROXY, NGINX, f"512 {HAPROXY}", HAPROXY.replace(" - - ", ' ID47 [a@1 b="c\\]"] ')]
)
def test_a_line_of_the_edge_with_an_event_in_it_becomes_that_event(header):
    document, stream, _ = syslog(header + json.dumps(BODY))
    assert stream == "logs-clusterlog.edge-production"
    assert {name: document[name] for name in ("@timestamp", "http")} == {
        name: BODY[name] for name in ("@timestamp", "http")
    }
    assert document["service"] == BODY["service"]
    assert document["event"]["dataset"] == "clusterlog.edge" and document["log"]["level"] == "info"
    assert "message" not in document and "tags" not in document


def test_what_haproxy_of_the_stack_writes_becomes_an_event_of_the_edge():
    cfg = (ROOT / "examples" / "shop" / "haproxy.cfg").read_text(encoding="utf-8")
    written = re.sub(r"%\[var\(txn\.\w+,\\ \)\]", " ", re.search(r" log-format '(.*)'", cfg)[1])
    written = written.replace(re.search(r'"@timestamp":"(.*?)",', written)[1], "2026-11-03T11:59:59.300000000Z")
    document, stream, _ = syslog(HAPROXY + re.sub(r"%\[[^\]]*\]|%[A-Za-z]+", "7", written))
    assert stream == "logs-clusterlog.edge-production" and "tags" not in document
    assert document["http"]["request"]["id"] == "7" and document["@timestamp"].startswith("2026-11-03T11:59:59.300")


def test_what_a_balancer_has_no_value_for_is_not_there():
    own = {"call": {"status_code": None}, "client": {"request_id": ""}, "parent": {"span_id": "0"}}
    document, *_ = syslog(HAPROXY + json.dumps({**BODY, "clusterlog": own, "labels": {"tried": ""}}))
    assert document["clusterlog"] == {"parent": {"span_id": "0"}} and "labels" not in document


def test_what_a_line_of_the_edge_does_not_say_is_taken_from_its_header():
    document, stream, _ = syslog('<190>Nov 13 11:59:59 edge-1 nginx[17]: {"http":{"request":{"id":"r1"}}}')
    assert stream == "logs-clusterlog.edge-production" and document["event"]["kind"] == "event"
    assert document["host"]["name"] == "edge-1" and document["service"]["name"] == "nginx"
    assert document["http"]["request"]["id"] == "r1"


@pytest.mark.parametrize(
    ("body", "request_id"),
    [
        ("10.0.0.1 GET /checkout 200 request_id=0198f0c2-a7b4", "0198f0c2-a7b4"),
        ('GET / "X-Request-ID: abc.def_1"', "abc.def_1"),
        ("unique-id: 0A00:1234 rest", "0A00"),
        ("Server shop/shop-1 is DOWN", None),
    ],
)
def test_a_line_of_text_keeps_it_and_a_request_id_that_is_named_in_it(body, request_id):
    document, stream, _ = syslog(HAPROXY + body)
    assert document["message"] == body and stream == "logs-clusterlog.edge-production"
    assert get(document, "[http][request][id]") == request_id and "tags" not in document


@pytest.mark.parametrize(("priority", "level"), [(128, "critical"), (131, "error"), (132, "warning"), (135, "debug")])
def test_severities_become_levels(priority, level):
    assert syslog(f"<{priority}>1 - h app - - - text")[0]["log"]["level"] == level


@pytest.mark.parametrize("line", ["no syslog at all", "<134>nonsense", "", HAPROXY + '{"half', "{half"])
def test_what_cannot_be_read_at_the_edge_is_kept_where_it_is_found(line):
    document, stream, _ = syslog(line)
    assert stream.startswith("logs-clusterlog.unparsed-") and document["event"]["reason"]
    assert get(document, "message") in (line, line.removeprefix(HAPROXY))


def test_an_event_without_a_header_is_an_event_all_the_same():
    document, stream, _ = syslog(json.dumps(BODY))
    assert stream == "logs-clusterlog.edge-production" and not document.get("tags")


def test_a_dead_letter_is_kept_as_text_beside_what_it_is_found_by():
    dead = event(http={"request": {"id": "r1"}}, **{"@metadata": {"dead_letter_queue": {"reason": "mapper [x]"}}})
    made = copy.deepcopy(dead)
    run(FILTERS["dead-letters"], made, told)
    assert json.loads(made["event"]["original"])["labels"] == {"order": "42"}
    assert made["event"]["id"] == f"dead-{ID}" and made["event"]["reason"] == "mapper [x]"
    assert made["http"]["request"]["id"] == "r1" and "labels" not in made
    assert made["data_stream"]["dataset"] == "clusterlog.unparsed"


# The pieces of Ruby, by Ruby itself.

PIECES = [(name, plugin) for name, filters in FILTERS.items() for plugin in filters.plugins() if plugin.name == "ruby"]
_ANY = st.sampled_from([None, "text", 7, True, {"name": "x"}, ["a"], {"environment": "Pré-Prod", "name": "shop"}])
_EMPTY = st.recursive(
    st.sampled_from([None, "", 0, False, [], {}, "x"]),
    lambda inner: st.dictionaries(st.sampled_from(["call", "client", "parent", "status_code"]), inner),
    max_leaves=6,
)
_EVENTS = st.fixed_dictionaries(
    {"@timestamp": st.just(STAMP)},
    optional={
        **dict.fromkeys(("event", "log", "service", "host", "http", "labels", "data_stream"), _ANY),
        "clusterlog": _EMPTY,
        "message": st.sampled_from(["", " text \n", "\ufefftext", '{"a":1}']),
        "@metadata": st.sampled_from(
            [{}, {"edge": {"priority": "134"}}, {"edge": {}}, {"dead_letter_queue": {"reason": "why" * 300}}]
        ),
    },
)


@pytest.mark.skipif(RUBY is None, reason="there is no Ruby here: apt-get install ruby")
@pytest.mark.parametrize(("name", "plugin"), PIECES, ids=[plugin.get("id") for _, plugin in PIECES])
def test_ruby_makes_of_events_what_the_tests_here_believe(name, plugin):
    events = []

    @given(_EVENTS)
    def collect(made):
        events.append(json.loads(json.dumps(made)))  # no object twice in one

    collect()
    expected = copy.deepcopy(events)
    for each in expected:
        told(plugin, each)
    for mine, rubys in zip(expected, really(plugin, events), strict=True):
        for each in (mine, rubys):
            if isinstance(each.get("event"), dict) and "original" in each["event"]:
                each["event"]["original"] = json.loads(each["event"]["original"])
        assert mine == rubys
