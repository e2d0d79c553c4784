"""A request from the balancer through the shop, orders and payments: told as one, also when a node dies between two."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from edge_cluster import Shops
from edge_servers import EXAMPLES, PATIENCE, Edge, haproxy, nginx, until

pytestmark = pytest.mark.engines

ORDER = {"number": 12345, "sku": "tent", "quantity": 2, "warehouse": "near", "card": "tok_good"}


@pytest.fixture(scope="module")
def shops(tmp_path_factory, redis_server) -> Iterator[Shops]:
    with Shops(tmp_path_factory.mktemp("shops"), f"{redis_server.url}/0") as begun:
        yield begun


@pytest.fixture(scope="module", params=["haproxy", "nginx"])
def edge(request, tmp_path_factory, shops) -> Iterator[tuple[str, Edge]]:
    directory = tmp_path_factory.mktemp(request.param)
    nodes = {name: shops.ports[name] for name in ("shop-1", "shop-2")}
    if request.param == "nginx":
        begun = nginx(directory, shops.syslog, nodes)
    else:
        begun = haproxy(directory, EXAMPLES / "shop" / "haproxy.cfg", shops.syslog, nodes)
    with begun as running:
        yield request.param, running


@pytest.fixture
def visitor(edge) -> Iterator[httpx.Client]:
    """Somebody with a cookie jar, at the edge."""
    with httpx.Client(base_url=f"http://127.0.0.1:{edge[1].port}", timeout=PATIENCE, trust_env=False) as client:
        yield client


def of(told, dataset, service):
    (event,) = (
        each
        for each in told["events"]
        if each["event"]["dataset"] == f"clusterlog.{dataset}" and each["service"]["name"] == service
    )
    return event


def test_trace_begins_at_the_edge_and_leads_to_the_last_node(edge, shops, visitor):
    answer = visitor.post("/orders", json=ORDER, headers={"X-User": "alice"})
    assert answer.status_code == 201, answer.text
    id = answer.headers["X-Request-ID"]
    told = shops.trace(id, {edge[0], "shop", "orders", "payments"})
    assert told["lanes"][0]["service"] == edge[0]
    assert [lane["service"] for lane in told["lanes"]][1:] == ["shop", "orders", "payments"]
    balancer, shop = of(told, "edge", edge[0]), of(told, "access", "shop")
    assert shop["clusterlog"]["parent"]["span_id"] == balancer["span"]["id"]
    assert balancer["service"]["node"]["name"] == shop["service"]["node"]["name"]
    assert told["request"]["trace_ids"] == [balancer["trace"]["id"]] and told["request"]["status"] == 201
    assert told["request"]["duration_ns"] == balancer["event"]["duration"]
    assert told["request"]["route"] == "/orders"
    order = {each["id"]: each for each in told["order"]}
    assert shop["event"]["id"] in order[balancer["event"]["id"]]["after"]
    assert told["order"][0]["lane"] == 1  # what the balancer tells, it tells at the end

    tree = shops.ask("trace", id, "--tree").stdout
    first = next(line for line in tree.splitlines() if line.startswith(" +0.000 "))
    assert f"POST /orders → 201 by {shop['service']['node']['name']}" in first
    assert f"on {balancer['host']['name']}" in first, tree


def test_an_id_of_a_stranger_leads_to_the_request_and_is_none(edge, shops, visitor):
    stranger = f"stranger-{edge[0]}"
    answer = visitor.get("/catalog", headers={"X-Request-ID": stranger})
    id = answer.headers["X-Request-ID"]
    assert id != stranger
    shops.trace(id, {edge[0], "shop"})
    (known,) = shops.found(f"clusterlog.client.request_id: {stranger}")
    assert known["http"]["request"]["id"] == id and known["event"]["dataset"] == "clusterlog.edge"
    assert shops.found(f"http.request.id: {stranger}") == []


def test_a_request_that_fails_behind_the_edge_is_told_by_its_first_error(edge, shops, visitor):
    answer = visitor.post("/orders", json={**ORDER, "card": "tok_unanswered"}, headers={"X-User": "bob"})
    assert answer.status_code == 502
    told = shops.trace(answer.headers["X-Request-ID"], {edge[0], "shop", "orders", "payments"})
    (failure,) = (each["text"] for each in told["verdict"] if each["kind"] == "failure")
    assert "payments-1" in failure.partition(";")[0] and "502" in failure, failure


def test_when_a_node_dies_its_session_goes_on_at_the_other_and_both_are_found_by_it(request, edge, shops, visitor):
    first, second = (visitor.get("/session") for _ in range(2))
    assert (first.json()["visits"], second.json()["visits"]) == (1, 2)
    node = first.json()["node"]
    assert second.json()["node"] == node
    (other,) = {"shop-1", "shop-2"} - {node}

    def as_before():
        shops.begin_again(node)
        until(lambda: visitor.get("/session").status_code == 200, "both again")

    request.addfinalizer(as_before)
    shops.kill(node)
    third = visitor.get("/session")
    assert third.status_code == 200 and third.json() == {"visits": 3, "node": other}

    ids = [answer.headers["X-Request-ID"] for answer in (first, second, third)]
    told = shops.trace(ids[-1], {edge[0], "shop"})
    session = of(told, "access", "shop")["clusterlog"]["session"]["hash"]
    assert of(told, "edge", edge[0])["service"]["node"]["name"] == other
    joined = until(
        lambda: (
            len(found := shops.found(f"clusterlog.session.hash: {session} and event.dataset: clusterlog.access")) >= 2
            and found
        ),
        "both nodes",
    )
    # The first visit had no session to be known by: its answer brought the cookie.
    assert [event["http"]["request"]["id"] for event in joined] == ids[1:]
    assert [event["service"]["node"]["name"] for event in joined] == [node, other]
    taken_over = shops.found(f'http.request.id: {ids[-1]} and message: "session taken over"')
    assert [event["labels"]["before"] for event in taken_over] == [node]

    rows = shops.ask("search", f"clusterlog.session.hash: {session}", "--group", "request", "--json").stdout
    assert all(id in json.dumps(json.loads(rows)) for id in ids[1:])


def test_a_redis_that_is_away_costs_the_session_and_no_request(edge, shops, visitor, redis_server):
    assert visitor.get("/session").json()["visits"] == 1
    redis_server.freeze()
    try:
        assert visitor.get("/session").status_code == 200
    finally:
        redis_server.thaw()
    assert visitor.get("/session").status_code == 200
