"""A request as OpenTelemetry tells it, read by OpenTelemetry's own messages."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from clusterlog.search.export.otlp import everything, logs, traces
from clusterlog.search.story.journey import journey

NOON = 1_793_707_200_000_000_000
MS = 1_000_000


def with_bytes(told: Any) -> Any:
    """OTLP's JSON as that of Protocol Buffers: its ids are hexadecimal, where others write base64."""
    if isinstance(told, list):
        return [with_bytes(each) for each in told]
    if not isinstance(told, dict):
        return told
    return {
        name: base64.b64encode(bytes.fromhex(each)).decode() if name in ("traceId", "spanId", "parentSpanId") else each
        for name, each in ((name, with_bytes(each)) for name, each in told.items())
    }


def read_back(story: Any) -> tuple[TracesData, LogsData]:
    """What a reader that knows every name, and no other, makes of it."""
    told = journey(story.documents)
    as_text = json.loads(json.dumps([traces(told), logs(told)]))
    return ParseDict(with_bytes(as_text[0]), TracesData()), ParseDict(with_bytes(as_text[1]), LogsData())


def spans_of(found: TracesData) -> dict[str, Span]:
    return {span.name: span for group in found.resource_spans for scope in group.scope_spans for span in scope.spans}


def values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value") for each in attributes}


@pytest.fixture
def traced(story: Any) -> Any:
    """A request with ids as they are in the field."""
    shop, orders = story.process("shop-1"), story.process("orders-1")
    error = {"type": "Timeout", "message": "no answer", "stack_trace": "Traceback\n  ..."}
    orders.log(3, "looked", span="b" * 16, labels={"sku": 7})
    orders.access(4, 2, "GET /stock/{sku}", 500, span="b" * 16, parent="c" * 16, url={"path": "/stock/7"})
    shop.call(5, 3, "GET http://orders:8002/stock/7", 500, span="c" * 16, parent="d" * 16, error=error)
    shop.step(6, 5, "ask", span="d" * 16, parent="a" * 16)
    shop.log(7, "failed", level="error", span="a" * 16, logger="shop.api", error=error)
    shop.access(8, 8, "GET /", 502, span="a" * 16, parent="0" * 16, event={"reason": "no stock"})
    return story


def test_a_span_has_its_ids_times_kind_status_and_what_it_says(traced: Any) -> None:
    found, _ = read_back(traced)
    spans = spans_of(found)
    assert list(spans) == ["GET /stock/{sku}", "GET /stock/*", "ask", "GET /"]
    call = spans["GET /stock/*"]
    assert (call.trace_id.hex(), call.span_id.hex(), call.parent_span_id.hex()) == ("7" * 32, "c" * 16, "d" * 16)
    assert (call.start_time_unix_nano, call.end_time_unix_nano) == (NOON + 2 * MS, NOON + 5 * MS)
    assert (call.kind, call.status.code, call.status.message) == (3, 2, "no answer")
    assert values(call.attributes) == {
        "event.dataset": "clusterlog.call",
        "event.id": f"{1:032x}-{1:011x}",
        "event.sequence": 1,
        "http.request.id": traced.id,
        "http.request.method": "GET",
        "http.response.status_code": 500,
        "server.address": "orders",
        "server.port": 8002,
        "message": "GET http://orders:8002/stock/7",
        "url.path": "/stock/7",
        "url.scheme": "http",
    }
    (raised,) = call.events
    assert (raised.name, raised.time_unix_nano) == ("exception", NOON + 5 * MS)
    assert values(raised.attributes) == {
        "exception.type": "Timeout",
        "exception.message": "no answer",
        "exception.stacktrace": "Traceback\n  ...",
    }
    answer, step = spans["GET /stock/{sku}"], spans["ask"]
    assert (answer.kind, answer.parent_span_id.hex()) == (2, "c" * 16)
    assert values(answer.attributes)["http.route"] == "/stock/{sku}"
    assert (step.kind, step.status.code, step.parent_span_id.hex()) == (1, 0, "a" * 16)
    assert (spans["GET /"].parent_span_id, spans["GET /"].status.message) == (b"", "no stock")


def test_a_process_is_a_resource_and_a_logger_a_scope(traced: Any) -> None:
    found, lines = read_back(traced)
    assert [values(group.resource.attributes) for group in found.resource_spans] == [
        {
            "service.name": name,
            "service.node.name": f"{name}-1",
            "service.instance.id": f"{number:032x}",
            "process.pid": 7,
            "host.name": f"host-of-{name}-1",
        }
        for number, name in ((2, "orders"), (1, "shop"))
    ]
    assert {scope.scope.name for group in found.resource_spans for scope in group.scope_spans} == {"clusterlog"}
    assert [scope.scope.name for group in lines.resource_logs for scope in group.scope_logs] == [
        "orders.api",
        "shop.api",
    ]


def test_a_line_is_a_log_record_in_its_span(traced: Any) -> None:
    _, lines = read_back(traced)
    looked, failed = (
        record for group in lines.resource_logs for scope in group.scope_logs for record in scope.log_records
    )
    assert (looked.trace_id.hex(), looked.span_id.hex(), looked.time_unix_nano) == ("7" * 32, "b" * 16, NOON + 3 * MS)
    assert (looked.severity_number, looked.severity_text, looked.body.string_value) == (9, "info", "looked")
    assert values(looked.attributes) == {
        "log.record.uid": f"{2:032x}-{1:011x}",
        "event.dataset": "clusterlog.app",
        "event.id": f"{2:032x}-{1:011x}",
        "event.sequence": 1,
        "http.request.id": traced.id,
        "sku": 7,
    }
    assert failed.severity_number == 17
    assert values(failed.attributes)["exception.stacktrace"] == "Traceback\n  ..."


def test_an_event_without_ids_of_a_span_is_a_log_record(traced: Any) -> None:
    for event in traced.documents:
        event["trace"] = {"id": "not hex"}
    found, lines = read_back(traced)
    assert not found.resource_spans
    records = [r for group in lines.resource_logs for scope in group.scope_logs for r in scope.log_records]
    assert len(records) == 6
    assert {record.trace_id for record in records} == {b""}


def test_links_events_and_scope_of_a_foreign_span_are_its_own_again(story: Any) -> None:
    story.process("shop-1").step(5, 4, "consume", span="e" * 16)
    told = {
        "kind": "consumer",
        "scope": "kafka",
        "links": [{"trace_id": "1" * 32, "span_id": "2" * 16}, {"trace_id": "", "span_id": "x"}],
        "events": [{"name": "fetched", "offset_ns": 1_000_000}],
    }
    story.documents[0]["clusterlog"] = {"span": told}
    found, _ = read_back(story)
    (group,) = found.resource_spans
    (scope,) = group.scope_spans
    (span,) = scope.spans
    assert (scope.scope.name, span.kind) == ("kafka", 5)
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [("1" * 32, "2" * 16)]
    assert [(event.name, event.time_unix_nano) for event in span.events] == [("fetched", NOON + 2 * MS)]


def test_both_in_one_object_are_what_each_is_alone(traced: Any) -> None:
    told = journey(traced.documents)
    both = everything(told)
    assert both == {**traces(told), **logs(told)}
    for message, alone in ((TracesData(), traces(told)), (LogsData(), logs(told))):
        whole = ParseDict(with_bytes(both), message, ignore_unknown_fields=True)
        assert whole == ParseDict(with_bytes(alone), type(message)())


@given(data=st.data())
@settings(max_examples=60)
def test_every_event_is_one_span_or_one_log_record_whatever_strangers_put_into_it(
    any_request: Any, data: st.DataObject
) -> None:
    story, _ = data.draw(any_request)
    hostile = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=5,
    )
    places = ["labels", "clusterlog", "error", "event", "trace", "span", "url", "process", "service", "message"]
    for document in story.documents:
        if data.draw(st.integers(0, 2)) == 0:
            document[data.draw(st.sampled_from(places))] = data.draw(hostile)
    found, lines = read_back(story)
    spans = [span for group in found.resource_spans for scope in group.scope_spans for span in scope.spans]
    records = [r for group in lines.resource_logs for scope in group.scope_logs for r in scope.log_records]
    assert len(spans) + len(records) == len(journey(story.documents).entries)
    assert all(len(span.trace_id) == 16 and len(span.span_id) == 8 for span in spans)
    assert all(len(span.parent_span_id) in (0, 8) for span in spans)
    for each in (*spans, *records):
        keys = [attribute.key for attribute in each.attributes]
        assert len(keys) == len(set(keys))
