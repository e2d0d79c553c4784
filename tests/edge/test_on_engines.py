"""What the real balancers log, delivered to real search servers as `ship --syslog` does it, and found there."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from places import place_on

from clusterlog.search.story.journey import journey
from clusterlog.settings import load
from clusterlog.store.query import Match, Query
from clusterlog.web.syslog.line import item
from clusterlog.web.syslog.message import read
from clusterlog.web.syslog.passage import Passage

pytestmark = pytest.mark.engines


@pytest.fixture(params=["elasticsearch", "opensearch"])
def place(request):
    with place_on(request.getfixturevalue(request.param)) as made:
        yield made


def test_an_event_of_the_edge_is_stored_once_and_found_by_all_that_it_says(way, place, tmp_path):
    path = way.new("stored")
    _, told = way.passed(path, ("X-Request-ID", "stranger"), ("traceparent", f"00-{'c' * 32}-{'d' * 16}-01"))
    line = way.log.line(path).replace(b'"environment":"production"', b'"environment":"%b"' % place.environment.encode())
    taken = [item(read(line, datetime.now().astimezone()), whole=True)]
    passage = Passage(place, load({"home": str(tmp_path), "environment": place.environment}, environ={}))
    assert [each.fate for each in passage.take(taken, "127.0.0.1")] == ["created"]
    place.flush()
    for field, value in (
        ("http.request.id", told["http"]["request"]["id"]),
        ("clusterlog.client.request_id", "stranger"),
        ("clusterlog.client.trace_id", "c" * 32),
        ("clusterlog.call.status_code", 200),
        ("client.ip", "127.0.0.1"),
        ("service.node.name", told["service"]["node"]["name"]),
        ("url.path", path),
    ):
        (found,) = place.find(Query(Match(field, value)))
        event = json.loads(found.body)
    found = journey([event])
    assert found.root is not None and found.root.is_edge and found.status == 200
