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
    assert told(body, time="2026-11-03T12:00:00Z", host="h")["@timestamp"] == "2026-11-03T12:00:00Z"


def test_what_was_cut_is_text_and_says_so():
    found = told(b'{"a":1}', whole=False)
    assert found["message"] == '{"a":1}' and found["syslog_cut"] is True


def test_bytes_that_are_no_text_and_nuls_become_one():
    assert told(b"a\xff\0b")["message"] == "a\ufffd\0b"
    assert told(b'{"a":"\xff"}')["a"] == "\ufffd"
