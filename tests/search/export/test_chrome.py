"""A request as a trace that Perfetto and chrome://tracing open."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.search.export.chrome import trace_events
from clusterlog.search.story.journey import journey


def told(story: Any) -> list[dict[str, Any]]:
    found = trace_events(journey(story.documents))
    assert json.loads(json.dumps(found)) == found
    events: list[dict[str, Any]] = found["traceEvents"]
    return events


def of(events: list[dict[str, Any]], phase: str) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == phase]


def test_processes_are_the_lanes_of_the_request_in_their_order(checkout: Any) -> None:
    events = told(checkout())
    names = {event["pid"]: event["args"]["name"] for event in of(events, "M") if event["name"] == "process_name"}
    assert names == {1: "shop-1 shop (pid 7)", 2: "orders-2 orders (pid 7)", 3: "payments-1 payments (pid 7)"}
    order = {event["pid"]: event["args"]["sort_index"] for event in of(events, "M") if "sort" in event["name"]}
    assert order == {1: 0, 2: 1, 3: 2}


def test_what_took_time_has_begin_and_length_in_microseconds(checkout: Any) -> None:
    slices = {(event["name"], event["cat"]): event for event in of(told(checkout()), "X")}
    call = slices["POST https://bank.example/charge", "call"]
    assert (call["pid"], call["ts"], call["dur"]) == (3, 20_000.0, 1_401_000.0)
    assert call["args"]["error"] == "ConnectTimeout: bank.example:443"
    assert call["cname"] == "terrible"
    assert slices["POST /checkout", "access"]["ts"] == 0.0
    assert len(slices) == 6


def test_a_line_is_an_instant_on_the_thread_of_its_work(checkout: Any) -> None:
    lines = of(told(checkout()), "i")
    assert [(event["name"], event["pid"], event["tid"], event["s"]) for event in lines] == [
        ("checkout begins", 1, 1, "t"),
        ("reserve stock", 2, 1, "t"),
        ("charge 12.90 EUR", 3, 1, "t"),
        ("charge failed", 3, 1, "t"),
        ("payment failed, releasing stock", 2, 1, "t"),
    ]
    assert lines[0]["args"]["labels"] == {"cart": 3}


def test_times_are_corrected_as_the_request_s_clocks_are(checkout: Any) -> None:
    right, skewed = (told(checkout(skews=skews)) for skews in ((0, 0, 0), (0, 5000, -5000)))
    for one, other in zip(of(right, "X"), of(skewed, "X"), strict=True):
        assert (one["name"], one["dur"]) == (other["name"], other["dur"])
        assert abs(one["ts"] - other["ts"]) < 300_000  # what a measurement leaves open
    assert min(event["ts"] for event in skewed) >= 0


def test_what_was_told_before_the_request_began_moves_everything_to_the_right(story: Any) -> None:
    story.process("shop-1").access(5, 5, "GET /", 200, span="s1")
    story.process("mail-1", skew_ms=-100).log(3, "mailed")
    times = {event["name"]: event["ts"] for event in told(story) if event["ph"] in "Xi"}
    assert times == {"mailed": 0.0, "GET /": 97_000.0}


def test_an_event_without_a_time_has_no_place_and_is_counted(story: Any) -> None:
    shop = story.process("shop-1")
    shop.log(1, "a", **{"@timestamp": "noon"})
    shop.log(2, "b")
    found = trace_events(journey(story.documents))
    assert found["otherData"]["events_without_time"] == 1
    assert [event["name"] for event in of(found["traceEvents"], "i")] == ["b"]


def test_work_side_by_side_is_on_several_threads_and_a_child_on_that_of_its_parent(story: Any) -> None:
    shop = story.process("shop-1")
    shop.step(40, 20, "inner", span="p3", parent="p2")
    shop.step(50, 45, "one", span="p1", parent="s1")
    shop.step(60, 50, "two", span="p2", parent="s1")
    shop.access(70, 70, "GET /", 200, span="s1")
    threads = {event["name"]: event["tid"] for event in of(told(story), "X")}
    assert threads == {"GET /": 1, "one": 1, "two": 2, "inner": 2}


@given(data=st.data())
@settings(max_examples=100)
def test_slices_of_a_thread_nest_and_both_ends_of_a_flow_lie_at_the_begin_of_one(any_request: Any, data: Any) -> None:
    story, _ = data.draw(any_request)
    events = told(story)
    slices = of(events, "X")
    assert all(event["ts"] >= 0 for event in events)
    for one in slices:
        for other in slices:
            if (one["pid"], one["tid"]) == (other["pid"], other["tid"]):
                begin, end = sorted([one, other], key=lambda each: (each["ts"], -each["dur"]))
                apart = begin["ts"] + begin["dur"] <= end["ts"] + 1e-3
                within = end["ts"] + end["dur"] <= begin["ts"] + begin["dur"] + 1e-3
                assert apart or within
    begins = {(event["pid"], event["tid"], event["ts"]) for event in slices}
    starts, ends = of(events, "s"), of(events, "f")
    assert [event["id"] for event in starts] == [event["id"] for event in ends]
    assert all((event["pid"], event["tid"], event["ts"]) in begins for event in (*starts, *ends))
    assert len(starts) == len(journey(story.documents).hops)
    assert {event["args"]["event.id"] for event in (*slices, *of(events, "i"))} == {
        document["event"]["id"] for document in story.documents
    }
