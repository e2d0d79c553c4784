"""Documents as other senders send them to Elasticsearch are found by what they say."""

from __future__ import annotations

import pytest

REQUEST = "b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5"
SENT = {
    "plain JSON without anything": ({"message": "hello"}, {}),
    "filebeat": (
        {
            "@timestamp": "2026-11-03T12:00:00.123Z",
            "agent": {"name": "web-1", "type": "filebeat", "version": "8.19.0", "id": "x"},
            "ecs": {"version": "8.0.0"},
            "host": {"name": "web-1"},
            "input": {"type": "filestream"},
            "log": {"offset": 4711, "file": {"path": "/var/log/pay.log", "inode": "7"}},
            "message": "hello",
        },
        {"@timestamp": "2026-11-03T12:00:00.123000000Z", "host.name": "web-1", "service.node.name": "web-1"},
    ),
    "logstash": (
        {
            "@timestamp": "2026-11-03T12:00:00.123Z",
            "@version": "1",
            "event": {"original": "<13>hello"},
            "host": {"hostname": "web-1"},
            "message": "hello",
            "tags": ["_grokparsefailure"],
        },
        {"tags": ["_grokparsefailure"], "host.name": "web-1"},
    ),
    "vector": (
        {"file": "/var/log/pay.log", "host": "web-1", "message": "hello", "source_type": "file"}
        | {"timestamp": "2026-11-03T12:00:00.123456789Z"},
        {"@timestamp": "2026-11-03T12:00:00.123456789Z", "host.name": "web-1", "labels.source_type": "file"},
    ),
    "fluent-bit": (
        {
            "@timestamp": "2026-11-03T12:00:00.123Z",
            "log": "hello",
            "stream": "stdout",
            "kubernetes": {"pod_name": "pay-7f", "namespace_name": "shop", "labels": {"app": "pay"}},
        },
        {"service.node.name": "pay-7f"},
    ),
    "fluentd": ({"log": "hello", "tag": "app.pay", "@timestamp": "2026-11-03T12:00:00.123456789+00:00"}, {}),
    "ecs-logging of Python": (
        {
            "@timestamp": "2026-11-03T12:00:00.123Z",
            "log.level": "error",
            "message": "hello",
            "ecs": {"version": "1.6.0"},
            "log": {"logger": "pay", "origin": {"file": {"line": 7, "name": "pay.py"}, "function": "charge"}},
            "process": {"pid": 7, "name": "MainProcess", "thread": {"id": 1, "name": "MainThread"}},
            "http": {"request": {"id": REQUEST}},
            "error": {"type": "OSError", "message": "no", "stack_trace": "Traceback …\nOSError: no"},
        },
        {"log.level": "error", "log.logger": "pay", "process.pid": 7, "http.request.id": REQUEST},
    ),
    "syslog-ng": (
        {"PROGRAM": "pay", "PID": "7", "MESSAGE": "hello", "HOST": "web-1", "DATE": "Nov  3 12:00:00"},
        {"process.pid": 7, "host.name": "web-1", "service.name": "pay"},
    ),
    "an OpenTelemetry collector in ECS mode": (
        {"@timestamp": "2026-11-03T12:00:00Z", "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736", "message": "hello"},
        {"trace.id": "4bf92f3577b34da6a3ce929d0e0e4736"},
    ),
}


def at(event, path):
    for name in path.split("."):
        event = event[name]
    return event


@pytest.mark.parametrize("action", ["create", "index"])
@pytest.mark.parametrize("about", [{}, {"_id": "1"}], ids=["without an id", "with an id"])
@pytest.mark.parametrize("sender", SENT)
def test_what_senders_send_is_found_by_what_it_says(ask, sender, about, action):
    document, expected = SENT[sender]
    lines = {action: {"_index": "logs-pay-production", **about}}, document
    assert ask.bulk(*lines).items == [(action, 201)]
    (found,) = ask.found()
    assert (found["message"], at(found, "service.name")) == ("hello", "pay")
    assert {path: at(found, path) for path in expected} == expected
    if about:
        assert found["event"]["id"] == "1"
        assert ask.bulk(*lines).items == [(action, 409 if action == "create" else 200)]


WRONG = [None, True, 7, 1.5, "text", "", [], [1], {}, {"a": {"b": 1}}, [{"a": 1}], "x" * 40_000, -(10**30)]


@pytest.mark.parametrize(
    "path",
    [
        *("@timestamp", "ecs", "event", "event.kind", "event.duration", "event.dataset", "log", "log.level", "message"),
        *("process", "process.pid", "service", "service.name", "host", "host.name", "host.ip", "http", "trace.id"),
        *("http.request.id", "http.response.status_code", "user", "user.id", "user.hash", "error", "error.type"),
        *("error.stack_trace", "labels", "tags", "url", "clusterlog", "clusterlog.state", "span", "event.sequence"),
    ],
)
def test_a_field_of_ecs_may_hold_what_it_should_not_and_the_event_is_found_all_the_same(ask, path):
    lines = []
    for number, value in enumerate(WRONG):
        *above, last = path.split(".")
        document = node = {"@timestamp": "2026-11-03T12:00:00Z", "ecs.version": "8.11", "place": number}
        for name in above:
            node = node.setdefault(name, {})
        node[last] = value
        lines += [{"create": {}}, document]
        lines += [{"create": {"_id": f"{number}"}}, {"place": number, path: value}]
    assert {status for _, status in ask.bulk(*lines).items} == {201}
    found = ask.found()
    assert sorted(each["labels"]["place"] for each in found) == sorted([*range(len(WRONG))] * 2)
    assert all(type(each[name]) is str for each in found for name in ("@timestamp", "message"))
