"""`clusterlog nodes`: who is there, and in what state."""

from __future__ import annotations

import json
import signal

from clusterlog.control.members import HEARTBEAT_S, fields_of


def by_name(result):
    assert result.code == 0, result.err
    return {each["node"]: each for each in json.loads(result.out)["nodes"]}


def test_cp_16_every_node_is_told_with_its_workers_state_and_levels(run, cluster):
    found = json.loads(run("nodes", "--json").out)
    assert found["schema"] == "clusterlog.nodes/1"
    nodes = {each["node"]: each for each in found["nodes"]}
    assert set(nodes) == {"payments-1", "orders-1", "orders-2", "shop-1", "shop-2"}
    one = nodes["orders-1"]
    assert one.keys() >= {
        *("node", "service", "host", "role", "state", "seen_s", "workers", "version", "lag_s", "dropped")
    }
    assert (one["service"], one["role"], one["state"], one["version"]) == ("orders", "apply", "up", "1.0")
    assert [worker["pid"] for worker in one["workers"]] == [4001, 4002]
    assert all(worker["instance"] and worker["level"] == "INFO" for worker in one["workers"])


def test_a_node_whose_processes_were_killed_is_silent_at_once_and_stands_first(run, cluster):
    cluster.kill(cluster.puppets[0])
    assert by_name(run("nodes", "--json"))["payments-1"]["state"] == "silent"
    assert run("nodes").lines[1].startswith("payments-1")


def test_of_a_node_that_goes_on_the_processes_that_were_killed_are_not_told(run, cluster):
    cluster.kill(cluster.puppets[1])
    node = by_name(run("nodes", "--json"))["orders-1"]
    assert node["state"] == "up" and [worker["pid"] for worker in node["workers"]] == [4002]


def test_a_node_that_left_in_good_order_is_gone(run, cluster):
    puppet = cluster.puppets[0]
    cluster.link.release(f"payments/payments-1/{puppet.status.instance}")
    assert "payments-1" not in by_name(run("nodes", "--json"))


def test_f30_two_machines_of_one_name_are_both_shown_and_explained(run, cluster):
    cluster.add("shop", "shop-1", host="elsewhere")
    result = run("nodes")
    assert sum("shop-1" in line and "twice" in line for line in result.lines) == 2
    assert "runs as node shop-1 twice" in result.err and "elsewhere" in result.err


def test_a_node_called_localhost_is_explained(run, stage):
    stage.add("shop", "localhost")
    assert "setting node" in run("nodes").err


def test_a_name_or_a_pattern_chooses_and_an_unknown_one_is_said_with_near_ones(run, cluster):
    assert set(by_name(run("nodes", "orders-*", "--json"))) == {"orders-1", "orders-2"}
    result = run("nodes", "ordes-1")
    assert result.code == 1 and "did you mean orders-1" in result.err


def test_an_empty_cluster_is_told_of(run, stage):
    result = run("nodes")
    assert result.code == 1 and "nobody is there" in result.err
    assert json.loads(run("nodes", "--json").out)["nodes"] == []


def test_what_a_node_says_that_is_not_signed_by_us_is_not_shown(run, cluster):
    body = json.dumps(fields_of(cluster.puppets[0].report)).encode()
    cluster.link.lease("shop/forged/x", body.replace(b"payments-1", b"forged"), 3 * HEARTBEAT_S, "")
    assert "forged" not in by_name(run("nodes", "--json"))


def test_watching_tells_in_a_pipe_of_every_change_until_it_is_interrupted(cluster, process):
    watching = process("nodes", "--watch", "--json", "--home", cluster.home)
    first = json.loads(watching.stdout.readline())
    assert len(first["nodes"]) == 5
    cluster.add("shop", "shop-9")
    second = json.loads(watching.stdout.readline())
    assert {each["node"] for each in second["nodes"]} - {each["node"] for each in first["nodes"]} == {"shop-9"}
    watching.send_signal(signal.SIGINT)
    assert watching.wait(30) == 130


def test_watching_on_a_terminal_draws_the_nodes_in_their_place(cluster, on_pty):
    terminal = on_pty("nodes", "--watch", "--home", cluster.home, columns=120)
    terminal.see("payments-1")
    cluster.kill(cluster.puppets[0])
    terminal.see("silent")
    assert sum("NODE" in line for line in terminal.shown) == 1
    terminal.press("\x03")
    assert terminal.ended() == 130
