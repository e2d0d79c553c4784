"""`clusterlog level`: rules set, proven, shown and taken back from the command line."""

from __future__ import annotations

import json

import pytest


def told(result):
    assert result.code in (0, 6), result.err
    return json.loads(result.out)


def test_cp_01_one_command_reaches_every_worker_and_names_its_effective_level(run, cluster):
    found = told(run("level", "set", "DEBUG", "--logger", "orders.stock", "--for", "20s", "--json"))
    assert found["schema"] == "clusterlog.level/1"
    assert (found["applied"], found["expected"]) == (7, 7)
    assert {(each["node"], each["service"], each["state"]) for each in found["nodes"]} == {
        (f"{service}-{number}", service, "applied")
        for service, number in (("orders", 1), ("orders", 2), ("payments", 1), ("shop", 1), ("shop", 2))
    }
    workers = [worker for node in found["nodes"] for worker in node["workers"]]
    assert len({worker["pid"] for worker in workers}) == 7
    assert {(worker["logger"], worker["effective"]) for worker in workers} == {("orders.stock", "DEBUG")}
    assert found["rule"]["level"] == "DEBUG" and found["rule"]["logger"] == "orders.stock"
    assert 19 < found["rule"]["left_s"] <= 20


def test_a_rule_on_no_logger_is_about_the_root(run, cluster):
    found = told(run("level", "set", "warning", "--json"))
    workers = [worker for node in found["nodes"] for worker in node["workers"]]
    assert {(worker["logger"], worker["effective"]) for worker in workers} == {("root", "WARNING")}


@pytest.mark.parametrize(
    ("options", "pids"),
    [
        (("--service", "orders"), {4001, 4002, 4003, 4004}),
        (("--node", "orders-*"), {4001, 4002, 4003, 4004}),
        (("--node", "shop-1", "--node", "payments-1"), {4005, 4000}),
        (("--service", "orders", "--worker", "2"), {4002, 4004}),
        (("--service", "shop", "--node", "*-2"), {4006}),
        (("--percent", "100"), set(range(4000, 4007))),
    ],
)
def test_cp_02_a_rule_means_the_workers_that_all_its_terms_mean_and_no_others(run, cluster, options, pids):
    found = told(run("level", "set", "DEBUG", *options, "--json"))
    assert {worker["pid"] for node in found["nodes"] for worker in node["workers"]} == pids
    assert found["applied"] == found["expected"] == len(pids)


@pytest.mark.parametrize("term", [("--role", "canary"), ("--version", "2.0"), ("--host", "elsewhere")])
def test_cp_02_tags_versions_and_hosts_choose_as_well(run, cluster, term):
    odd = cluster.add("shop", "shop-9", tags=("canary", "blue"), version="2.0", host="elsewhere")
    found = told(run("level", "set", "DEBUG", *term, "--json"))
    assert [[worker["pid"] for worker in node["workers"]] for node in found["nodes"]] == [[odd.pid]]


def test_requests_and_what_a_rule_may_cost_stand_in_the_rule(run, cluster):
    words = ("--tenant", "acme", "--route", "/orders/*", "--request", "abc", "--lines", "500", "--lines-per-s", "20")
    rule = told(run("level", "set", "DEBUG", *words, "--json"))["rule"]
    assert rule["predicate"] == {"request": "abc", "tenant": "acme", "route": "/orders/*"}
    assert rule["limits"] == {"lines": 500, "lines_per_s": 20}


def test_at_most_so_many_nodes_are_meant_and_always_the_same_ones(run, cluster):
    one = told(run("level", "set", "DEBUG", "--max", "1", "--json"))
    two = told(run("level", "set", "DEBUG", "--max", "2", "--json"))
    assert len(one["nodes"]) == 1 and len(two["nodes"]) == 2
    assert one["nodes"][0]["node"] in {each["node"] for each in two["nodes"]}


def test_cp_08_a_worker_that_refuses_says_why_and_the_command_ends_with_6(run, cluster):
    def refuse(status):
        from dataclasses import replace

        from clusterlog.control.members import RuleReport

        return replace(status, rules={name: RuleReport("rejected", "INFO is the limit") for name in status.rules})

    cluster.puppets[3].says = refuse
    result = run("level", "set", "DEBUG", "--json")
    found = told(result)
    assert result.code == 6
    assert (found["applied"], found["expected"]) == (6, 7)
    node = next(each for each in found["nodes"] if each["node"] == "orders-2")
    assert node["state"] == "partial" and node["reason"] == "INFO is the limit"
    assert [worker["state"] for worker in node["workers"]] == ["rejected", "applied"]


def test_who_does_not_answer_in_time_is_named_and_the_command_ends_with_6(run, cluster):
    cluster.puppets[0].mute = True
    result = run("level", "set", "DEBUG", "--wait", "300ms")
    assert result.code == 6
    assert any("payments-1" in line and "pending" in line for line in result.lines)
    assert "applied by 6 of 7 workers: 1 no answer" in result.lines[-1]


def test_so_many_as_asked_for_are_enough(run, cluster):
    cluster.puppets[0].mute = True
    assert run("level", "set", "DEBUG", "--min", "80%").code == 0
    assert run("level", "set", "DEBUG", "--min", "6").code == 0
    assert run("level", "set", "DEBUG", "--min", "7", "--wait", "200ms").code == 6


def test_nobody_is_waited_for_who_is_not_asked_to_be(run, cluster):
    cluster.puppets[0].mute = True
    assert run("level", "set", "DEBUG", "--wait", "0").code == 0


def test_a_process_that_was_killed_is_named_and_not_expected(run, cluster):
    cluster.kill(cluster.puppets[0])
    result = run("level", "set", "DEBUG", "--json")
    found = told(result)
    assert result.code == 0 and (found["applied"], found["expected"]) == (6, 6)
    node = next(each for each in found["nodes"] if each["node"] == "payments-1")
    assert node["state"] == "silent" and node["workers"][0]["effective"] is None


def test_a_level_nobody_knows_is_an_error_with_the_nearest_one_and_changes_nothing(run, cluster):
    result = run("level", "set", "DEBG")
    assert result.code == 2 and "did you mean DEBUG?" in result.err
    assert cluster.document() is None


def test_a_logger_nobody_has_is_accepted_and_said_to_be_so(run, cluster):
    result = run("level", "set", "DEBUG", "--logger", "shop.nowhere")
    assert result.code == 0
    assert "no node has a logger shop.nowhere" in result.err


@pytest.mark.parametrize(
    ("option", "value", "near"),
    [("--node", "order-1", "orders-1"), ("--service", "order", "orders"), ("--role", "aply", "apply")],
)
def test_a_name_nobody_has_is_said_with_near_ones_and_changes_nothing(run, cluster, option, value, near):
    result = run("level", "set", "DEBUG", option, value)
    assert result.code == 1 and value in result.err and f"did you mean {near}" in result.err
    assert cluster.document() is None


def test_terms_that_are_each_of_somebody_and_together_of_nobody_are_an_error(run, cluster):
    result = run("level", "set", "DEBUG", "--service", "shop", "--node", "orders-1")
    assert result.code == 1 and "no worker is all of that at once" in result.err


def test_cp_07_a_rule_of_the_whole_cluster_ends_after_15_minutes_unless_said_otherwise(run, cluster):
    assert 899 < told(run("level", "set", "DEBUG", "--json"))["rule"]["left_s"] <= 900
    assert told(run("level", "set", "DEBUG", "--for", "2h", "--json"))["rule"]["left_s"] > 7190


def test_cp_11_a_rule_that_stays_needs_a_reason_and_is_shown_with_its_age(run, cluster):
    assert run("level", "set", "DEBUG", "--persistent").code == 2
    found = told(run("level", "set", "DEBUG", "--persistent", "--reason", "ticket 7", "--json"))
    assert found["rule"]["left_s"] is None and found["rule"]["reason"] == "ticket 7"
    shown = run("level")
    assert any("stays" in line and "ticket 7" in line for line in shown.lines)


@pytest.mark.parametrize(
    "options",
    [
        ("--for", "10m", "--persistent", "--reason", "x"),
        ("--for", "0"),
        ("--for", "soon"),
        ("--min", "most"),
        ("--percent", "0"),
        ("--max", "0"),
        ("--logger", "a..*b"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(run, cluster, options):
    assert run("level", "set", "DEBUG", *options).code == 2
    assert cluster.document() is None


def test_cp_06_a_reset_rule_is_gone_everywhere_and_the_base_holds(run, cluster):
    made = told(run("level", "set", "DEBUG", "--logger", "shop", "--json"))["rule"]["id"]
    result = run("level", "reset", made[:3], "--json")
    found = told(result)
    assert found["rule"]["id"] == made and (found["applied"], found["expected"]) == (7, 7)
    assert {worker["effective"] for node in found["nodes"] for worker in node["workers"]} == {"INFO"}
    assert run("level", "reset", made).code == 1


def test_all_rules_are_taken_back_at_once(run, cluster):
    for level in ("DEBUG", "ERROR"):
        run("level", "set", level)
    assert run("level", "reset", "--all").code == 0
    assert json.loads(run("level", "--json").out)["rules"] == []


def test_a_reset_of_nothing_and_of_everything_at_once_is_a_usage_error(run, cluster):
    assert run("level", "reset").code == 2
    assert run("level", "reset", "abc", "--all").code == 2


def test_the_rules_are_shown_with_actor_reason_and_what_is_left(run, cluster):
    run("level", "set", "DEBUG", "--logger", "orders", "--reason", "lost stock", "--node", "orders-*")
    shown = run("level")
    assert shown.code == 0
    line = next(line for line in shown.lines if "lost stock" in line)
    assert "DEBUG" in line and "node=orders-*" in line and "@" in line
    assert any("orders-1" in line and "orders=DEBUG" in line for line in shown.lines)
    found = json.loads(run("level", "--json").out)
    assert (found["applied"], found["expected"]) == (7, 7)
    assert found["rules"][0]["reason"] == "lost stock"


def test_cp_24_a_dry_run_says_what_would_change_and_changes_nothing(run, cluster):
    result = run("level", "set", "DEBUG", "--logger", "orders.stock", "--service", "orders", "--dry-run", "--json")
    found = told(result)
    assert found["dry_run"] is True and found["expected"] == 4
    assert {(each["node"], each["before"], each["after"]) for each in found["plan"]} == {
        ("orders-1", "INFO", "DEBUG"),
        ("orders-2", "INFO", "DEBUG"),
    }
    assert cluster.document() is None
    assert "nothing was changed" in run("level", "set", "DEBUG", "--dry-run").err


def test_a_user_is_hashed_before_anything_is_sent(run, cluster, home):
    from clusterlog.encode.identity import IdentityHash

    found, _ = IdentityHash(cluster.home / "user.key")("alice")
    rule = told(run("level", "set", "DEBUG", "--user", "alice", "--json"))["rule"]
    assert rule["predicate"] == {"user": found}
    assert b"alice" not in cluster.document().replace(b'"actor":"alice', b"")


def test_a_user_of_whom_there_is_no_key_is_said_to_be_unknown(run, cluster):
    assert run("level", "set", "DEBUG", "--user", "alice").code == 1


def test_cp_13_a_home_whose_role_was_chosen_and_may_not_send_changes_nothing(run, cluster, monkeypatch):
    monkeypatch.setenv("CLUSTERLOG_ROLE", "receive")
    result = run("level", "set", "DEBUG")
    assert result.code == 4 and "role" in result.err
    monkeypatch.setenv("CLUSTERLOG_ROLE", "send")
    assert run("level", "set", "DEBUG").code == 0


def test_cp_13_a_node_has_the_last_word_on_what_is_done_to_it(run, cluster):
    from clusterlog.control.rules.effective import Policy

    cluster.puppets[0].policy = Policy((("", 20),))
    result = run("level", "set", "DEBUG")
    assert result.code == 6
    line = next(line for line in result.lines if "payments-1" in line)
    assert "rejected" in line and "INFO" in line


def test_cp_19_a_share_of_the_nodes_tries_it_first(run, stage):
    for number in range(40):
        stage.add("shop", f"shop-{number}")
    few = told(run("level", "set", "DEBUG", "--percent", "20", "--json"))
    more = told(run("level", "set", "DEBUG", "--percent", "60", "--json"))
    names = [{each["node"] for each in found["nodes"]} for found in (few, more)]
    assert names[0] < names[1] and 0 < len(names[0]) < 20 < len(names[1]) < 40


def test_an_empty_cluster_is_told_of_and_the_rule_waits_for_who_comes(run, stage):
    result = run("level", "set", "DEBUG")
    assert result.code == 0 and "nobody is there" in result.err
    stage.add("shop", "shop-9")
    assert run("level", "--json").code == 0
    found = json.loads(run("level", "--json").out)
    assert found["nodes"][0]["workers"][0]["effective"] == "DEBUG"


def test_a_home_that_is_not_there_is_named(run):
    result = run("level")
    assert result.code == 1 and "no home at" in result.err


def test_a_bus_that_cannot_be_reached_ends_with_3(run, cluster, monkeypatch):
    from clusterlog.control.bus.sqlite import SqliteBus
    from clusterlog.errors import BusUnreachable

    def gone(self):
        raise BusUnreachable("gone")

    monkeypatch.setattr(SqliteBus, "open", gone)
    for words in (("level",), ("level", "set", "DEBUG"), ("nodes",)):
        assert run(*words).code == 3


def test_what_nobody_believes_is_shown_so_and_a_reset_of_all_mends_it(run, cluster):
    cluster.link.write(b'{"schema":"clusterlog.control/1","forged":true}', None)
    assert "not to be believed" in run("level").err
    assert run("level", "set", "DEBUG").code == 4
    assert run("level", "reset", "--all").code == 0
    assert run("level", "set", "DEBUG").code == 0


def test_an_option_before_the_subcommand_is_not_passed_over(run, cluster):
    result = run("level", "--json", "set", "DEBUG")
    assert result.code == 2 and "--json" in result.err
    assert cluster.document() is None


def test_no_question_is_asked_unless_somebody_is_there(run, cluster, monkeypatch):
    monkeypatch.setattr("click.confirm", lambda *a, **k: pytest.fail("asked"))
    assert run("level", "set", "DEBUG", "--persistent", "--reason", "x").code == 0


def test_a_person_is_asked_before_a_rule_that_stays_and_yes_skips_it(run, cluster, on_terminal, monkeypatch):
    asked = []

    def confirm(question, **_):
        import click

        asked.append(question)
        raise click.Abort

    monkeypatch.setattr("click.confirm", confirm)
    words = ("level", "set", "DEBUG", "--persistent", "--reason", "x", "--json")
    assert run(*words).code == 130 and len(asked) == 1
    assert cluster.document() is None
    assert run(*words, "--yes").code == 0 and len(asked) == 1


def test_a_person_is_asked_before_very_many_workers_say_everything(run, stage, on_terminal, monkeypatch):
    asked = []
    monkeypatch.setattr("click.confirm", lambda question, **_: asked.append(question))
    for number in range(9):
        stage.add("shop", f"shop-{number}")
    for words in (("--logger", "shop"), ("--max", "1"), ("--route", "/orders/*"), ("--cap",)):
        run("level", "set", "DEBUG", *words)
    assert not asked
    run("level", "set", "DEBUG")
    assert asked == ["make every logger of 9 workers say DEBUG?"]
