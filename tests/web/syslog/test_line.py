"""What becomes of a message: the document that a stranger would have sent."""

import json

import pytest

from clusterlog.web.syslog.line import item
from clusterlog.web.syslog.message import Message


def told(text, whole=True, **head):
    return json.loads(item(Message(text, **head), whole=whole).document)


@pytest.mark.parametrize(
    "line",
    [
        b'10.0.0.1 - - [03/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 12 request_id=0190-abc',
        b'10.0.0.1 - "GET /" 200 "x-request-id: 0190-abc"',
        b"front shop/shop-1 0/0/1/2 200 unique-id=0190-abc ----",
        b"X-Request-ID=0190-abc",
        b'{"half": 1 request_id="0190-abc"',
    ],
)
def test_a_request_id_is_found_in_access_lines(line):
    found = told(line)
    assert found["http.request.id"] == "0190-abc" and found["message"] == line.decode()


def test_a_request_id_too_long_to_be_one_is_none():
    assert "http.request.id" not in told(b"request_id=" + b"a" * 65)


def test_a_text_has_the_facts_of_its_head():
    found = told(b"sold", severity=3, time="2026-11-03T12:00:00Z", host="h", app="shop", process="42", kind="K",
                 parameters={"request_id": "r", "trace_id": "t", "level": "debug"})  # fmt: skip
    assert found == {
        "@timestamp": "2026-11-03T12:00:00Z", "log.level": "error", "service.name": "shop", "host.name": "h",
        "process.pid": 42, "http.request.id": "r", "message": "sold", "trace_id": "t", "msgid": "K",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("severity", "level"), [(0, "critical"), (2, "critical"), (3, "error"), (4, "warning"), (5, "info"), (7, "debug")]
)
def test_severities_are_levels(severity, level):
    assert told(b"x", severity=severity)["log.level"] == level


def test_a_json_body_is_the_document_and_the_head_fills_what_it_does_not_say():
    found = told(b'@cee: {"msg":"sold","levelname":"WARN","host":{"name":"own"}}', severity=6, app="shop", host="other")
    assert found == {"msg": "sold", "levelname": "WARN", "host": {"name": "own"}, "service.name": "shop"}


def test_an_event_of_ours_keeps_its_id_and_its_bytes():
    body = json.dumps(
        {"@timestamp": "2026-11-03T12:00:00Z", "event": {"id": "a", "dataset": "clusterlog.app"}}
    ).encode()
    made = item(Message(body, severity=6, app="x"), whole=True)
    assert made.id == "a" and made.document == body


def test_an_edge_event_without_a_time_gets_that_of_the_head():
    body = b'{"event":{"dataset":"clusterlog.edge"},"http":{"request":{"id":"r"}}}'
    assert told(body, time="2026-11-03T12:00:00Z", host="h")["@timestamp"] == "2026-11-03T12:00:00.000000000Z"


def test_what_a_balancer_has_no_value_for_is_not_there():
    own = {"call": {"status_code": None}, "client": {"request_id": "", "trace_id": ""}, "parent": {"span_id": "0"}}
    body = {"event": {"dataset": "clusterlog.edge", "duration": 0, "reason": ""}, "clusterlog": own, "labels": {}}
    assert told(json.dumps(body).encode()) == {
        "event": {"dataset": "clusterlog.edge", "duration": 0},
        "clusterlog": {"parent": {"span_id": "0"}},
    }


def test_a_balancers_time_becomes_utc_with_nine_digits():
    body = b'{"@timestamp":"2026-11-03T14:00:00.25+02:00","event":{"dataset":"clusterlog.edge"}}'
    assert told(body)["@timestamp"] == "2026-11-03T12:00:00.250000000Z"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "now", 7, None])
def test_a_time_that_is_none_stays_what_it_is(time):
    body = {"@timestamp": time, "event": {"dataset": "clusterlog.edge"}}
    assert told(json.dumps(body).encode(), time="").get("@timestamp") == time


def test_whatever_else_says_that_it_has_nothing_is_believed():
    body = {"event": {"dataset": "clusterlog.app", "reason": ""}, "labels": {}}
    assert told(json.dumps(body).encode()) == body


@pytest.mark.parametrize("dataset", ["clusterlog.edge", "other"])
def test_what_is_nested_too_deeply_to_be_an_event_is_text(dataset):
    deep = b'{"event":{"dataset":"%b"},"labels":%b""%b}' % (dataset.encode(), b'{"a":' * 900, b"}" * 900)
    assert told(deep, host="h")["message"] == deep.decode()


def test_what_was_cut_is_text_and_says_so():
    found = told(b'{"a":1}', whole=False)
    assert found["message"] == '{"a":1}' and found["syslog_cut"] is True


def test_bytes_that_are_no_text_and_nuls_become_one():
    assert told(b"a\xff\0b")["message"] == "a\ufffd\0b"
    assert told(b'{"a":"\xff"}')["a"] == "\ufffd"
