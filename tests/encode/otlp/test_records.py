"""Events told as spans and log records, and what they are when they come back."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from clusterlog.encode.otlp import restored
from clusterlog.encode.otlp.protobuf import decoded, encoded
from clusterlog.encode.otlp.records import Told, is_span
from clusterlog.encode.otlp.requests import request
from clusterlog.encode.otlp.schema import LOGS, TRACES
from clusterlog.encode.otlp.values import attributes

NOON = 1_793_707_200_000_000_000
INSTANCE = "0190aaaa0000700080000000000000a1"
WIRE = {True: (TRACES, ExportTraceServiceRequest), False: (LOGS, ExportLogsServiceRequest)}


def event(dataset: str = "app", **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "@timestamp": "2026-11-03T12:00:01.123456789Z",
        "process": {"pid": 7, "entity_id": INSTANCE},
        "event": {"id": f"{INSTANCE}-{3:011x}", "sequence": 3, "kind": "event", "dataset": f"clusterlog.{dataset}"},
        "log": {"level": "info", "logger": "shop.api"},
        "ecs": {"version": "9.1.0"},
        "service": {"name": "shop", "node": {"name": "shop-1"}, "environment": "test"},
        "host": {"name": "web-1"},
        "message": "hello",
        "http": {"request": {"id": "r1"}},
        "trace": {"id": "7" * 32},
        "span": {"id": "a" * 16},
    }
    return merged(told, more)


def merged(told: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    for name, value in more.items():
        told[name] = merged(dict(told[name]), value) if isinstance(told.get(name), dict) and value else value
        if value is None:
            del told[name]
    return told


def timed(dataset: str, **more: Any) -> dict[str, Any]:
    own = {"event": {"duration": 5_000_000, "outcome": "success"}, "log": {"logger": f"clusterlog.{dataset}"}}
    return event(dataset, **merged(own, more))


def back(told: Told) -> dict[str, Any]:
    """By the wire, in both forms, which must say the same."""
    message, official = WIRE[told.is_span]
    whole = request([told], spans=told.is_span)
    data = encoded(whole, message)
    assert official.FromString(data) == ParseDict(with_bytes(whole), official())
    found = [_restored(each) for each in (decoded(data, message), json.loads(json.dumps(whole)))]
    assert found[0] == found[1]
    return found[0]


def _restored(whole: dict[str, Any]) -> dict[str, Any]:
    ((groups,),) = whole.values()
    resource = attributes(groups.pop("resource"))
    ((scoped,),) = groups.values()
    scope = scoped.pop("scope").get("name", "")
    ((record,),) = scoped.values()
    assert restored.is_ours(record)
    return restored.event(record, scope, resource)


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


ERROR = {"type": "Timeout", "message": "no answer", "stack_trace": "Traceback\n  ..."}
EVENTS = {
    "a line": event(labels={"order": 7, "a.b": [1, {"c": None}], "deep": {"x": {"y": 1}}}),
    "a line with an error": event(error=ERROR, log={"level": "error"}, clusterlog={"error": {"fingerprint": "f"}}),
    "a line outside of a request": event(trace=None, span=None, http=None),
    "an answer": timed(
        "access",
        http={"request": {"method": "GET"}, "response": {"status_code": 200, "body": {"bytes": 5}}},
        clusterlog={"route": "/orders/{id}", "parent": {"span_id": "b" * 16}},
        url={"path": "/orders/7", "domain": "shop.example", "port": 443},
        labels={"http.route": "mine", "server.address": "mine too", "message": "and this", "labels.x": 1, "field.y": 2},
    ),
    "an answer that failed": timed("access", event={"outcome": "failure", "reason": "client disconnected"}),
    "an answer with an error's level and no failure": timed("access", log={"level": "error"}),
    "a call": timed(
        "call",
        url={"scheme": "http", "domain": "orders", "port": 8002, "path": "/stock/7"},
        clusterlog={"call": {"status_code": 503}, "parent": {"span_id": "b" * 16}},
        event={"outcome": "failure"},
        log={"level": "error"},
        error=ERROR,
    ),
    "a call that has what others call its place": timed("call", server={"address": "x"}, url={"domain": "y"}),
    "a step": timed("span", log={"logger": "shop.api"}, labels={"items": 3}),
    "a span of OpenTelemetry": timed(
        "span",
        clusterlog={
            "span": {
                "kind": "consumer",
                "scope": "kafka",
                "links": [{"trace_id": "1" * 32, "span_id": "2" * 16}],
                "events": [{"name": "fetched", "offset_ns": 1_000_000}, {"name": "early", "offset_ns": -5}],
            }
        },
        labels={
            "http.route": "/x",
            "http.response.status_code": 200,
            "url.path": "/x",
            "error.type": "E",
            "event.n": 1,
        },
    ),
    "a span with links and events that OTLP cannot hold": timed(
        "span",
        clusterlog={
            "span": {
                "kind": "internal",
                "scope": "clusterlog",
                "links": [{"trace_id": "", "span_id": "x"}, {"trace_id": "1" * 32, "span_id": "2" * 16}],
                "events": [{"name": "exception", "offset_ns": 1}, {"name": "n", "offset_ns": 1, "more": True}],
            }
        },
    ),
    "a span that has noted what others call an exception": timed(
        "span", clusterlog={"span": {"events": [{"name": "exception", "offset_ns": 1}]}}
    ),
    "a span that is its own parent": timed("span", clusterlog={"parent": {"span_id": "a" * 16}}),
    "a span that lacks what all have": timed("span", log=None, message=None, event={"kind": "x", "outcome": "unknown"}),
    "the edge": timed(
        "edge", host={"name": "lb"}, http={"response": {"status_code": 502}}, event={"outcome": "failure"}
    ),
    "a state": event(
        "state",
        event={"kind": "state", "action": "drop"},
        log={"level": "warning"},
        clusterlog={"state": {"instance": INSTANCE, "first_seq": 1, "last_seq": 2, "dropped": {"full": 2}}},
    ),
    "a time before the epoch": event(**{"@timestamp": "1969-12-31T23:59:59.000000000Z"}),
    "a time in another zone": timed("span", **{"@timestamp": "2026-11-03T13:00:01+01:00"}),
    "no ids": timed("access", trace={"id": "x"}, span={"id": "y"}, clusterlog={"parent": {"span_id": "0" * 16}}),
    "no duration": timed("call", event={"duration": -1}),
    "empty texts": event(log={"level": "", "logger": ""}, message="", labels={"": "", "e": ""}),
    "a message that is none": event(message=5, error={"type": 4}),
    "a field that stands alone": event(nobody="knows"),
}


@pytest.mark.parametrize("told", EVENTS.values(), ids=EVENTS)
def test_an_event_comes_back_as_it_was(told: dict[str, Any]) -> None:
    if "" in told.get("labels", {}):
        told = {**told, "labels": {name: value for name, value in told["labels"].items() if name}}
    assert back(Told(told)) == told


def test_what_is_no_span_for_want_of_ids_or_times_is_a_log_record() -> None:
    spans = {name for name, told in EVENTS.items() if is_span(told)}
    assert {"an answer", "a call", "a step", "the edge"} <= spans
    assert not {"a line", "a state", "no ids", "no duration"} & spans


def test_nothing_is_told_as_its_own_parent() -> None:
    assert "parentSpanId" not in Told(EVENTS["a span that is its own parent"]).message


def test_a_label_keeps_its_name_unless_that_would_be_taken_for_a_field() -> None:
    told = Told(event(labels={"order": 7, "file": "f", "event.sequence": 9, "exception.type": "x", "shop.cart": 1}))
    names = {each["key"] for each in told.message["attributes"]}
    assert {"order", "file", "shop.cart", "labels.event.sequence", "labels.exception.type"} <= names


def test_attributes_of_a_span_of_others_keep_the_names_that_others_know() -> None:
    names = {each["key"] for each in Told(EVENTS["a span of OpenTelemetry"]).message["attributes"]}
    assert {"http.route", "http.response.status_code", "url.path", "error.type", "labels.event.n"} <= names


def test_what_a_collector_has_added_is_beside_what_was_said() -> None:
    told = Told(EVENTS["a line"])
    told.resource = {**told.resource, "k8s.pod.name": "pod-1", "host.name": "other"}
    came = back(told)
    assert came["labels"] == {**EVENTS["a line"]["labels"], "k8s.pod.name": "pod-1"}
    assert came["host"] == {"name": "other"}


def test_requests_are_by_process_and_scope_in_the_order_of_first_appearance() -> None:
    lines = [
        event(log={"logger": name}, process={"pid": pid}) for name, pid in (("a", 1), ("b", 1), ("a", 2), ("a", 1))
    ]
    groups = request([Told(each) for each in lines], spans=False)["resourceLogs"]
    found = [[(one["scope"]["name"], len(one["logRecords"])) for one in group["scopeLogs"]] for group in groups]
    assert found == [[("a", 2), ("b", 1)], [("a", 1)]]


_hostile = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=4,
)
_paths = st.sampled_from(
    """log.level log.logger message event.kind event.outcome event.duration clusterlog.span.kind clusterlog.span.events
    clusterlog.span.links clusterlog.span.scope clusterlog.parent.span_id clusterlog.route clusterlog.call.status_code
    http.response.status_code url.domain server.address trace.id span.id service.name process.pid error.type
    error.message ecs.version tags http.route exception.type field.x deployment.environment.name""".split()
)
_names = (
    st.text(st.sampled_from("ab."), min_size=1, max_size=4) | _paths | st.sampled_from(["labels.a", "service", "x"])
)


@given(
    st.sampled_from(sorted(EVENTS)), st.dictionaries(_paths, _hostile, max_size=4), st.dictionaries(_names, _hostile)
)
def test_whatever_stands_in_an_event_comes_back(name: str, fields: dict[str, Any], labels: dict[str, Any]) -> None:
    told = json.loads(json.dumps(EVENTS[name]))
    for path, value in fields.items():
        put(told, path, value)
    told["labels"] = labels
    assert back(Told(told)) == bare(told)


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for each in above:
        if not isinstance(tree.get(each), dict):
            tree[each] = {}
        tree = tree[each]
    tree[last] = value


def bare(told: dict[str, Any]) -> dict[str, Any]:
    """Without fields that are null or empty objects, which say nothing."""
    found = {}
    for name, value in told.items():
        inner = (
            value if name == "labels" and isinstance(value, dict) else bare(value) if isinstance(value, dict) else value
        )
        if inner is not None and inner != {}:
            found[name] = inner
    return found
