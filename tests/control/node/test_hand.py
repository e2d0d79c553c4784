"""The hand: levels in force as documents ask, each change told once, ended on time, and put back exactly."""

import logging

import pytest

from clusterlog.control.applying.levels import InForce
from clusterlog.control.bus.base import Snapshot
from clusterlog.control.node.desired import Clock
from clusterlog.control.rules.effective import Policy
from clusterlog.control.rules.expiry import boot_ns
from clusterlog.control.rules.rule import Rule, Selector
from clusterlog.control.signing.keys import Key
from clusterlog.control.signing.sealing import Sealer

S = 10**9
NOW = 1_000_000 * S


@pytest.fixture
def rule(logger):
    def made(id_="r1", life=60.0, level=logging.DEBUG, **more):
        return Rule(
            id_, logger.name, level, created_ns=NOW, expires_ns=int(NOW + life * S), rev=1, actor="alice", **more
        )

    return made


def look(hand, document):
    return hand.looked(Snapshot(document, NOW), boot_ns())


def changes(told):
    return [(control["change"], control["rule"], control["before"], control["after"]) for _, _, _, control in told]


def test_a_rule_is_in_force_when_the_look_returns_and_the_base_comes_back_when_it_is_gone(
    make_hand, signed, rule, logger, told
):
    hand = make_hand()
    hand.introduced("i1", 1)
    assert look(hand, signed(rule()))
    assert logger.getEffectiveLevel() == logging.DEBUG
    assert look(hand, signed(rev=2))
    assert (logger.level, type(logger.level)) == (logging.INFO, int)
    assert changes(told) == [("set", "r1", "INFO", "DEBUG"), ("reset", "r1", "DEBUG", "INFO")]


def test_every_change_is_told_once_with_who_what_and_why(make_hand, signed, rule, logger, told):
    hand = make_hand()
    hand.introduced("i1", 1)
    document = signed(rule(reason="ticket 7"))
    look(hand, document)
    look(hand, document)
    ((action, message, facts, control),) = told
    assert action == "audit"
    assert message == f"{logger.name} INFO → DEBUG: rule r1 by alice (DEBUG): ticket 7"
    assert facts == {"levels": {logger.name: "DEBUG"}, "reason": "ticket 7", "instance": "i1"}
    assert control["actor"] == "alice" and control["version"] == "e1/1" and control["logger"] == logger.name


def test_a_rule_ends_by_itself_without_any_bus(make_hand, signed, rule, logger, told, until):
    """F09: the base level comes back on time, however long nobody can be asked."""
    hand = make_hand()
    hand.introduced("i1", 1)
    look(hand, signed(rule(life=0.3)))
    assert logger.getEffectiveLevel() == logging.DEBUG
    until(lambda: logger.level == logging.INFO)
    until(lambda: len(told) == 2)
    assert changes(told)[-1] == ("expired", "r1", "DEBUG", "INFO")
    assert hand.status(1, 1, 0).rules["r1"].state == "expired"


def test_nothing_ends_early_where_one_rule_of_several_ends(make_hand, signed, rule, logger, until):
    hand = make_hand()
    hand.introduced("i1", 1)
    look(hand, signed(rule("short", 0.3), rule("long", 60, logging.WARNING, kind="cap")))
    assert logger.getEffectiveLevel() == logging.WARNING
    until(lambda: [each.id for each in hand.desired.in_force()] == ["long"])
    until(lambda: hand.status(1, 1, 0).rules["short"].state == "expired")
    assert logger.getEffectiveLevel() == logging.WARNING


def test_i2_a_rule_whose_time_comes_while_another_is_taken_out_of_force_ends_as_well(
    make_hand, signed, rule, logger, until
):
    now = [0]

    class Slow(InForce):
        def apply(self, levels):
            super().apply(levels)
            if now[0] == 10 * S:
                now[0] = 11 * S

    hand = make_hand(clock=Clock(boot_ns=lambda: now[0]), force=Slow())
    hand.looked(Snapshot(signed(rule("a", 10), rule("b", 10.5)), NOW), 0)
    now[0] = 10 * S
    hand.tend()
    until(lambda: logger.level == logging.INFO, "the end of the second rule")


def test_a_rule_for_others_is_followed_by_them_alone(make_hand, signed, rule, logger, told):
    hand = make_hand()
    hand.introduced("i1", 1)
    look(hand, signed(rule(selector=Selector(node=("other-*",)))))
    assert logger.getEffectiveLevel() == logging.INFO and not told
    assert (hand.status(1, 1, 0).rules, hand.status(1, 1, 0).applied) == ({}, "e1/1")


def test_a_rule_for_a_worker_by_its_number_waits_for_the_number(make_hand, signed, rule, logger):
    hand = make_hand()
    look(hand, signed(rule(selector=Selector(worker=(2,)))))
    assert logger.getEffectiveLevel() == logging.INFO
    hand.introduced("i1", 2)
    assert logger.getEffectiveLevel() == logging.DEBUG


@pytest.mark.parametrize(
    ("policy", "level", "said"),
    [
        (Policy(longest_ns=30 * S), "INFO", "rejected"),
        (Policy(applies=False), "INFO", "rejected"),
        (Policy((("", logging.INFO),)), "INFO", "set"),
    ],
)
def test_what_this_node_does_not_allow_no_sender_can_have(make_hand, signed, rule, logger, told, policy, level, said):
    """F17: refused or held at the ceiling, with the reason, in the lease and on the road."""
    hand = make_hand(policy=policy)
    hand.introduced("i1", 1)
    look(hand, signed(rule()))
    assert logging.getLevelName(logger.getEffectiveLevel()) == level
    report = hand.status(1, 1, 0).rules["r1"]
    assert report.state != "applied" or report.reason
    assert changes(told) == [(said, "r1", "INFO", "INFO")]


def test_what_is_forged_counts_and_changes_nothing(make_hand, signed, rule, logger, sealer):
    """I3: no node applies what it should reject."""
    hand = make_hand()
    hand.introduced("i1", 1)
    look(hand, signed(rule()))
    forger = Sealer((Key(b"x" * 32),), "test")
    fields = sealer.opened(signed(rev=2), "clusterlog.control/1")
    assert not look(hand, forger.seal(fields))
    assert not hand.handed(b"garbage")
    assert logger.getEffectiveLevel() == logging.DEBUG
    assert hand.faults == {"signature": 1, "garbage": 1}


def test_drift_is_told_once_and_is_the_base_from_then_on(make_hand, signed, rule, logger, told):
    """F23, I6: what the application sets under a rule is what comes back when the rule is gone."""
    hand = make_hand()
    hand.introduced("i1", 1)
    look(hand, signed(rule()))
    logger.level = logging.ERROR
    hand.looked_after()
    hand.looked_after()
    drifts = [control for _, _, _, control in told if control["change"] == "drift"]
    assert drifts == [{"change": "drift", "logger": logger.name, "before": "ERROR"}]
    assert logger.getEffectiveLevel() == logging.DEBUG
    look(hand, signed(rev=2))
    assert logger.level == logging.ERROR


def test_a_rule_that_cost_too_much_is_told_with_its_reason(make_hand, signed, rule, told):
    hand = make_hand()
    hand.introduced("i1", 1)
    look(hand, signed(rule()))
    hand.tripped("r1", "more than 10 lines")
    hand.looked_after()
    assert changes(told)[-1][:2] == ("tripped", "r1")
    assert told[-1][1].endswith("tripped: more than 10 lines")


def test_what_the_home_remembers_is_in_force_before_anybody_is_asked_and_told_when_there_is_a_name(
    make_hand, signed, rule, logger, told, tmp_path
):
    """F19: a worker that starts during a rule has its level before its first line."""
    before = make_hand(state=tmp_path / "state.json")
    before.introduced("i1", 1)
    look(before, signed(rule()))
    before.keep()
    before.end()
    told.clear()
    assert logger.level == logging.INFO
    after = make_hand(state=tmp_path / "state.json")
    assert after.resume()
    assert logger.getEffectiveLevel() == logging.DEBUG and not told
    after.introduced("i2", 1)
    assert changes(told) == [("set", "r1", "INFO", "DEBUG")]


def test_a_rule_that_ended_while_nobody_ran_is_over(make_hand, signed, rule, logger, tmp_path):
    """F06, F08: time goes on while a process is stopped or a machine sleeps."""
    ticking = {"boot": boot_ns()}
    clock = Clock(boot_ns=lambda: ticking["boot"])
    before = make_hand(state=tmp_path / "state.json", clock=clock)
    before.looked(Snapshot(signed(rule(life=60)), NOW), ticking["boot"])
    before.keep()
    before.end()
    ticking["boot"] += 61 * S
    after = make_hand(state=tmp_path / "state.json", clock=clock)
    after.resume()
    assert logger.level == logging.INFO


def test_a_damaged_or_foreign_memory_is_no_reason_not_to_start(make_hand, signed, rule, logger, tmp_path, sealer):
    (tmp_path / "state.json").write_bytes(b"{")
    assert not make_hand(state=tmp_path / "state.json").resume()
    hand = make_hand(state=tmp_path / "state.json")
    look(hand, signed(rule()))
    hand.keep()
    hand.end()
    kept = (tmp_path / "state.json").read_text()
    (tmp_path / "state.json").write_text(kept.replace("alice", "mallory"))
    other = make_hand(state=tmp_path / "state.json")
    assert not other.resume() and other.faults == {"signature": 1}
    assert logger.level == logging.INFO


def test_every_change_is_announced_so_that_the_proof_follows(make_hand, signed, rule, until):
    hand = make_hand()
    woken = []
    hand.changed = lambda: woken.append(hand.changes)
    hand.introduced("i1", 1)
    look(hand, signed(rule(life=0.2)))
    until(lambda: len(woken) >= 3)
    assert woken == sorted(set(woken))


def test_after_the_end_nothing_is_applied_any_more(make_hand, signed, rule, logger):
    hand = make_hand()
    hand.introduced("i1", 1)
    look(hand, signed(rule()))
    hand.end()
    assert logger.level == logging.INFO
    assert not look(hand, signed(rule(), rev=2))
    assert logger.level == logging.INFO
