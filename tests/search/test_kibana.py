"""What is asked of Kibana for what was found here, and for what was only pasted."""

from __future__ import annotations

from clusterlog.encode.console.addresses import EVERYTHING
from clusterlog.search.kibana import of_events, of_pasted
from clusterlog.search.language.parsing import parse
from clusterlog.search.pasted import Pasted, read
from clusterlog.store.predicate import matches

UNKNOWN = "01a1ff24f9797e77886517ab362f4a41"


def event(request="", trace="", stamp="2026-11-03T12:00:00.5Z"):
    http = {"http": {"request": {"id": request}}} if request else {}
    return {"@timestamp": stamp, **http, **({"trace": {"id": trace}} if trace else {})}


def test_events_are_found_by_their_request_in_the_hours_around_them():
    meant = of_events([event("a", "t" * 32), event("a", stamp="2026-11-03T15:59:59Z")])
    assert meant.query == 'http.request.id: "a"' and meant.requests == ("a",)
    assert meant.times == ("2026-11-03T11:00:00.000Z", "2026-11-03T17:00:00.000Z")


def test_requests_that_belong_together_are_found_together():
    assert of_events([event("a"), event("b"), event("a")]).query == 'http.request.id: "a" or http.request.id: "b"'


def test_events_of_no_request_are_found_by_their_trace():
    assert of_events([event(trace="4b" * 16)]).query == f'trace.id: "{"4b" * 16}"'


def test_events_without_a_time_are_looked_for_in_all_that_is_kept():
    assert of_events([event("a", stamp="yesterday")]).times == EVERYTHING


def test_what_was_pasted_finds_what_it_means_here_as_well():
    """The query language is the same, so a query for Kibana can be held against an event."""
    for given, found, other in [
        (UNKNOWN, event(UNKNOWN), event("a" * 32)),
        (UNKNOWN, event(trace=UNKNOWN), event(trace="b" * 32)),
        ("order-17", event("order-17"), event("order-1")),
        ("order-17", event("order-17-b"), event("my-order-17")),
        ("..7ab362f4a41", event(UNKNOWN), event(UNKNOWN + "0")),
    ]:
        node = parse(of_pasted(read(given)).query)
        assert matches(node, found) and not matches(node, other), given


def test_the_time_of_an_id_says_where_to_look():
    assert of_pasted(read(UNKNOWN)).times == ("2026-11-21T16:00:00.000Z", "2026-11-21T19:00:00.000Z")
    assert of_pasted(Pasted(traces=("4b" * 16,))).times == EVERYTHING
