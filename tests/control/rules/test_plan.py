"""What a change would do, said before it is made: CP-24."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.control.rules.effective import Levels
from clusterlog.control.rules.plan import Planned, plan
from clusterlog.control.rules.rule import Member, Predicate, Rule, Selector

ORDERS = [Member("orders", "orders-1", "h", number=number) for number in (1, 2)]
SHOP = Member("shop", "shop-1", "h")
RULES = st.lists(st.from_type(Rule), max_size=4, unique_by=lambda rule: rule.id)


def info(_member: Member, _logger: str) -> int:
    return 20


def test_cp24_a_plan_names_node_logger_before_and_after_and_how_many_workers():
    new = Rule("", "orders.stock", 10, selector=Selector(service=("orders",)))
    assert plan([], [new], [*ORDERS, SHOP], info) == (
        Planned("orders", "orders-1", 2, "orders.stock", 20, 10, rules=("",)),
    )


def test_a_new_rule_is_planned_as_the_newest_though_it_has_no_revision_yet():
    old = Rule("old", "orders", 30, rev=7)
    (line,) = plan([old], [old, Rule("", "orders", 10)], [SHOP], info)
    assert (line.before, line.after) == (30, 10)


def test_cp12_a_reset_goes_back_to_what_the_application_configured():
    (line,) = plan([Rule("old", "orders", 10, rev=7)], [], [SHOP], info)
    assert (line.before, line.after) == (10, None)


def test_a_rule_about_some_requests_is_planned_as_one_that_leaves_other_lines_as_they_are():
    (line,) = plan([], [Rule("", "", 10, predicate=Predicate(request="r1"))], [SHOP], info)
    assert (line.before, line.after, line.some_requests) == (20, 20, True)


def test_a_rule_that_others_outdo_is_planned_to_change_nothing():
    strong = Rule("strong", "orders", 30, rev=7, selector=Selector(node=("shop-1",)))
    (line,) = plan([strong], [strong, Rule("", "orders", 10)], [SHOP], info)
    assert (line.before, line.after) == (30, 30)


@given(RULES, RULES, st.lists(st.from_type(Member), max_size=4))
@settings(max_examples=50)
def test_a_plan_promises_what_then_happens_to_each_logger_whose_rules_change(before, after, members):
    lines = plan(before, after, members)
    assert sum(line.workers for line in lines) <= len(members) * len({r.logger for r in (*before, *after)})
    for line in lines:
        there = [m for m in members if (m.service, m.node) == (line.service, line.node)]
        assert line.after in {Levels(tuple(after), member).of(line.logger, 0).level or None for member in there}
    assert plan(before, before, members) == ()
