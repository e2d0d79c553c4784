"""Requests that begin at a balancer: what it tells is the root, whichever node it names as the one it has chosen."""

from __future__ import annotations

from typing import Any

import pytest

from clusterlog.search.story.journey import journey
from clusterlog.search.story.verdict import verdict
from clusterlog.search.template import template

MS = 1_000_000


def passed_on(
    balancer: Any, at: float, took: float, to: str, status: int | None, *, called: int | None = None, **own: Any
) -> str:
    """What a balancer tells at the end of a request: one event, under the name of the node it has chosen."""
    named = {} if not to else {"node": {"name": to}}
    return balancer.emit(
        at,
        "edge",
        f"GET /orders/7 {status}",
        level="info",
        logger="haproxy",
        span="e1",
        event={"duration": round(took * MS), "outcome": "success" if status and status < 500 else "failure"},
        http={
            "request": {"method": "GET"},
            "response": {} if status is None else {"status_code": status},
        },
        url={"path": "/orders/7"},
        service={"name": "haproxy", **named},
        clusterlog={"call": {} if called is None else {"status_code": called}, **own},
    )


def served(story: Any, *, skew_ms: float = 0) -> tuple[str, str, str]:
    shop = story.process("shop-1", skew_ms=skew_ms)
    balancer = story.process("shop-1", host="edge-1")
    line = shop.log(3, "looking", span="s1")
    access = shop.access(9, 8, "GET /orders/{number}", 200, span="s1", parent="e1")
    edge = passed_on(balancer, 10, 10, "shop-1", 200, called=200)
    return line, access, edge


def test_a_request_begins_at_the_edge_and_ends_there(story: Any) -> None:
    _, access, edge = served(story)
    found = journey(story.documents)
    assert found.root is not None and found.root.id == edge
    assert found.nodes == ("edge-1", "shop-1") and found.duration_ns == 10 * MS
    assert [lane.service for lane in found.lanes] == ["haproxy", "shop"]
    assert [entry.event.id for entry in found.entries][-2:] == [access, edge]
    assert access in found.entries[-1].after and found.entries[-1].certain


def test_its_route_is_that_of_the_node_as_the_edge_knows_paths_only(story: Any) -> None:
    served(story)
    assert (journey(story.documents).method, journey(story.documents).route) == ("GET", "/orders/{number}")
    edge_alone = [each for each in story.documents if each["event"]["dataset"] == "clusterlog.edge"]
    assert journey(edge_alone).route == "/orders/7"


def test_the_edge_is_not_the_node_it_names_nor_tells_it_the_time_by_that_ones_clock(story: Any) -> None:
    served(story)
    shop, edge = (journey(story.documents).entries[at].event for at in (0, -1))
    assert (edge.node, edge.clock) == ("edge-1", "edge-1") and (shop.node, shop.clock) == ("shop-1", shop.clock)
    for document in story.documents:
        document.pop("host")
    assert journey(story.documents).root.node == "haproxy"


def test_an_answer_that_the_edge_made_itself_says_nothing_of_when_the_node_was_done(story: Any) -> None:
    shop = story.process("shop-1")
    shop.access(50, 49, "GET /orders/{number}", 200, span="s1", parent="e1")
    edge = passed_on(story.process("shop-1", host="edge-1"), 10, 10, "shop-1", 504)
    found = journey(story.documents)
    assert found.root.id == edge and (found.status, found.outcome) == (504, "failed")
    assert found.entries[0].event.id == edge and not found.hops[0].returned


def test_whoever_was_reached_by_nobody_is_still_told_of(story: Any) -> None:
    passed_on(story.process("", host="edge-1"), 3, 3, "", 503)
    (sentence, *_) = verdict(journey(story.documents))
    assert sentence.text.startswith("GET /orders/7 on edge-1 answered 503")


def test_two_balancers_one_behind_the_other_are_two_hops_though_one_intake_has_numbered_both(story: Any) -> None:
    _, _, inner = served(story)
    outer = story.process("haproxy-1", host="edge-0")
    outer.instance = story.documents[-1]["process"]["entity_id"]
    first = passed_on(outer, 11, 12, "haproxy-1", 200, called=200)
    story.documents[-1]["span"] = {"id": "e0"}
    story.documents[-1]["event"]["id"] += "-0"
    story.documents[-2]["clusterlog"]["parent"] = {"span_id": "e0"}
    found = journey(story.documents)
    assert found.root.id == f"{first}-0" and found.nodes == ("edge-0", "edge-1", "shop-1")
    assert found.route == "/orders/{number}" and len(found.hops) == 2
    assert inner in [entry.event.id for entry in found.entries]


def test_the_order_in_which_events_of_the_edge_arrived_says_nothing(story: Any) -> None:
    """Two balancers on one machine, whose datagrams have overtaken each other."""
    balancer = story.process("shop-1", host="edge-1")
    outer = passed_on(balancer, 11, 11, "haproxy", 200, called=200)
    inner = passed_on(balancer, 10, 9, "shop-1", 200, called=200)
    story.documents[0]["span"] = {"id": "e0"}
    story.documents[1]["clusterlog"]["parent"] = {"span_id": "e0"}
    assert [entry.event.id for entry in journey(story.documents).entries] == [inner, outer]


def test_where_the_event_of_the_edge_was_lost_the_nodes_is_the_root_as_ever(story: Any) -> None:
    _, access, edge = served(story)
    told = [each for each in story.documents if each["event"]["id"] != edge]
    assert journey(told).root.id == access and journey(told).nodes == ("shop-1",)


@pytest.mark.parametrize("skew_ms", [0, 3, -4_000])
def test_time_on_the_node_is_not_counted_as_the_edges_own_whatever_its_clock_says(story: Any, skew_ms: float) -> None:
    served(story, skew_ms=skew_ms)
    assert any("8 ms (80 %) in" in each.text and "shop-1" in each.text for each in verdict(journey(story.documents)))


def test_lines_of_the_edge_that_are_of_no_request_are_lines(story: Any) -> None:
    story.process("", host="edge-1").emit(
        1, "edge", "Server shops/shop-1 is DOWN", level="critical", logger="haproxy", span=""
    )
    (entry,) = journey(story.documents).entries
    assert entry.event.kind == "line" and template(entry.event) == "Server shops/shop-1 is DOWN"
