"""The road from end to end: what the demo says it has made is what its store holds, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

NODES = {"shop-1", "shop-2", "orders-1", "orders-2", "payments-1"}
LOGGERS = {"shop.api", "orders.stock", "payments.client"}


@pytest.fixture(scope="module")
def events(told, events_of):
    return events_of(Path(told["home"]))


@pytest.fixture(scope="module")
def requests(events, by_request):
    return by_request(events)


def test_each_request_has_exactly_the_events_it_was_counted_to_have_on_exactly_those_nodes(told, deviations):
    assert not deviations(told)


def test_no_event_belongs_to_a_request_that_nobody_has_made(told, requests):
    assert set(requests) == {request["id"] for request in told["requests"]}


def test_the_document_is_as_the_contract_has_it(told):
    assert list(told) == ["schema", "home", "requests"]
    assert told["schema"] == "clusterlog.demo/1"
    for request in told["requests"]:
        keys = ["id", "trace_id", "user", "status", "outcome", "nodes", "events", "events_by_node", "planted"]
        assert list(request) == keys
        assert set(request["nodes"]) == set(request["events_by_node"]) <= NODES
        assert request["events"] == sum(request["events_by_node"].values())


def test_what_was_planted_is_told_of_what_was_to_fail_or_to_be_slow_and_of_nothing_else(told):
    for request in told["requests"]:
        planted = request["planted"]
        assert (planted is None) == (request["outcome"] == "ok")
        if planted is not None:
            assert planted["kind"] == {"failed": "failure", "slow": "time"}[request["outcome"]]
            assert planted["node"] in request["nodes"]


def test_every_outcome_occurs_and_half_of_the_requests_cross_nodes(told):
    outcomes = Counter(request["outcome"] for request in told["requests"])
    assert outcomes == {"ok": 19, "failed": 3, "slow": 2}
    assert sum(len(request["nodes"]) > 1 for request in told["requests"]) >= len(told["requests"]) / 2
    assert {node for request in told["requests"] for node in request["nodes"]} == NODES


def test_what_fails_begins_to_fail_at_the_payments(told, requests):
    for request in told["requests"]:
        errors = [event for event in requests[request["id"]] if event["log"]["level"] == "error"]
        if request["outcome"] == "failed":
            assert request["status"] == 502
            assert errors[0]["service"]["node"]["name"] == "payments-1"
            assert errors[0]["error"]["type"].endswith("ReadTimeout")
        else:
            assert not errors


def test_the_id_in_the_header_is_that_of_the_access_events_and_of_the_servers_own_console_lines(told, requests):
    directory = Path(told["home"]) / "demo"
    consoles = {node: (directory / f"{node}.log").read_text() for node in NODES}
    for request in told["requests"]:
        events = requests[request["id"]]
        access = [e["service"]["node"]["name"] for e in events if e["event"]["dataset"] == "clusterlog.access"]
        assert sorted(access) == sorted(request["nodes"])
        for node, console in consoles.items():
            lines = [line for line in console.splitlines() if request["id"] in line]
            assert len(lines) == (node in request["nodes"]), node
            assert all(re.search(r'"(GET|POST) /[^"]* HTTP/1.1" \d{3} ', line) for line in lines)


def test_each_request_is_one_trace_with_an_edge_to_each_further_node(told, requests):
    for request in told["requests"]:
        events = requests[request["id"]]
        assert {event["trace"]["id"] for event in events} == {request["trace_id"]}
        calls = {e["span"]["id"] for e in events if e["event"]["dataset"] == "clusterlog.call"}
        callees = [e for e in events if e["event"]["dataset"] == "clusterlog.access"][: len(request["nodes"])]
        parents = [e["clusterlog"].get("parent", {}).get("span_id") for e in callees]
        assert parents.count(None) == 1
        assert set(parents) - {None} <= calls


def test_users_are_known_on_every_line_and_by_their_hash_alone(told, events, requests):
    hashes = {}
    for request in told["requests"]:
        known = {event["user"]["hash"] for event in requests[request["id"]] if event["service"]["name"] == "shop"}
        assert hashes.setdefault(request["user"], known) == known
        assert len(known) == 1
    text = json.dumps(events)
    assert not [user for user in hashes if re.search(rf"\b{user}\b", text)]


def test_the_loggers_of_the_services_speak_at_info_and_above_unless_they_are_asked_for_more(events):
    spoken = {event["log"]["logger"] for event in events}
    assert spoken > LOGGERS
    assert not [event for event in events if event["log"]["level"] == "debug"]


def test_work_in_threads_and_after_the_response_belongs_to_its_request(told, requests):
    for request in told["requests"]:
        said = Counter(event["clusterlog"].get("template") for event in requests[request["id"]])
        if request["status"] == 201:
            assert said["cart priced"] == said["receipt mailed"] == 1
            assert said["the %s warehouse counted %s in %d ms"] == (2 if request["outcome"] == "slow" else 1)


def test_a_node_that_ends_in_order_says_so(events):
    states = Counter((event["service"]["node"]["name"], event["event"].get("action")) for event in events)
    workers = {"shop-1": 1, "shop-2": 1, "orders-1": 2, "orders-2": 2, "payments-1": 1}
    assert {node: states[node, "open"] for node in workers} == workers
    assert {node: states[node, "close"] for node in workers} == workers
    assert not [state for state in states if state[1] == "crash-close"]


def test_trace_gives_a_request_as_the_demo_has_counted_it(told):
    request = next(each for each in told["requests"] if each["outcome"] == "failed")
    command = [sys.executable, "-m", "clusterlog", "trace", request["id"], "--json", "--home", told["home"]]
    traced = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    nodes = Counter(event["service"]["node"]["name"] for event in traced["events"])
    assert nodes == request["events_by_node"]
    assert traced["request"]["trace_ids"] == [request["trace_id"]]
    assert next(each for each in traced["verdict"] if each["kind"] == "failure")["text"].count("payments-1")


def test_the_home_tells_every_command_where_its_store_and_key_are(told):
    home = Path(told["home"])
    written = (home / "clusterlog.toml").read_text()
    assert 'user_key = "user.key"' in written
    command = [sys.executable, "-m", "clusterlog", "status", "--json", "--home", told["home"]]
    status = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert status["backlog"]["events"] == status["dead"] == 0
    assert status["dropped"] == {}


@pytest.fixture(scope="module")
def first(told, tmp_path_factory):
    """The first run, in a home of its own: others look at the one it was made in."""
    home = tmp_path_factory.mktemp("second") / "home"
    shutil.copytree(told["home"], home)
    return {**told, "home": str(home)}


@pytest.fixture(scope="module")
def second(first, killing_demo):
    """A second run on the same home, with its loggers at DEBUG, whose shipper is killed three times."""
    document, killed = killing_demo(Path(first["home"]), 12, 3, 0.4, CLUSTERLOG_DEBUG=",".join(LOGGERS))
    assert killed == 3
    return document


def test_a_second_run_on_a_home_whose_shipper_is_killed_again_and_again_adds_exactly_its_own(first, second, deviations):
    assert not deviations(second)
    assert not deviations(first)


def test_each_logger_of_the_services_has_more_to_say_at_debug(second, events_of, by_request):
    requests = by_request(events_of(Path(second["home"])))
    events = [event for request in second["requests"] for event in requests[request["id"]]]
    assert {event["log"]["logger"] for event in events if event["log"]["level"] == "debug"} == LOGGERS


@pytest.mark.campaign
def test_three_hundred_requests_whose_shipper_is_killed_ten_times_leave_exactly_what_they_were_counted_to(
    tmp_path, killing_demo, deviations
):
    document, killed = killing_demo(tmp_path / "home", 300, 10, 1.5)
    assert killed == 10
    assert len(document["requests"]) == 300
    assert not deviations(document)
