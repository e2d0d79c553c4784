"""Those who wait at a hub for news: how many may, and what becomes of them when somebody goes, they or the server."""

import json
import os
import secrets
import socket
import threading
from contextlib import ExitStack, closing
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest

from clusterlog.control.bus.base import Changed, Gap, Message
from clusterlog.control.bus.hub.protocol import ROOT
from clusterlog.control.bus.sqlite import SqliteBus
from clusterlog.errors import BusUnreachable
from clusterlog.testing.buses import PATIENCE_S, changed, heard, subscribed, until
from clusterlog.web.hub.endpoint import Hub

CROWD = 200


def token(server):
    return json.loads((server.home / "run" / "serve.json").read_bytes())["tokens"]["control"]


def waiting(port, token, after, stack, cluster="test", hold_s=60):
    """A connection on which somebody waits."""
    connection = stack.enter_context(closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)))
    path = f"{ROOT}/notices?cluster={cluster}&after={after}&hold={hold_s}"
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    return connection


def told(connection):
    return json.loads(connection.getresponse().read())


def test_two_hundred_who_wait_take_no_thread_each_hinder_nobody_and_all_hear_of_a_change(serve, bus_of, wait_until):
    server = serve()
    threads = Path(f"/proc/{server.process.pid}/task")
    with closing(subscribed(bus_of(server).open())) as link, ExitStack() as stack:
        (begin,) = {told(waiting(server.port, token(server), "", stack))["after"]}
        before = len(os.listdir(threads))
        crowd = [waiting(server.port, token(server), begin, stack) for _ in range(CROWD)]
        for each in range(20):
            link.lease(f"shop/shop-{each}", b"", 30.0, "e/1")
        assert link.leased("e/1") == 20
        assert server.ask("GET", "/", right="read").status == 200
        assert len(os.listdir(threads)) <= before + 8, "for what is done at the same time, not for who waits"
        link.write(b"one", None)
        assert [told(each)["notices"] for each in crowd] == [["changed"]] * CROWD
        changed(link, b"one")


def test_a_hub_lets_so_many_wait_and_a_place_is_free_when_somebody_leaves(
    running, store, tmp_path, monkeypatch, wait_until
):
    monkeypatch.setattr("clusterlog.web.hub.endpoint._LONGEST_HOLD_S", PATIENCE_S * 10)
    hub = Hub(partial(SqliteBus, tmp_path / "bus.db"), 2)
    with running.serving(store, tmp_path / "home", hub=hub) as asked, ExitStack() as stack:
        after = asked("GET", f"{ROOT}/notices?cluster=test&hold=0", right="control").json["after"]
        hold_s = PATIENCE_S * 10
        crowd = [waiting(asked.port, asked.tokens.control, after, stack, hold_s=hold_s) for _ in range(2)]
        path = f"{ROOT}/notices?cluster=test&after={after}&hold=0"
        wait_until(lambda: asked("GET", path, right="control").status == 429, "both places are taken")
        assert asked("GET", f"{ROOT}/leases?cluster=test", right="control").status == 200
        crowd[0].close()
        wait_until(lambda: asked("GET", path, right="control").status == 200, "one of them is free")
    hub.close()


def test_a_name_space_in_which_somebody_waits_does_not_make_room(running, store, tmp_path, monkeypatch, wait_until):
    monkeypatch.setattr("clusterlog.web.hub.endpoint.MOST_CLUSTERS", 1)
    hub = Hub(partial(SqliteBus, tmp_path / "bus.db"), 10)
    with running.serving(store, tmp_path / "home", hub=hub) as asked, ExitStack() as stack:
        after = asked("GET", f"{ROOT}/notices?cluster=test&hold=0", right="control").json["after"]
        one = waiting(asked.port, asked.tokens.control, after, stack)
        wait_until(lambda: hub._clusters["test"].idle_since is None, "somebody waits")
        other = f"{ROOT}/document?cluster=other"
        assert asked("GET", other, right="control").status == 429
        one.close()
        wait_until(lambda: asked("GET", other, right="control").status == 200, "it is free")
    hub.close()


def test_a_server_that_is_to_end_lets_go_at_once_who_waits_and_ends_well(serve, bus_of):
    server = serve()
    with closing(subscribed(bus_of(server).open())) as link, ExitStack() as stack:
        begin = told(waiting(server.port, token(server), "", stack))["after"]
        waits = waiting(server.port, token(server), begin, stack)
        link.lease("a", b"", 30.0, "e/1")  # it is answered behind the one that waits
        assert server.end() == 0
        answer = waits.getresponse()
        assert answer.status == 503
        assert b"this server is ending" in answer.read()
        with pytest.raises(BusUnreachable):
            until(link, lambda come: False)


@pytest.mark.engines
def test_a_server_that_was_killed_and_began_again_has_what_was_kept_and_its_links_begin_with_a_gap(serve, bus_of):
    server = serve()
    bus = bus_of(server)
    with closing(subscribed(bus.open())) as link:
        link.write(b"one", None)
        link.lease("a", b"", 30.0, "e/1")
        server.kill()
        with pytest.raises(BusUnreachable):
            until(link, lambda come: False)
    server.begin()
    with closing(bus.open()) as link:
        assert until(link, bool) == [Gap()]
        assert link.read().document == b"one"
        assert link.leased("e/1") == 1


def test_the_workers_of_the_servers_own_home_and_those_elsewhere_are_on_one_bus(serve, bus_of):
    server = serve()
    here = SqliteBus(server.home / "control" / "bus.db", "test")
    with closing(subscribed(bus_of(server).open())) as away, closing(subscribed(here.open())) as local:
        local.write(b"one", None)
        changed(away, b"one")
        away.send(b"message")
        assert heard(local, 1) == [b"message"]
        local.send(b"another")
        assert until(away, lambda come: Message(b"another") in come)


def test_when_the_bus_of_the_home_is_replaced_everybody_is_told_to_look(serve, bus_of):
    server = serve()
    with closing(subscribed(bus_of(server).open())) as link:
        link.write(b"one", None)
        changed(link, b"one")
        for left in (server.home / "control").glob("bus.db*"):
            left.unlink()
        come = until(link, lambda come: Gap() in come and Changed() in come)
        assert set(come) == {Gap(), Changed()}
        assert link.read().document is None


@pytest.mark.engines
def test_f13_two_operators_at_once_lose_no_change_in_a_thousand_rounds(hub_server, bus_of):
    cluster, rounds, failures = f"t{secrets.token_hex(6)}", 1000, []

    def count():
        from clusterlog.errors import Conflict

        try:
            with closing(bus_of(hub_server, cluster).open()) as link:
                left = rounds
                while left:
                    known = link.read().document
                    try:
                        link.write(b"%d" % (int(known or b"0") + 1), known)
                        left -= 1
                    except Conflict:
                        pass
        except BaseException as error:
            failures.append(error)

    operators = [threading.Thread(target=count) for _ in range(2)]
    for each in operators:
        each.start()
    for each in operators:
        each.join()
    assert not failures
    with closing(bus_of(hub_server, cluster).open()) as link:
        assert link.read().document == b"%d" % (2 * rounds)


def test_a_port_without_a_hub_says_so(running, store, tmp_path, bus_of, hub_server):
    with running.serving(store, tmp_path / "home") as asked:
        (tmp_path / "token").write_text(asked.tokens.control)
        bus = bus_of(hub_server, port=asked.port, token_file=str(tmp_path / "token"))
        with pytest.raises(BusUnreachable, match="there is no hub here"):
            bus.open()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    with pytest.raises(BusUnreachable, match="refused"):
        bus_of(hub_server, port=port, token_file=str(tmp_path / "token")).open()
