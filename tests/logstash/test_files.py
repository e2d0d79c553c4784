"""The files that a user runs: Logstash 9 would start with them, and they say what was decided."""

import json
import re
from pathlib import Path

import pytest
from logstash_http import HttpInput
from logstash_inputs import PARSE_FAILURE
from pipelines.config import parse, read, section, variables
from pipelines.options import REMOVED_SETTINGS, SETTINGS, problems

from clusterlog.settings import load
from clusterlog.ship.sinks import open_sink
from clusterlog.store.base import Delivery

ROOT = Path(__file__).parents[2]
LOGSTASH = ROOT / "logstash"
PIPELINES = sorted((LOGSTASH / "pipeline").glob("*.conf"))
PAGE = ROOT / "docs" / "logstash.md"


def settings(text):
    """Keys and values of one level of YAML, in which nothing is nested; a list of them where lines begin with ``-``."""
    entries = [{}]
    for line in text.splitlines():
        found = re.fullmatch(r"(- |  )?([a-z][a-z_.]*): ([^#]+?)( +#.*)?", line)
        if found is None:
            assert not line.strip() or line.lstrip().startswith("#"), f"neither a setting nor a comment: {line}"
            continue
        if found[1] == "- ":
            entries.append({})
        entries[-1][found[2]] = found[3]
    return entries[1:] if len(entries) > 1 else entries[0]


def plugin(name, kind, of="clusterlog"):
    (found,) = (
        each for each in section(read(LOGSTASH / "pipeline" / f"{of}.conf"), kind).plugins() if each.name == name
    )
    return found


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_every_pipeline_is_read_and_every_option_is_known(path):
    assert problems(read(path)) == []


def test_the_examples_of_the_documentation_are_read_as_well():
    found = re.findall(r"```ruby\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    for text in found:
        assert problems(parse(text)) == [], text


def test_nothing_secret_has_a_default_and_all_else_does():
    asked = {name: default for path in PIPELINES for name, default in variables(path.read_text()).items()}
    assert {name for name, default in asked.items() if default is None} == {
        "ELASTICSEARCH_API_KEY",
        "LOGSTASH_HTTP_PASSWORD",
    }
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in asked if f"`{name}`" not in page] == []


def test_the_settings_of_logstash_are_known_and_none_was_taken_away():
    told = settings((LOGSTASH / "logstash.yml").read_text())
    assert set(told) <= SETTINGS and not set(told) & set(REMOVED_SETTINGS)
    assert told["queue.type"] == "persisted" and told["dead_letter_queue.enable"] == "true"
    assert told["dead_letter_queue.storage_policy"] == "drop_older"
    assert told["api.http.host"] == "127.0.0.1", "whoever may ask it may see what is logged"


def test_each_pipeline_has_its_entry_and_each_file_is_one_of_them():
    told = settings((LOGSTASH / "pipelines.yml").read_text())
    assert all(set(each) <= SETTINGS for each in told)
    paths = {each["pipeline.id"]: Path(each["path.config"]).name for each in told}
    assert set(paths.values()) == {path.name for path in PIPELINES}
    letters = next(each for each in told if each["pipeline.id"] == "dead-letters")
    assert letters["dead_letter_queue.enable"] == "false", "what is refused there would be read again for ever"
    assert plugin("dead_letter_queue", "input", "dead-letters").get("pipeline_id") in paths


def test_what_one_pipeline_sends_another_listens_for():
    sent = plugin("pipeline", "output", "edge").get("send_to")
    assert sent == (plugin("pipeline", "input").get("address"),)


def test_events_are_created_in_data_streams_under_an_id_that_is_never_the_text_of_a_reference():
    output = plugin("elasticsearch", "output")
    assert output.get("data_stream") == "true" and output.get("document_id") == "%{[@metadata][id]}"
    assert output.get("ssl_enabled") == "true" and output.get("api_key") == "${ELASTICSEARCH_API_KEY}"
    assert "version_conflict_engine_exception" in output.get("silence_errors_in_log")


@pytest.mark.parametrize(("of", "name"), [("clusterlog", "beats"), ("clusterlog", "http"), ("edge", "tcp")])
def test_every_input_over_tcp_wants_tls_and_to_know_who_is_there(of, name):
    made = plugin(name, "input", of)
    assert made.get("ssl_enabled") == "true"
    if name == "http":
        assert made.get("password") == "${LOGSTASH_HTTP_PASSWORD}"
    else:
        assert made.get("ssl_client_authentication") == "required"


def http_input(**other):
    """The stand-in with the options of our file, but for ``other``."""
    made = plugin("http", "input")
    codec = made.get("codec")
    return HttpInput(
        **{
            "ecs": made.get("ecs_compatibility") != "disabled",
            "codec_ecs": codec.get("ecs_compatibility") != "disabled",
            "additional_codecs": made.get("additional_codecs"),
            "max_content_length": made.get("max_content_length"),
            **other,
        }
    )


def access_event(number):
    told = {
        "@timestamp": "2026-11-03T12:00:00.123456789Z",
        "event": {"id": f"{'a' * 32}-{number:011x}", "dataset": "clusterlog.access"},
        "url": {"path": "/checkout"},
        "http": {"request": {"method": "POST"}},
    }
    return told, Delivery(told["event"]["id"], "a" * 32, number, json.dumps(told).encode())


def shipped(server, *batches):
    url = f"logstash+http://127.0.0.1:{server.port}"
    sink, _, _ = open_sink(load({"home": "/nowhere", "sink": url}, environ={}))
    for numbers in batches:
        sink.deliver([access_event(number)[1] for number in numbers])
    sink.close()
    return server.queue.events


def test_through_the_http_input_as_it_is_set_events_arrive_as_they_were():
    with http_input() as server:
        assert shipped(server, (1, 2, 3), (4,)) == [access_event(number)[0] for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("other", "seen"),
    [
        ({"ecs": True}, lambda event: event["url"]["path"] == "/"),
        ({"codec_ecs": True, "additional_codecs": None}, lambda event: "original" in event["event"]),
    ],
    ids=["ecs_compatibility", "the codec's"],
)
def test_without_what_is_set_there_events_would_be_falsified(other, seen):
    with http_input(**other) as server:
        assert any(seen(event) for event in shipped(server, (1,)))


def test_a_bad_line_of_somebody_else_costs_one_line():
    import urllib.request

    with http_input() as server:
        body = b'{"n":1}\nno json\n{"n":3}\n'
        url = f"http://127.0.0.1:{server.port}"
        asked = urllib.request.Request(url, data=body, headers={"content-type": "application/x-ndjson"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert answer.status == 200
        assert len(server.queue.events) == 3 and len(server.queue.tagged(PARSE_FAILURE)) == 1
