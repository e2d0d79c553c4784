"""A request that a balancer passes on: its ids, what the node hears, and the event of it."""

from __future__ import annotations

import re
import socket

import pytest
from edge_servers import BELIEVED, PATIENCE

from clusterlog.context.ids import judge_request_id
from clusterlog.context.traceparent import parse_traceparent
from clusterlog.encode.foreign.ours import is_whole
from clusterlog.search.instant import instant
from clusterlog.search.story.event import read

TRACE, CALLER = "a" * 32, "b" * 16
PARENT = f"00-{TRACE}-{CALLER}-00"


def test_every_request_gets_an_id_and_a_trace_and_the_node_the_client_and_the_log_hear_the_same(way):
    answer = way.edge.get("/plain?user=alice", ("X-Other", "stays"))
    heard, told = way.node.headers("/plain?user=alice"), way.log.of("/plain")
    (id,), (parent,) = heard["x-request-id"], heard["traceparent"]
    found = parse_traceparent([parent])
    assert judge_request_id(id) == id and found is not None and found.sampled
    assert told["http"]["request"] == {"id": id, "method": "GET"}
    assert told["trace"]["id"] == found.trace_id and told["span"]["id"] == found.parent_id
    assert re.findall(rb"(?i)\r\nx-request-id: ([^\r]+)", answer) == [id.encode()]
    assert heard["x-other"] == ["stays"] and "tracestate" not in heard
    assert "parent" not in told["clusterlog"] and "client" not in told["clusterlog"]
    assert "alice" not in str(told)


def test_its_event_is_one_of_clusterlogs_own_and_says_what_an_access_event_says(way):
    _, told = way.passed("/whole")
    assert is_whole(told)
    assert told["event"]["outcome"] == "success" and "reason" not in told["event"] and told["log"]["level"] == "info"
    assert told["http"]["response"]["status_code"] == 200 and told["clusterlog"]["call"]["status_code"] == 200
    assert told["service"]["node"]["name"] in ("shop-1", "shop-2")
    assert told["host"]["name"] == socket.gethostname() and told["client"]["ip"] == "127.0.0.1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", told["@timestamp"])
    event = read(told)
    assert event.is_edge and event.answered and event.method == "GET" and event.path == "/whole"
    assert 0 <= event.duration_ns < PATIENCE * 1e9 and instant(told["@timestamp"]) == event.time_ns


def test_ids_are_hex_digits_and_those_of_haproxy_uuids_of_version_7_that_sort_by_time(way):
    told = [way.passed(way.new("sorted"))[1] for _ in range(2)]
    first, second = (each["http"]["request"]["id"] for each in told)
    if way.kind == "nginx":
        assert all(re.fullmatch(r"[0-9a-f]{32}", id) for id in (first, second))
        return
    assert all(re.fullmatch(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", id) for id in (first, second))
    ended = instant(told[0]["@timestamp"]) // 1_000_000
    assert first[:12] <= second[:12] and abs(int(first[:12], 16) - ended) < PATIENCE * 1000


def test_no_two_requests_have_an_id_or_a_span_in_common(way):
    told = [way.passed(f"/many/{number}")[1] for number in range(20)]
    assert len({each["http"]["request"]["id"] for each in told}) == len({each["span"]["id"] for each in told}) == 20


def test_a_balancer_that_is_believed_passes_its_ids_through_this_one(way):
    sent = (("X-Request-ID", "outer.id_1"), ("traceparent", PARENT), ("tracestate", "vendor=1"))
    heard, told = way.passed("/believed", *sent, source=BELIEVED)
    assert heard["x-request-id"] == ["outer.id_1"] and heard["tracestate"] == ["vendor=1"]
    assert heard["traceparent"] == [f"00-{TRACE}-{told['span']['id']}-00"]
    assert told["http"]["request"]["id"] == "outer.id_1" and told["trace"]["id"] == TRACE
    assert told["clusterlog"]["parent"] == {"span_id": CALLER} and told["span"]["id"] != CALLER
    assert "client" not in told["clusterlog"]


@pytest.mark.parametrize("parent", ["", PARENT.upper(), f"00-{'0' * 32}-{CALLER}-00", f"ff-{TRACE}-{CALLER}-00", "x"])
def test_of_one_that_is_believed_a_trace_that_is_none_begins_anew_and_its_state_goes(way, parent):
    heard, told = way.passed(way.new("anew"), ("traceparent", parent), ("tracestate", "vendor=1"), source=BELIEVED)
    assert parse_traceparent(heard["traceparent"]).trace_id == told["trace"]["id"] != TRACE
    assert len(heard["traceparent"]) == 1 and "tracestate" not in heard


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "PROPFIND"])
def test_every_method_is_told_of(way, method):
    _, told = way.passed(f"/method/{method}", ("Content-Length", "0"), method=method)
    assert told["http"]["request"]["method"] == method and told["message"] == f"{method} /method/{method} 200"


def test_an_answer_of_a_node_that_failed_is_a_failure_and_the_nodes(way):
    path = way.new("fails")
    assert way.edge.get(path).startswith(b"HTTP/1.1 503")
    told = way.log.of(path)
    assert told["event"]["outcome"] == "failure" and told["log"]["level"] == "error"
    assert told["http"]["response"]["status_code"] == told["clusterlog"]["call"]["status_code"] == 503
    assert "reason" not in told["event"] and read(told).failed and read(told).answered


def test_an_answer_that_the_balancer_made_is_a_failure_and_not_the_nodes(way):
    path = way.new("closes")
    assert way.edge.get(path).startswith(b"HTTP/1.1 502")
    told = way.log.of(path)
    assert told["event"]["outcome"] == "failure" and told["http"]["response"]["status_code"] == 502
    assert told["service"]["node"]["name"] in ("shop-1", "shop-2")
    assert not read(told).answered and read(told).failed


def test_a_client_that_goes_before_it_has_an_answer_is_told_of_as_an_access_event_tells_it(way):
    with socket.create_connection(("127.0.0.1", way.edge.port), PATIENCE) as connection:
        connection.sendall(b"GET /slow/gone HTTP/1.1\r\nHost: shop\r\n\r\n")
        way.node.headers("/slow/gone")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    told = way.log.of("/slow/gone")
    assert told["event"]["outcome"] == "failure" and told["event"]["reason"] == "client disconnected"
    assert "status_code" not in told["http"]["response"] and "call" not in told.get("clusterlog", {})
    assert told["log"]["level"] == "error" and read(told).status is None and not read(told).answered
