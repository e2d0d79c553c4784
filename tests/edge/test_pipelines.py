"""What the real balancers write, on both ways that it may go: into `serve`, and through the filters of Logstash."""

from __future__ import annotations

import copy
from pathlib import Path

from edge_servers import until
from pipelines.config import read, section
from pipelines.filters import run
from pipelines.ruby import told

from clusterlog.search.instant import instant

PIPELINE = Path(__file__).parents[2] / "logstash" / "pipeline"
FILTERS = [section(read(PIPELINE / f"{name}.conf"), "filter") for name in ("edge", "clusterlog")]


def through_logstash(line):
    event = {"@timestamp": "2026-11-03T12:00:00Z", "message": line.decode(), "host": {"ip": "127.0.0.1"}}
    for filters in FILTERS:
        run(filters, event, told)
    return event


def test_logstash_stores_what_serve_stores(way):
    path = way.new("both")
    way.passed(path, ("X-Request-ID", "stranger"))
    stored = way.log.of(path)
    event = through_logstash(way.log.line(path))
    assert event.pop("data_stream") == {"type": "logs", "dataset": "clusterlog.edge", "namespace": "production"}
    assert "tags" not in event and len(event["event"].pop("id")) == 64
    assert instant(event.pop("@timestamp")) == instant(stored["@timestamp"])
    assert {name: event[name] for name in event if name != "@metadata"} == {
        name: value for name, value in copy.deepcopy(stored).items() if name != "@timestamp"
    }


def test_a_line_without_a_request_is_stored_by_both(way):
    way.edge.raw(b"GARBAGE\r\n\r\n")
    told = (b'"status_code":400', b'"reason":"no request"')
    bad = until(lambda: [each for each in list(way.log.lines) if any(word in each for word in told)], "its line")[-1]
    event = through_logstash(bad)
    assert event["event"]["dataset"] == "clusterlog.edge" and "tags" not in event
