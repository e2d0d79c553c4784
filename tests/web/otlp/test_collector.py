"""The OpenTelemetry collector between the sink and ``serve``: it reads what we write, and we read what it writes."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any
from urllib.request import Request, urlopen

import pytest
from collector_process import Collector
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from clusterlog.errors import StoreUnavailable
from clusterlog.settings import load
from clusterlog.ship.sinks import open_sink
from clusterlog.store.base import Delivery
from clusterlog.store.embedded import EmbeddedStore

pytestmark = pytest.mark.engines

INSTANCE = "0190aaaa0000700080000000000000e1"
DATASETS = ("app", "access", "call", "span", "state", "edge")


def event(number: int) -> dict[str, Any]:
    dataset = DATASETS[number % len(DATASETS)]
    told: dict[str, Any] = {
        "@timestamp": f"2026-11-03T12:00:00.{number:09d}Z",
        "process": {"pid": 7, "entity_id": INSTANCE},
        "event": {"id": f"{INSTANCE}-{number:011x}", "sequence": number, "kind": "event"},
        "log": {"level": "info", "logger": f"shop.{number % 3}"},
        "ecs": {"version": "9.1.0"},
        "service": {"name": "shop", "node": {"name": f"shop-{number % 2}"}, "environment": "test"},
        "host": {"name": "web-1"},
        "message": f"number {number} – größer",
        "http": {"request": {"id": "r1"}},
        "trace": {"id": "7" * 32},
        "span": {"id": f"{number:016x}"},
        "labels": {"order": number, "share": 0.25, "is_new": True, "items": ["a", {"b": [1]}], "event.id": "mine"},
    }
    told["event"]["dataset"] = f"clusterlog.{dataset}"
    if dataset not in ("app", "state"):
        told["event"] |= {"duration": 1_000 * number, "outcome": "failure" if number % 4 else "success"}
        told["error"] = {"type": "Timeout", "message": "no answer", "stack_trace": "Traceback\n  ..."}
    return told


def delivery(told: dict[str, Any]) -> Delivery:
    return Delivery(told["event"]["id"], INSTANCE, told["event"]["sequence"], json.dumps(told).encode())


@pytest.mark.parametrize(
    ("scheme", "encoding", "compression"),
    [("otlp+http", "proto", "gzip"), ("otlp-json+http", "json", "none"), ("otlp+http", "json", "gzip")],
)
def test_events_pass_through_the_collector_as_they_were_and_once(ask, tmp_path, scheme, encoding, compression):
    told = [event(number) for number in range(1, 501)]
    with Collector(tmp_path, ask.url, ask.tokens.write, encoding, compression) as collector:
        url = f"{scheme}://127.0.0.1:{collector.port}"
        sink, _, _ = open_sink(load({"home": "/nowhere", "sink": url, "compression": "on"}, environ={}))
        with closing(sink):
            for _ in range(2):
                outcomes = sink.deliver([delivery(each) for each in told])
                assert {each.status for each in outcomes} == {"stored"}
    by_number = {each["event"]["sequence"]: each for each in ask.found()}
    assert len(ask.found()) == len(by_number) == 500
    assert [by_number[number] for number in range(1, 501)] == told


def test_what_the_collector_cannot_pass_on_is_sent_again(ask, tmp_path, monkeypatch):
    whole, left = EmbeddedStore.deliver, ["once"]

    def deliver(self: EmbeddedStore, batch: Any) -> Any:
        if left:
            left.pop()
            raise StoreUnavailable("the disk is busy")
        return whole(self, batch)

    monkeypatch.setattr(EmbeddedStore, "deliver", deliver)
    with Collector(tmp_path, ask.url, ask.tokens.write) as collector:
        url = f"otlp+http://127.0.0.1:{collector.port}"
        sink, _, _ = open_sink(load({"home": "/nowhere", "sink": url}, environ={}))
        with closing(sink):
            with pytest.raises(StoreUnavailable) as failed:
                sink.deliver([delivery(event(6))])
            assert failed.value.advice in ("slower", "again")
            assert [each.status for each in sink.deliver([delivery(event(6))])] == ["stored"]
    assert ask.found() == [event(6)]


def test_a_span_of_somebody_else_joins_the_request_by_the_collector(ask, tmp_path):
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "billing"
    span = group.scope_spans.add().spans.add(trace_id=bytes([7] * 16), span_id=bytes([1] * 8), name="bill", kind=2)
    span.start_time_unix_nano, span.end_time_unix_nano = 1_793_707_200_000_000_000, 1_793_707_200_000_000_005
    with Collector(tmp_path, ask.url, ask.tokens.write) as collector:
        sent = Request(
            f"http://127.0.0.1:{collector.port}/v1/traces",
            request.SerializeToString(),
            {"Content-Type": "application/x-protobuf"},
        )
        for _ in range(2):
            with urlopen(sent, timeout=60) as answer:
                assert answer.status == 200
    (found,) = ask.found()
    assert (found["service"]["name"], found["message"], found["trace"]["id"]) == ("billing", "bill", "07" * 16)
    assert found["clusterlog"]["span"]["kind"] == "server"
