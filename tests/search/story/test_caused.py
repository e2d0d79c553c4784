"""Which events of a trace a request has caused, where its id was not handed on."""

from __future__ import annotations

import copy
from typing import Any

from clusterlog.search.story.caused import caused


def other(document: dict[str, Any], request: str | None) -> dict[str, Any]:
    """The document as one of another request, or of none."""
    changed = copy.deepcopy(document)
    if request is None:
        del changed["http"]["request"]["id"]
    else:
        changed["http"]["request"]["id"] = request
    return changed


def of_nodes(documents: list[dict[str, Any]], *nodes: str) -> list[dict[str, Any]]:
    return [each for each in documents if each["service"]["node"]["name"] in nodes]


def ids(documents: list[dict[str, Any]]) -> list[str]:
    return sorted(each["event"]["id"] for each in documents)


def test_a_service_that_hands_on_the_trace_alone_and_what_comes_behind_it_belong_to_the_request(checkout: Any) -> None:
    documents = checkout().documents
    known = of_nodes(documents, "shop-1")
    between = [other(each, None) for each in of_nodes(documents, "orders-2")]
    behind = [other(each, "made-anew") for each in of_nodes(documents, "payments-1")]
    assert ids(caused(known, [*behind, *between])) == ids([*between, *behind])


def test_a_request_of_the_same_trace_that_was_caused_by_somebody_else_does_not(story: Any, checkout: Any) -> None:
    known = of_nodes(checkout().documents, "shop-1")
    browser = story.process("shop-1")
    browser.log(1, "the next click", span="x1")
    browser.access(5, 5, "GET /next", 200, span="x1", parent="the-browser")
    story.documents[0]["http"]["request"]["id"] = story.documents[1]["http"]["request"]["id"] = "another"
    assert caused(known, story.documents) == []


def test_lines_of_a_callers_trace_that_name_their_cause_alone_belong_to_what_caused_them(story: Any) -> None:
    shop, worker = story.process("shop-1"), story.process("worker-1")
    shop.call(5, 5, "POST http://queue/", 200, span="c1", parent="s1")
    worker.log(9, "woken", clusterlog={"parent": {"span_id": "c1"}})
    worker.log(9, "woken by somebody else", clusterlog={"parent": {"span_id": "c9"}})
    known, first, second = story.documents
    assert caused([known], [other(first, None), other(second, None)]) == [other(first, None)]


def test_the_events_of_the_request_itself_and_the_same_span_told_again_are_no_consequence(checkout: Any) -> None:
    documents = checkout().documents
    assert caused(documents, documents) == []
    again = [other(each, "told-again") for each in documents]
    for each in again:
        each["event"]["id"] += "-again"
    assert caused(documents, again) == []


def test_parents_that_go_in_circles_end(story: Any) -> None:
    a = story.process("a-1")
    a.call(5, 5, "GET http://b/", 200, span="c1", parent="s1")
    a.step(6, 1, "one", span="x1", parent="x2")
    a.step(6, 1, "two", span="x2", parent="x1")
    a.step(7, 1, "three", span="x3", parent="c1")
    known, *others = story.documents
    loose = [other(each, None) for each in others]
    assert caused([known], loose) == [loose[2]]
