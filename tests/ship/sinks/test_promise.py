"""What it means that a sink has taken an event, said wherever a sink is named."""

import json

import pytest

from clusterlog.cli.deliver.ship import summary
from clusterlog.cli.deliver.status import _described
from clusterlog.settings import SINKS, load
from clusterlog.ship.sinks.promise import in_words, promise_of
from clusterlog.ship.status import status

QUEUED = {"logstash+http", "logstash+https", "lumberjack+tcp", "lumberjack+tls"}
QUEUED |= {"otlp+http", "otlp+https", "otlp-json+http", "otlp-json+https"}
SENT = {"jsonlines+tcp", "jsonlines+tls", "syslog+tcp", "syslog+tls"}


@pytest.mark.parametrize("scheme", [*SINKS, ""])
def test_every_scheme_has_its_promise(scheme):
    expected = "queued" if scheme in QUEUED else "sent" if scheme in SENT else "stored"
    assert promise_of(f"{scheme}://h:1") == expected


def test_best_effort_is_called_by_its_name():
    assert in_words("jsonlines+tcp://h").startswith("best effort")
    assert "queued" in in_words("lumberjack+tls://h") and "best effort" not in in_words("lumberjack+tls://h")
    assert in_words("https://es:9200") == ""


def test_status_tells_the_promise_in_data_and_to_people(tmp_path):
    for sink, promise in (("jsonlines+tcp://h:5000", "sent"), ("lumberjack+tls://h:5044", "queued"), ("", "stored")):
        told = status(load({"home": str(tmp_path), "sink": sink}, environ={}))
        assert told["store"]["promise"] == promise and json.dumps(told)
        assert dict(_described(told)).get("promise", "") == in_words(sink)
        assert told["store"]["url"] == (sink or str(tmp_path / "store"))


def test_what_was_shipped_is_told_with_what_that_means():
    told = {"stored": 5, "duplicates": 0, "dead": 0, "dropped": {}}
    assert "best effort" in summary(told, "jsonlines+tcp://h:5000", 1.0)
    assert "queued" in summary(told, "logstash+https://h:8080", 1.0)
    assert "(" not in summary(told, "https://es:9200", 1.0)
