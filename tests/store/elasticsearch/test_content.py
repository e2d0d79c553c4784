"""When a stored document says what an event says."""

from __future__ import annotations

import json

import pytest

from clusterlog.store.elasticsearch.content import says_the_same

EVENT = {
    "@timestamp": "2026-11-20T12:00:00.100000000Z",
    "event": {"id": "i-1", "sequence": 7},
    "message": "paid",
    "labels": {"amount": 5, "exact": True, "rate": 1.0, "items": [{"y": 2}, {"y": 1}], "nothing": None, "none": []},
}


def same(stored, event=EVENT):
    return says_the_same(json.dumps(event).encode(), stored)


def test_a_document_says_the_same_as_the_event_it_was_made_of():
    assert same(EVENT)


def test_a_document_made_from_columns_says_the_same():
    """What Elasticsearch 8.19 gives back of a flattened field without its own source."""
    labels = {"amount": "5", "exact": "true", "items": {"y": ["1", "2"]}, "rate": "1.0"}
    assert same({**EVENT, "@timestamp": "2026-11-20T12:00:00.100Z", "labels": labels})


def test_a_document_to_which_a_pipeline_has_added_says_the_same():
    assert same({**EVENT, "geo": {"city": "x"}})


def test_dotted_names_are_the_same_as_nested_ones():
    assert same({**EVENT, "event": None, "event.id": "i-1", "event.sequence": 7})


@pytest.mark.parametrize(
    "change",
    [
        {"message": "not paid"},
        {"@timestamp": "2026-11-20T12:00:00.100000001Z"},
        {"labels": {**EVENT["labels"], "amount": 6}},
        {"labels": {}},
        {"message": None},
    ],
)
def test_another_document_does_not(change):
    assert not same({**EVENT, **change})


@pytest.mark.parametrize("stored", [None, [], "text", 5, {}])
def test_what_is_no_document_does_not(stored):
    assert not same(stored)


def test_bytes_that_are_no_event_are_the_same_as_nothing():
    assert not says_the_same(b"not JSON", {})
