"""With the flight recorder on, the DEBUG of a request that failed is there although nobody had asked for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise

import pytest

from clusterlog.search.receipt import receipts
from clusterlog.search.story.journey import journey
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Match, Query


@pytest.mark.engines
def test_every_service_that_a_failed_request_came_through_tells_its_debug_in_its_place_and_no_other_does(tmp_path):
    home = tmp_path / "home"
    environ = {**os.environ, "CLUSTERLOG_RECORDER": "DEBUG/60s"}
    command = [sys.executable, "-m", "clusterlog", "demo", "--requests", "20", "--home", str(home), "--json"]
    done = subprocess.run(command, capture_output=True, timeout=180, env=environ, check=False)
    assert done.returncode == 0, done.stderr.decode()
    requests = json.loads(done.stdout)["requests"]
    store = EmbeddedStore.open(home / "store", "read")
    try:
        told = {
            each["id"]: [
                json.loads(found.body)
                for found in store.find(Query(Match("http.request.id", each["id"]), order="oldest", limit=None))
            ]
            for each in requests
        }
        states = [
            json.loads(found.body)
            for found in store.find(Query(Match("event.kind", "state"), order="oldest", limit=None))
        ]
    finally:
        store.close()
    assert {each["outcome"] for each in requests} >= {"ok", "failed"}
    for request in requests:
        seen = journey(told[request["id"]])
        debug = [entry.event for entry in seen.entries if entry.event.level == "debug"]
        if request["outcome"] != "failed":
            # The first request of a service may be slower than others; none takes a minute.
            assert [event for event in debug if event.late is not None] == []
            continue
        assert {event.service for event in debug} == {"shop", "orders", "payments"}
        for lane in range(len(seen.lanes)):
            lines = [entry.event for entry in seen.entries if entry.lane == lane and entry.event.kind == "line"]
            back = [one.time_ns - other.time_ns for one, other in pairwise(lines)]
            assert max(back, default=0) < 50_000_000, "it lies where it was said, not where it was written"
        assert {receipt.state for receipt in receipts(seen, states)} == {"complete"}
