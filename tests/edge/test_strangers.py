"""Strangers at the edge: nothing they send is believed, whatever they dress it in, and the log stays readable."""

from __future__ import annotations

import json
import re

import pytest
from edge_servers import BELIEVED, until

from clusterlog.context.ids import judge_request_id
from clusterlog.context.traceparent import parse_traceparent

EVIL = "stranger-1"
TRACE = "c" * 32
PARENT = f"00-{TRACE}-{'d' * 16}-01"


def is_ours(heard, told):
    """One id and one trace, those of the log, and nothing of a stranger's among them."""
    (id,), (parent,) = heard["x-request-id"], heard["traceparent"]
    found = parse_traceparent([parent])
    assert judge_request_id(id) and id == told["http"]["request"]["id"] and EVIL not in id
    assert (found.trace_id, found.parent_id) == (told["trace"]["id"], told["span"]["id"]) and TRACE not in parent
    assert "tracestate" not in heard
    return True


def test_ids_of_strangers_are_replaced_and_kept_beside(way):
    sent = (("X-Request-ID", EVIL), ("traceparent", PARENT), ("tracestate", "a=b"))
    heard, told = way.passed("/stranger", *sent)
    assert is_ours(heard, told)
    assert told["clusterlog"]["client"] == {"request_id": EVIL, "trace_id": TRACE}
    assert "parent" not in told["clusterlog"]


@pytest.mark.parametrize(
    ("name", "sent"),
    {
        "upper case": [("X-REQUEST-ID", EVIL), ("TraceParent", PARENT), ("TRACESTATE", "a=b")],
        "underscores": [("X_Request_ID", EVIL), ("x-request_id", EVIL), ("X_REQUEST-ID", EVIL)],
        "twice": [("X-Request-ID", EVIL), ("X-Request-ID", "other"), ("traceparent", PARENT), ("traceparent", PARENT)],
        "named by Connection": [("Connection", "close, X-Request-ID, traceparent"), ("X-Request-ID", EVIL)],
        "state alone": [("tracestate", "a=b")],
        "empty": [("X-Request-ID", ""), ("traceparent", "")],
        "forwarded": [("X-Forwarded-For", BELIEVED), ("X-Real-IP", BELIEVED), ("X-Request-ID", EVIL)],
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_dress_lets_them_through(way, name, sent):
    heard, told = way.passed(way.new("dressed"), *sent)
    assert is_ours(heard, told)
    assert {name for name in heard if "request" in name} == {"x-request-id"}
    assert not any("request-id" in each.lower() for each in heard.get("connection", []))


@pytest.mark.parametrize(
    "value",
    [
        "a" * 65,
        "a" * 7000,
        'quote"backslash\\',
        '","http":{"request":{"id":"forged"}},"x":"',
        "id\tid",
        "id, id",
        "\x80\xff",
        "%[env(HOME)] $request_id ${hostname}",
        "../../etc/passwd",
    ],
    ids=lambda value: f"{len(value)} of {value[:3]!a}",
)
def test_what_can_be_no_id_is_not_passed_on_nor_written_down(way, value):
    heard, told = way.passed(way.new("malformed"), ("X-Request-ID", value), ("traceparent", value))
    assert is_ours(heard, told)
    kept = told["clusterlog"]["client"]["request_id"]
    assert kept == ("no id" if way.kind == "nginx" else f"{len(value)} characters")
    assert value not in json.dumps(told, ensure_ascii=False)


def test_a_path_of_any_length_and_of_any_signs_is_cut_and_the_line_stays_json(way):
    for number, odd in enumerate(('"', "\\", "'", "%22%5C%0A", "{}[]", "$&")):
        path = f"/odd/{number}/" + odd * (6000 // len(odd))
        answer = way.edge.get(path, ("X-Request-ID", "x" * 1000))
        assert answer[:12] in (b"HTTP/1.1 200", b"HTTP/1.1 400"), answer
        begin = f"/odd/{number}/"
        told = until(lambda begin=begin: [each for each in way.log.documents() if begin in str(each)], begin)
        assert all(len(each["url"]["path"]) <= 1500 and each["url"]["path"] == path[:1500] for each in told)


def test_whoever_speaks_no_http_is_told_of_without_an_id_of_anybody(way):
    before = len(way.log.documents())
    for data in (b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"):
        assert b" 400 " in way.edge.raw(data)[:40]
    assert (
        way.edge.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 20 + b"\r\n\r\n", patience=5) is not None
    )
    told = until(lambda: len(way.log.documents()) >= before + 2 and way.log.documents()[before:], "two events")
    assert all(each["event"]["dataset"] == "clusterlog.edge" for each in told)
    nobody = [each for each in told if "x-request-id" not in each]
    assert nobody and all(each.get("clusterlog", {}).get("client") is None for each in told)


def test_a_second_request_hidden_in_the_first_is_no_way_past_the_edge(way):
    """Two lengths of one body, of which each server believes another one."""
    hidden = f"GET /hidden HTTP/1.1\r\nHost: a\r\nX-Request-ID: {EVIL}\r\ntraceparent: {PARENT}\r\n\r\n".encode()
    for number, head in enumerate(
        (
            b"Content-Length: %d\r\nTransfer-Encoding: chunked" % (5 + len(hidden)),
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 4",
            b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 4",
            b"Transfer-Encoding : chunked\r\nContent-Length: 4",
        )
    ):
        data = b"POST /outer/%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%b\r\n\r\n0\r\n\r\n%b" % (
            number,
            head,
            hidden,
        )
        way.edge.raw(data, patience=3)
    assert way.passed("/after-all-that")
    for asked in list(way.node.asked):
        if b"/hidden" in asked.partition(b"\r\n")[0]:  # it came as a request of its own, and was treated as one
            assert EVIL.encode() not in asked and TRACE.encode() not in asked
        for second in re.findall(rb"GET /hidden[^\0]*", asked):
            assert b"\r\nx-request-id" not in second.lower() or EVIL.encode() not in second


def test_headers_behind_the_body_are_no_headers(way):
    """A trailer that the node may take for one."""
    head = (
        b"POST /trailer HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Request-ID"
    )
    data = b"%b\r\n\r\n2\r\nok\r\n0\r\nX-Request-ID: %b\r\n\r\n" % (head, EVIL.encode())
    assert b" 200 " in way.edge.raw(data)[:40]
    assert is_ours(way.node.headers("/trailer"), way.log.of("/trailer"))


def test_a_folded_header_is_refused_or_read_as_one(way):
    head = b"GET /folded HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Other: a"
    answer = way.edge.raw(b"%b\r\n X-Request-ID: %b\r\n\r\n" % (head, EVIL.encode()))
    if b" 200 " in answer[:40]:
        assert is_ours(way.node.headers("/folded"), way.log.of("/folded"))
    else:
        assert b" 400 " in answer[:40]
