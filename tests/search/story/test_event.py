from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.search.story.event import Event, name, read, request_line

JUNK = st.sampled_from([None, True, 0, 5, -1, 2.5, "", "x", [], ["x"], {}, {"id": 5}, {"name": None}])


def places(document: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of everything in a document."""
    found = [path] if path else []
    if isinstance(document, dict):
        for key, value in document.items():
            found += places(value, (*path, key))
    return found


def put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        document = document[key] if isinstance(document.get(key), dict) else document.setdefault(f"other-{key}", {})
    document[path[-1]] = value


@given(data=st.data())
@settings(max_examples=200)
def test_what_a_stranger_wrote_into_one_place_changes_only_what_is_read_there(
    checkout: Any, data: st.DataObject
) -> None:
    document = data.draw(st.sampled_from(checkout().documents))
    expected = read(document)
    odd, path = copy.deepcopy(document), data.draw(st.sampled_from(places(document)))
    put(odd, path, data.draw(JUNK))
    found = read(odd)
    assert isinstance(found.id, str)
    assert found.document is odd
    if path[0] not in ("event", "clusterlog", "http"):
        assert (found.kind, found.outcome, found.status) == (expected.kind, expected.outcome, expected.status)
    if path[0] not in ("process", "event"):
        assert (found.id, found.instance, found.sequence) == (expected.id, expected.instance, expected.sequence)
    if path[0] not in ("span", "clusterlog"):
        assert (found.span, found.parent) == (expected.span, expected.parent)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("service.name", "service"),
        ("service.node.name", "node"),
        ("host.name", "clock"),
        ("process.entity_id", "instance"),
        ("span.id", "span"),
        ("trace.id", "trace"),
        ("http.request.id", "request"),
        ("http.request.method", "method"),
        ("log.logger", "logger"),
        ("event.outcome", "outcome"),
        ("clusterlog.parent.span_id", "parent"),
    ],
)
@pytest.mark.parametrize("junk", [None, 5, ["x"], {"a": 1}])
def test_text_that_is_none_is_read_as_missing_and_all_else_as_ever(
    story: Any, path: str, field: str, junk: object
) -> None:
    story.process("shop-1").call(5, 3, "GET http://orders:80/b", 200, span="c1", parent="s1")
    document = story.documents[0]
    without, odd = copy.deepcopy(document), copy.deepcopy(document)
    put(odd, tuple(path.split(".")), junk)
    at: Any = without
    for key in path.split(".")[:-1]:
        at = at[key]
    del at[path.rpartition(".")[2]]
    expected = read(without)
    assert getattr(read(document), field) != getattr(expected, field)
    assert read(odd)._replace(document=without) == expected


def test_an_event_without_an_id_has_one_of_its_content() -> None:
    one, other = read({"message": "a"}), read({"message": "b"})
    assert one.id.startswith("unnumbered-")
    assert one.id != other.id
    assert read({"message": "a"}).id == one.id


@pytest.mark.parametrize("duration", [-1, 11 * 365 * 86_400 * 10**9, True, 1.5, "9"])
def test_a_duration_that_is_none_is_unknown(duration: object) -> None:
    event = read({"@timestamp": "2026-11-03T12:00:00Z", "event": {"duration": duration}})
    assert event.duration_ns is None
    assert event.started_ns == event.time_ns


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ({"scheme": "http", "domain": "orders", "port": 8002, "path": "/b"}, "GET http://orders:8002/b"),
        ({"scheme": "http", "domain": "::1", "port": 80, "path": "/"}, "GET http://[::1]:80/"),
        ({"scheme": "https", "domain": "bank.example", "path": "/x"}, "GET https://bank.example/x"),
        ({"full": "https://me:secret@bank.example/x", "path": "/x"}, "GET https://me:secret@bank.example/x"),
        ({}, "GET"),
    ],
)
def test_a_call_is_named_by_what_was_asked(url: dict[str, Any], expected: str) -> None:
    event = read({"event": {"dataset": "clusterlog.call"}, "http": {"request": {"method": "GET"}}, "url": url})
    assert request_line(event) == name(event) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ({"domain": "orders", "port": 8002}, "orders:8002"),
        ({"domain": "fd00::1", "port": 80}, "[fd00::1]:80"),
        ({"full": "https://me:secret@bank.example/x"}, "bank.example"),
        ({"domain": ["x"], "full": "http://y/"}, ""),
    ],
)
def test_whom_a_call_asked_is_told_without_who_asked(url: dict[str, Any], expected: str) -> None:
    assert read({"event": {"dataset": "clusterlog.call"}, "url": url}).authority == expected


def span(kind: str, outcome: str, status: int | None = None) -> Event:
    own: dict[str, Any] = {"span": {"kind": kind}, "call": {} if status is None else {"status_code": status}}
    return read({"event": {"dataset": "clusterlog.span", "outcome": outcome}, "clusterlog": own})


def test_a_span_of_a_client_is_answered_if_it_has_a_status_or_went_well() -> None:
    assert span("client", "success").answered
    assert span("client", "failure", 500).answered
    assert not span("client", "failure").answered
    assert not span("internal", "success").answered
    assert not span("producer", "success").answered


@pytest.mark.parametrize(("kind", "expected"), [("server", True), ("consumer", True), ("client", False), ("", False)])
def test_a_span_of_a_server_or_a_consumer_serves_somebody(kind: str, expected: bool) -> None:
    assert span(kind, "success").serves is expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (
            {"http.request.method": "GET", "http.route": "/b/{id}", "http.response.status_code": 503},
            ("GET", "/b/{id}", 503, True),
        ),
        ({"http.method": "GET", "http.target": "/b?secret=1", "http.status_code": 200}, ("GET", "/b", 200, False)),
        ({"http.request.method": ["GET"], "url.path": 5, "http.status_code": "200"}, ("", "", None, False)),
        ("none", ("", "", None, False)),
    ],
)
def test_what_a_servers_span_was_asked_and_answered_is_among_its_attributes(labels: Any, expected: Any) -> None:
    event = read(
        {"event": {"dataset": "clusterlog.span"}, "clusterlog": {"span": {"kind": "server"}}, "labels": labels}
    )
    assert (event.method, event.path, event.status, event.failed) == expected
