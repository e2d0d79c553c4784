"""What the pipelines make of events, created on real servers as Logstash's output creates it, and found by us."""

import copy
import json
from pathlib import Path

import pytest
from pipelines.config import read, section
from pipelines.filters import run
from pipelines.ruby import told
from places import place_on

from clusterlog.store.query import Match, Query

ROOT = Path(__file__).parents[2]
ID = "0190aaaa0000700080000000000000c8"


@pytest.fixture(params=["elasticsearch", pytest.param("opensearch", marks=pytest.mark.engines)])
def place(request):
    with place_on(request.getfixturevalue(request.param)) as made:
        yield made


def through(events, *pipelines):
    """The lines of a bulk request as the output makes them: create, in the stream of ``data_stream``."""
    lines = []
    for each in copy.deepcopy(events):
        for name in pipelines:
            run(section(read(ROOT / "logstash" / "pipeline" / f"{name}.conf"), "filter"), each, told)
        stream = each["data_stream"]
        id = each.pop("@metadata", {}).get("id") or each["event"]["id"]
        lines.append(
            {"create": {"_index": "-".join((stream["type"], stream["dataset"], stream["namespace"])), "_id": id}}
        )
        lines.append(each)
    return "".join(json.dumps(line) + "\n" for line in lines)


def created(place, body):
    status, answer = place.engine.call("POST", "/_bulk?require_data_stream=true", body)
    if status == 400:  # OpenSearch does not know the parameter
        status, answer = place.engine.call("POST", "/_bulk", body)
    assert status == 200, answer
    return [next(iter(item.values()))["status"] for item in answer["items"]]


def event(place, number, **parts):
    return {
        "@timestamp": f"2026-11-03T12:00:00.{number:09d}Z",
        "@version": "1",
        "process": {"pid": 7, "entity_id": ID},
        "event": {"id": f"{ID}-{number:011x}", "sequence": number, "kind": "event", "dataset": "clusterlog.app"},
        "log": {"level": "info", "logger": "shop.api"},
        "service": {"name": "shop", "node": {"name": "shop-1"}, "environment": place.environment},
        "http": {"request": {"id": "0198f0c2a7b47c6e"}},
        "message": f"line {number}",
        "labels": {"order": str(number)},
        **parts,
    }


def found(place, condition):
    place.flush()
    return [json.loads(each.body) for each in place.find(Query(condition, limit=100))]


def test_events_that_came_through_logstash_are_found_as_they_were_and_stored_once(place):
    sent = [event(place, number) for number in range(1, 6)]
    body = through(sent, "clusterlog")
    assert created(place, body) == [201] * 5
    assert created(place, body) == [409] * 5
    stored = sorted(found(place, Match("http.request.id", "0198f0c2a7b47c6e")), key=lambda each: each["@timestamp"])
    for each, was in zip(stored, sent, strict=True):
        assert each.pop("data_stream")["namespace"] == place.environment
        del was["@version"]
        assert each == was


def test_lines_of_the_edge_quarantine_and_dead_letters_are_taken_by_the_same_mapping(place):
    edge = {
        "service": {"name": "haproxy", "environment": place.environment},
        "http": {"request": {"id": "edge-request"}},
    }
    line = f"<134>1 2026-11-03T11:59:59.300Z - haproxy 1 - - {json.dumps(edge)}"
    assert created(place, through([{"@timestamp": "2026-11-03T12:00:00Z", "message": line}], "edge", "clusterlog")) == [
        201
    ]
    odd = {"@timestamp": "2026-11-03T12:00:00Z", "message": "{half", "tags": ["_jsonparsefailure"]}
    odd["service"] = {"environment": place.environment}
    dead = event(place, 9, **{"@metadata": {"dead_letter_queue": {"reason": "mapper [x] cannot be changed"}}})
    assert created(place, through([odd], "clusterlog")) == [201]
    assert created(place, through([dead], "dead-letters")) == [201]
    (seen,) = found(place, Match("http.request.id", "edge-request"))
    assert seen["event"]["dataset"] == "clusterlog.edge" and len(seen["event"]["id"]) == 64
    (letter,) = found(place, Match("http.request.id", "0198f0c2a7b47c6e"))
    assert json.loads(letter["event"]["original"])["labels"] == {"order": "9"}
    assert len(found(place, Match("event.dataset", "clusterlog.unparsed"))) == 2
