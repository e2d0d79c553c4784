"""Every field of an event has a place in the mapping, of a type by which it is found as everywhere else."""

from __future__ import annotations

import pytest

from clusterlog.encode.foreign.names import shipped
from clusterlog.search.language import fields as language
from clusterlog.store.document import TEXT_FIELDS
from clusterlog.store.elasticsearch.provision.templates.fields import LOOKED_UP, METRICS, properties

TYPES = {
    "text": {"match_only_text", "text"},
    "number": {"long", "double"},
    "time": {"date_nanos"},
    "level": {"keyword"},
    "label": {"flattened", "flat_object"},
    "word": {"keyword", "ip", "flattened"},
}
OF_CONTRACT = """
    @timestamp event.id process.entity_id event.sequence ecs.version event.kind event.action log.level
    clusterlog.state.instance clusterlog.state.first_seq clusterlog.state.last_seq clusterlog.state.count
    clusterlog.state.reason clusterlog.state.levels clusterlog.state.backlog_events clusterlog.state.backlog_bytes
    clusterlog.state.oldest_age_s clusterlog.state.dropped event.dataset log.logger message clusterlog.template
    service.name service.node.name service.environment host.name process.pid http.request.id trace.id span.id
    clusterlog.parent.span_id user.hash clusterlog.user.key_id clusterlog.session.hash http.request.method url.path
    clusterlog.route http.response.status_code http.response.body.bytes event.duration event.outcome event.reason
    clusterlog.websocket.close_code clusterlog.call.status_code error.type error.message error.stack_trace
    clusterlog.error.fingerprint clusterlog.error.chain.type clusterlog.error.chain.message labels
    clusterlog.client.request_id clusterlog.client.trace_id clusterlog.metrics clusterlog.control.rule
    clusterlog.control.actor clusterlog.control.change clusterlog.control.logger
"""


@pytest.fixture(scope="module")
def mapping(mapped, everything):
    return mapped(properties(everything))


def test_every_field_of_a_real_event_has_a_place_of_its_own(events, mapping, leaves):
    datasets = {event["event"]["dataset"] for event in events}
    assert datasets == {f"clusterlog.{each}" for each in ("app", "access", "call", "span", "state")}
    found = {path for event in events for path in leaves(event, mapping)}
    assert found - mapping.keys() == set()
    ours = {name for name in mapping if name.startswith("clusterlog.")}
    rarely = {"clusterlog.error.left_out", "clusterlog.span.dropped.events", "clusterlog.span.dropped.links"}
    rarely |= {name for name in ours if name.startswith("clusterlog.control.")}  # of changes of levels, and of nodes
    assert ours - found <= rarely | {"clusterlog.span.began_as", "clusterlog.recorded.after"}


@pytest.mark.parametrize("field", OF_CONTRACT.split())
def test_every_field_that_is_promised_has_a_place(field, mapping):
    assert field in mapping


@pytest.mark.parametrize("field", sorted(language.KNOWN - {"labels"}))
def test_every_field_that_queries_know_is_of_the_kind_they_take_it_for(field, mapping):
    assert mapping[field]["type"] in TYPES[language.kind_of(field)]


@pytest.mark.parametrize("field", sorted({rule.field for rule in shipped().rules}))
def test_every_field_that_other_loggers_names_may_fill_has_a_place(field, mapping):
    if field != "stay":
        assert field in mapping


def test_the_fields_that_are_searched_by_words_are_those_every_engine_has(mapping):
    texts = {name for name, each in mapping.items() if each["type"] == "match_only_text"}
    assert texts == set(TEXT_FIELDS)


def test_what_requests_are_looked_up_by_is_indexed_whatever_the_index_mode(mapping):
    assert {"http.request.id", "trace.id", "event.id"} <= LOOKED_UP
    assert {name for name, each in mapping.items() if each.get("index") is True} == LOOKED_UP


def test_times_are_kept_to_the_nanosecond(mapping):
    assert mapping["@timestamp"] == {"type": "date_nanos", "ignore_malformed": False}


def test_labels_come_back_as_they_were_sent_from_an_index_that_keeps_no_source(mapping):
    assert mapping["labels"]["synthetic_source_keep"] == "all"
    assert mapping["clusterlog.state.dropped"]["synthetic_source_keep"] == "all"


def test_no_value_within_the_limits_of_an_encoder_makes_a_term_that_is_too_long(mapping):
    (most,) = {each["ignore_above"] for each in mapping.values() if "ignore_above" in each}
    # A unit of UTF-16 takes three bytes; the names on the way to a label are in its term (Lucene: 32,766 bytes).
    assert most * 3 + 8000 < 32_766


def test_a_server_without_flattened_gets_a_flat_object(mapped, everything):
    other = mapped(properties(everything - {"flattened", "source_keep"}))
    assert other["labels"] == {"type": "flat_object"}


def test_a_server_without_match_only_text_gets_text(mapped, everything):
    assert mapped(properties(everything - {"match_only_text"}))["message"] == {"type": "text"}


@pytest.mark.parametrize(
    ("lacks", "flat"),
    [
        ((), {"subobjects": False}),
        (("subobjects",), {"disable_objects": True}),
        (("subobjects", "disable_objects"), {}),
    ],
)
def test_numbers_whose_names_have_dots_stay_numbers_by_what_the_server_has_for_it(mapped, everything, lacks, flat):
    found = mapped(properties(everything - set(lacks)))[METRICS]
    assert found == {"type": "object", "dynamic": True, **flat}
