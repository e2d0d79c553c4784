"""Export requests in OTLP JSON become log lines and spans, each with who made it."""

from __future__ import annotations

import json

import orjson
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACE, SPAN, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "53995c3f42cd8ad8"
NOON_NS = 1_793_707_201_250_000_000
NOON = "2026-11-03T12:00:01.250000000Z"


def attribute(name, **value):
    return {"key": name, "value": value}


def resource(service="shop", host="web-1", *more):
    given = [attribute("service.name", stringValue=service), attribute("host.name", stringValue=host), *more]
    return {"attributes": given}


def logs(*records, **of):
    scope = {"scope": {"name": "shop.api"}, "logRecords": list(records)}
    return {"resourceLogs": [{"resource": resource(**of), "scopeLogs": [scope]}]}


def spans(*told, **of):
    scope = {"scope": {"name": "opentelemetry.instrumentation.flask"}, "spans": list(told)}
    return {"resourceSpans": [{"resource": resource(**of), "scopeSpans": [scope]}]}


RECORD = {
    "timeUnixNano": str(NOON_NS),
    "severityNumber": 13,
    "severityText": "WARN",
    "body": {"stringValue": "stock is low"},
    "attributes": [attribute("order", intValue="5"), attribute("request_id", stringValue="R-1")],
    "traceId": TRACE,
    "spanId": SPAN,
}
SPAN_TOLD = {
    "traceId": TRACE,
    "spanId": SPAN,
    "parentSpanId": PARENT,
    "name": "POST /orders",
    "kind": 2,
    "startTimeUnixNano": str(NOON_NS - 5_000_000),
    "endTimeUnixNano": str(NOON_NS),
    "attributes": [attribute("http.route", stringValue="/orders"), attribute("enduser.id", stringValue="alice")],
    "status": {"code": 2, "message": "no money"},
    "events": [
        {
            "timeUnixNano": str(NOON_NS - 1_000_000),
            "name": "exception",
            "attributes": [
                attribute("exception.type", stringValue="ValueError"),
                attribute("exception.message", stringValue="no money"),
                attribute("exception.stacktrace", stringValue='File "a.py", line 1, in pay\n'),
            ],
        },
        {"timeUnixNano": str(NOON_NS - 2_000_000), "name": "retry", "attributes": [attribute("n", intValue=2)]},
    ],
    "links": [{"traceId": TRACE, "spanId": PARENT}],
}


def test_a_log_record_is_a_line_of_its_service_and_scope(translate):
    event = translate(logs(RECORD))
    assert (event["@timestamp"], event["message"]) == (NOON, "stock is low")
    assert event["log"] == {"level": "warning", "logger": "shop.api", "file": {"path": "/var/log/shop.log"}}
    assert event["service"]["name"] == "shop" and event["service"]["node"]["name"] == "web-1"
    assert (event["trace"], event["span"], event["http"]) == ({"id": TRACE}, {"id": SPAN}, {"request": {"id": "R-1"}})
    assert event["labels"] == {"order": 5}
    assert event["event"]["dataset"] == "clusterlog.app"


def test_a_span_is_told_as_our_own_span_processor_tells_it(translate):
    event = translate(spans(SPAN_TOLD))
    assert event["event"]["dataset"] == event["log"]["logger"] == "clusterlog.span"
    assert (event["@timestamp"], event["event"]["duration"], event["event"]["outcome"]) == (NOON, 5_000_000, "failure")
    assert (event["message"], event["log"]["level"]) == ("POST /orders", "error")
    assert (event["trace"]["id"], event["span"]["id"]) == (TRACE, SPAN)
    own = event["clusterlog"]
    assert own["parent"] == {"span_id": PARENT}
    assert own["span"] == {
        "kind": "server",
        "scope": "opentelemetry.instrumentation.flask",
        "links": [{"trace_id": TRACE, "span_id": PARENT}],
        "events": [{"name": "retry", "offset_ns": 3_000_000}],
    }
    assert (event["error"]["type"], event["error"]["message"]) == ("ValueError", "no money")
    assert "in pay" in event["error"]["stack_trace"] and own["error"]["fingerprint"]
    assert event["labels"] == {"http.route": "/orders", "retry.n": 2}
    assert event["user"] == {"hash": "hash-of-alice"}
    assert "alice" not in json.dumps(event).replace("hash-of-alice", "")


def test_a_client_span_s_answer_is_that_of_a_call(translate):
    client = {
        **SPAN_TOLD,
        "kind": 3,
        "status": {},
        "events": [],
        "attributes": [attribute("http.response.status_code", intValue=502)],
    }
    event = translate(spans(client))
    assert event["clusterlog"]["call"] == {"status_code": 502}
    assert (event["event"]["outcome"], event["clusterlog"]["span"]["kind"]) == ("success", "client")


def test_one_line_becomes_many_events_with_numbers_of_their_own(translate):
    both = {**logs(RECORD, RECORD, host="web-1"), **spans(SPAN_TOLD, service="pay", host="web-2")}
    events = translate.all(both) + translate.all(logs(RECORD))
    assert [event["event"]["sequence"] for event in events] == [1, 2, 3, 4]
    assert [event["service"]["node"]["name"] for event in events] == ["web-1", "web-1", "web-2", "web-1"]
    assert len({event["event"]["id"] for event in events}) == 4
    assert translate.lines.formats == {"otlp": 2}


def test_what_generic_writers_of_protocol_buffers_make_of_it_means_the_same(translate, room):
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    span = group.scope_spans.add().spans.add(
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex(SPAN),
        name="GET /",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=NOON_NS - 7,
        end_time_unix_nano=NOON_NS,
    )
    span.status.code = Status.STATUS_CODE_ERROR
    span.attributes.add(key="n").value.int_value = 2**40
    event = translate(MessageToDict(request))
    assert (event["trace"]["id"], event["span"]["id"], event["event"]["duration"]) == (TRACE, SPAN, 7)
    assert event["clusterlog"]["span"]["kind"] == "client" and event["event"]["outcome"] == "failure"
    assert event["labels"] == {"n": 2**40}
    told = ExportLogsServiceRequest()
    record = told.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=NOON_NS, severity_number=17)
    record.body.kvlist_value.values.add(key="msg").value.string_value = "hi"
    record.body.kvlist_value.values.add(key="n").value.array_value.values.add().double_value = 1.5
    event = room()(MessageToDict(told))
    assert (event["message"], event["log"]["level"], event["labels"]) == ("hi", "error", {"n": [1.5]})


def test_a_record_without_a_time_of_its_own_has_the_one_it_was_observed_at(translate):
    record = {**RECORD, "timeUnixNano": "0", "observedTimeUnixNano": str(NOON_NS)}
    assert translate(logs(record))["@timestamp"] == NOON


def test_attributes_cannot_take_the_place_of_what_the_record_says(translate):
    record = {
        **RECORD,
        "attributes": [attribute("message", stringValue="other"), attribute("@timestamp", stringValue="x")],
    }
    event = translate(logs(record))
    assert (event["message"], event["@timestamp"]) == ("stock is low", NOON)
    assert event["labels"] == {"message_2": "other", "@timestamp_2": "x"}


def test_a_service_without_a_host_is_told_by_its_instance(translate):
    told = logs(RECORD)
    told["resourceLogs"][0]["resource"] = {
        "attributes": [
            attribute("service.name", stringValue="shop"),
            attribute("service.instance.id", stringValue="i-7"),
        ]
    }
    assert translate(told)["service"]["node"]["name"] == "i-7"


@pytest.mark.parametrize(
    ("line", "why"),
    [({"resourceMetrics": [{}]}, "metrics"), ({"resourceLogs": []}, "no record"), (logs(), "no record")],
)
def test_a_request_without_records_is_no_event(translate, line, why):
    with pytest.raises(ValueError, match=why):
        translate.lines.events(line, 1, b"")


NAMES = """
    resourceLogs resource scopeLogs scope logRecords resourceSpans scopeSpans spans attributes key value stringValue
    intValue kvlistValue values body events links status kind name traceId spanId timeUnixNano startTimeUnixNano
    endTimeUnixNano code
""".split()
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
anything = st.recursive(
    scalars | st.sampled_from([TRACE, SPAN, str(NOON_NS)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=25,
)


@given(anything, anything, anything)
def test_whatever_a_request_holds_it_is_events_or_a_reason(room, judge, a, b, c):
    record, span = (
        {**RECORD, "body": a, "attributes": b},
        {**SPAN_TOLD, "events": c, "links": a, "status": b, "kind": c},
    )
    named = [attribute("event.dataset", stringValue="clusterlog.span"), attribute("event.id", stringValue="x-1")]
    said = [*named, {"key": "event.duration", "value": a}, *(b if isinstance(b, list) else [b])]
    for line in (
        logs({**record, "attributes": said, "timeUnixNano": c}),
        spans({**span, "attributes": said, "startTimeUnixNano": b, "name": a}),
        {"resourceLogs": a, "resourceSpans": b},
        logs(record),
        spans(span),
        {"resourceLogs": [{"resource": c, "scopeLogs": a}]},
    ):
        lines = room().lines
        try:
            text = orjson.dumps(line)
        except TypeError:  # an integer beyond 64 bits
            continue
        try:
            events = lines.events(orjson.loads(text), 1, text)
        except ValueError:
            continue
        for payload, _, _ in events:
            judge(payload)


def test_a_captured_header_with_the_request_s_id_joins_the_request(translate):
    header = attribute("http.request.header.x-request-id", arrayValue={"values": [{"stringValue": "R-9"}]})
    other = attribute("http.request.header.accept", arrayValue={"values": [{"stringValue": "a"}, {"stringValue": "b"}]})
    server = translate(spans({**SPAN_TOLD, "attributes": [header, other]}))
    assert server["http"]["request"]["id"] == "R-9"
    assert server["labels"]["http.request.header.accept"] == ["a", "b"]
    assert translate(logs({**RECORD, "attributes": [header]}))["http"]["request"]["id"] == "R-9"


def test_what_every_event_of_an_sdk_says_is_left_out(translate):
    said = attribute("telemetry.sdk.language", stringValue="java")
    command = attribute("process.command_args", arrayValue={"values": [{"stringValue": "--password=x"}]})
    told = spans(SPAN_TOLD)
    told["resourceSpans"][0]["resource"] = resource("shop", "web-1", said, command, attribute("team", stringValue="t"))
    assert translate(told)["labels"] == {"team": "t", "http.route": "/orders", "retry.n": 2}
