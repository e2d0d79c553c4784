"""What the sink sends to ``serve`` is there as it was said, as far as OTLP can hold it, and once."""

import json
from contextlib import closing
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterlog.settings import load
from clusterlog.ship.sinks import open_sink
from clusterlog.store.base import Delivery

INSTANCE = "0190aaaa0000700080000000000000d1"
_numbers = count(1)


@pytest.fixture(params=["otlp+http", "otlp-json+http"])
def sink(request, ask):
    url = f"{request.param}://{ask.host}:{ask.port}"
    given = {"home": "/nowhere", "sink": url, "token": ask.tokens.write, "compression": "on"}
    opened, shown, limits = open_sink(load(given, environ={}))
    assert (shown, limits.at_once) == (url, 4)
    with closing(opened):
        yield opened


_texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
_hex = st.text("0123456789abcdef", min_size=16, max_size=16).filter(lambda told: told.strip("0"))
_labels = st.dictionaries(
    st.sampled_from(["order", "a.b", "http.route", "event.id", "file", "labels.x", "exception.type", "message"]),
    _texts | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(-1e9, 1e9) | st.lists(_texts, max_size=2),
    max_size=4,
)


@st.composite
def events(draw):
    number = next(_numbers)
    dataset = draw(st.sampled_from(["app", "access", "call", "span", "state", "edge"]))
    told = {
        "@timestamp": f"2026-11-03T12:00:00.{draw(st.integers(0, 999_999_999)):09d}Z",
        "process": {"pid": draw(st.sampled_from([7, 8])), "entity_id": INSTANCE},
        "event": {
            "id": f"{INSTANCE}-{number:011x}",
            "sequence": number,
            "kind": "state" if dataset == "state" else "event",
            "dataset": f"clusterlog.{dataset}",
        },
        "log": {"level": draw(st.sampled_from(["debug", "info", "error"])), "logger": draw(_texts) or "l"},
        "ecs": {"version": "9.1.0"},
        "service": {"name": "shop", "node": {"name": "shop-1"}, "environment": "test"},
        "host": {"name": "web-1"},
        "message": draw(_texts),
    }
    if draw(st.booleans()):
        told |= {"http": {"request": {"id": "r1", "method": "GET"}}, "trace": {"id": draw(_hex) * 2}}
        told["span"] = {"id": draw(_hex)}
    if dataset not in ("app", "state"):
        told["event"] |= {"duration": draw(st.integers(0, 10**12)), "outcome": draw(st.sampled_from(["success", "x"]))}
        told["clusterlog"] = {"parent": {"span_id": draw(_hex)}}
    if draw(st.booleans()):
        told["error"] = {"type": draw(_texts) or "E", "message": draw(_texts) or "m", "stack_trace": "Traceback\n"}
    if labels := draw(_labels):
        told["labels"] = labels
    return told


def delivery(told):
    return Delivery(told["event"]["id"], INSTANCE, told["event"]["sequence"], json.dumps(told).encode())


@given(st.lists(events(), min_size=1, max_size=8))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_an_event_is_stored_as_it_was_said_and_once(ask, sink, told):
    for _ in range(2):
        assert [each.status for each in sink.deliver([delivery(each) for each in told])] == ["stored"] * len(told)
    ids = [each["event"]["id"] for each in told]
    found = [each for each in ask.found() if each["event"]["id"] in ids]
    assert sorted(found, key=_id) == sorted(told, key=_id)


def _id(told):
    return told["event"]["id"]


def test_what_came_by_another_way_before_is_known_as_the_same(ask, sink):
    told = {
        "@timestamp": "2026-11-03T12:00:00.000000001Z",
        "process": {"entity_id": INSTANCE},
        "event": {"id": f"{INSTANCE}-{0xFFFF:011x}", "sequence": 0xFFFF, "kind": "event", "dataset": "clusterlog.app"},
        "log": {"level": "info", "logger": "l"},
        "service": {"name": "shop"},
        "message": "x",
    }
    assert ask.bulk({"create": {"_id": _id(told)}}, told).items == [("create", 201)]
    assert [each.status for each in sink.deliver([delivery(told)])] == ["stored"]
    assert ask.found() == [told]


def test_what_names_somebody_is_not_taken_for_one_of_ours(ask, sink):
    told = {
        "@timestamp": "2026-11-03T12:00:00.000000001Z",
        "event": {"id": "mine-1", "kind": "event", "dataset": "clusterlog.app"},
        "log": {"level": "info", "logger": "l"},
        "service": {"name": "shop"},
        "user": {"name": "alice"},
        "message": "x",
    }
    for _ in range(2):
        assert [each.status for each in sink.deliver([delivery({**told, "event": {**told["event"], "sequence": 1}})])]
    (found,) = ask.found()
    assert found["event"]["id"] == "mine-1" and found["user"]["hash"] and "alice" not in json.dumps(found)
