import copy
import json
from typing import Any

from clusterlog.search.story.document import document
from clusterlog.search.story.journey import journey


def test_a_request_is_told_to_machines_as_clusterlog_trace_1(checkout: Any) -> None:
    story = checkout()
    told = document(journey(reversed(story.documents)))
    assert list(told) == ["schema", "request", "verdict", "lanes", "events", "order"]
    assert told["schema"] == "clusterlog.trace/1"
    assert told["request"] == {
        "id": "0193f0c2a1b27c3d8e4f5a6b7c8d9e0f",
        "trace_ids": ["7" * 32],
        "method": "POST",
        "route": "/checkout",
        "status": 502,
        "outcome": "failed",
        "started": "2026-11-03T12:00:00.000000000Z",
        "duration_ns": 1_836_000_000,
        "nodes": ["shop-1", "orders-2", "payments-1"],
        "services": ["shop", "orders", "payments"],
        "events": 11,
        "spans": 6,
    }
    assert [sentence["kind"] for sentence in told["verdict"]] == ["failure", "time"]
    assert all(list(sentence) == ["kind", "text", "events"] for sentence in told["verdict"])
    assert told["lanes"][0] == {
        "node": "shop-1",
        "service": "shop",
        "instance": f"{1:032x}",
        "clock": {
            "offset_ns": None,
            "error_ns": None,
            "at_least_ns": None,
            "corrected": False,
            "stepped_ns": None,
        },
    }
    ids = [event["event"]["id"] for event in told["events"]]
    assert ids == [place["id"] for place in told["order"]]
    assert told["order"][1] == {"id": ids[1], "lane": 1, "after": [ids[0]], "certain": True}


def test_the_documents_are_told_untouched(checkout: Any) -> None:
    documents = checkout().documents
    before = copy.deepcopy(documents)
    told = document(journey(documents))
    assert documents == before
    assert sorted(map(str, told["events"])) == sorted(map(str, before))


def test_what_is_told_is_json(checkout: Any) -> None:
    told = document(journey(checkout(skews=(0, 5000, -5000)).documents))
    assert json.loads(json.dumps(told)) == told
    assert told["lanes"][1]["clock"] == {
        "offset_ns": 4_800_000_000,
        "error_ns": 207_000_000,
        "at_least_ns": None,
        "corrected": True,
        "stepped_ns": None,
    }


def test_what_a_running_request_does_not_know_yet_is_null(story: Any) -> None:
    story.process("shop-1").log(1, "hello", span="s1")
    told = document(journey(story.documents))["request"]
    assert (told["method"], told["route"], told["status"], told["outcome"]) == (None, None, None, "running")
