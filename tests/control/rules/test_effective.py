"""The level in force, from base to ceiling: CP-03, CP-09, CP-12, CP-13, CP-24 and the failure F17."""

from __future__ import annotations

from dataclasses import replace
from logging import CRITICAL, DEBUG, ERROR, INFO, WARNING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.control.rules.effective import Effective, Levels, Policy, Step, ceilings, lineage, refusal
from clusterlog.control.rules.rule import Member, Predicate, RequestFacts, Rule, Selector
from clusterlog.control.rules.selecting import asked, meant, specificity

ANYTHING = Policy()
HERE = Member("orders", "orders-1", "host-a", "apply", ("eu",), "1.4", 2)
LOGGERS = st.sampled_from(["", "orders", "orders.stock", "orders.stock.db", "ordersx", "orders.stockroom", "payments"])
RULES = st.lists(st.from_type(Rule), max_size=6, unique_by=lambda rule: rule.id)
BASES = st.sampled_from([DEBUG, 15, INFO, WARNING, ERROR, CRITICAL])
CEILINGS = st.lists(
    st.tuples(LOGGERS, st.sampled_from([DEBUG, INFO, WARNING])), max_size=3, unique_by=lambda one: one[0]
)


def rule(id_: str, logger: str = "", level: int = DEBUG, **more: object) -> Rule:
    return Rule(id_, logger, level, **{"rev": 1, **more})


def level(rules: list[Rule], logger: str, base: int = INFO, policy: Policy = ANYTHING, **request: str) -> int:
    facts = RequestFacts(**request) if request else None
    return Levels(tuple(rules), HERE, policy).of(logger, base, facts).level


def below(logger: str, name: str) -> bool:
    return name == "" or logger == name or logger.startswith(name + ".")


def test_cp03_a_rule_means_its_logger_and_all_below_it_on_dot_boundaries_and_never_by_raw_prefix():
    rules = [rule("r", "orders.stock")]
    assert level(rules, "orders.stock") == level(rules, "orders.stock.db.cursor") == DEBUG
    for other in ("orders", "orders.stockroom", "orders.stoc", "orders_stock", "x.orders.stock", "", "root"):
        assert level(rules, other) == INFO


def test_a_rule_on_the_root_means_every_logger_and_the_root_itself_under_both_its_names():
    for logger in ("", "root", "orders", "root.x", "a.b.c"):
        assert level([rule("r")], logger) == DEBUG


def test_a_logger_called_below_root_is_none_of_the_names_of_the_root():
    assert level([rule("r", "root.x")], "root") == INFO
    assert list(lineage("root.x")) == ["root.x", "root", ""]


def test_the_longest_logger_wins_then_the_narrowest_selector_then_the_newest_revision():
    wide, narrow = Selector(), Selector(service=("orders",))
    long = rule("long", "orders.stock", ERROR, rev=1)
    assert level([long, rule("short", "orders", DEBUG, rev=9, selector=narrow)], "orders.stock") == ERROR
    assert (
        level([rule("n", "orders", ERROR, selector=narrow), rule("w", "orders", DEBUG, selector=wide, rev=9)], "orders")
        == ERROR
    )
    assert level([rule("new", "orders", ERROR, rev=2), rule("old", "orders", DEBUG, rev=1)], "orders") == ERROR


def test_a_rule_about_this_request_wins_over_rules_about_all_lines_and_says_nothing_of_others():
    one = rule("one", "", DEBUG, predicate=Predicate(request="r1"))
    all_ = rule("all", "orders.stock", WARNING, rev=9)
    assert level([one, all_], "orders.stock", request="r1") == DEBUG
    assert level([one, all_], "orders.stock", request="r2") == WARNING
    assert level([one, all_], "orders.stock") == WARNING


def test_a_cap_makes_quieter_at_most_and_comes_after_every_set_however_narrow_that_is():
    cap = rule("cap", "", WARNING, kind="cap", rev=1)
    narrow = rule("set", "orders.stock", DEBUG, rev=9, selector=Selector(worker=(2,)))
    assert level([cap, narrow], "orders.stock") == WARNING
    assert level([cap], "orders.stock", base=ERROR) == ERROR
    assert level([cap, rule("one", predicate=Predicate(request="r1"))], "orders", request="r1") == WARNING


def test_cp13_the_ceiling_is_last_holds_rules_alone_and_never_makes_quieter_than_the_application_did():
    held = Policy((("", INFO), ("orders", WARNING)))
    assert level([rule("r")], "payments", base=WARNING, policy=held) == INFO
    assert level([rule("r")], "orders.stock", base=CRITICAL, policy=held) == WARNING
    assert level([rule("r")], "payments", base=DEBUG, policy=held) == DEBUG
    assert level([rule("r", level=ERROR)], "payments", base=DEBUG, policy=held) == ERROR
    assert level([], "payments", base=DEBUG, policy=held) == DEBUG


def test_cp13_the_longest_name_among_ceilings_decides():
    policy = Policy(ceilings(["WARNING", "orders=DEBUG", "orders.secret=ERROR"]))
    levels = Levels((rule("r"),), HERE, policy)
    assert [levels.of(name, CRITICAL).level for name in ("x", "orders", "orders.secret", "orders.secrets")] == [
        WARNING,
        DEBUG,
        ERROR,
        DEBUG,
    ]
    assert levels.loggers() == {"", "orders", "orders.secret"}


def test_f17_a_rule_above_the_ceiling_is_said_to_be_refused_though_it_goes_as_far_as_it_may():
    levels = Levels((rule("r", "botocore"),), HERE, Policy(ceilings(["botocore=INFO"])))
    assert levels.of("botocore.auth", WARNING).level == INFO
    assert levels.refusals["r"].reason == "ceiling"
    assert "INFO" in levels.refusals["r"].text


def test_f17_a_rule_that_would_live_longer_than_this_node_allows_is_not_followed_at_all():
    hour = 3600 * 10**9
    policy = Policy(longest_ns=hour)
    for long in (rule("r", expires_ns=hour + 2, created_ns=1), rule("r", expires_ns=0)):
        assert level([long], "orders", policy=policy) == INFO
        assert Levels((long,), HERE, policy).refusals["r"].reason == "longest"
    assert level([rule("r", expires_ns=hour + 1, created_ns=1)], "orders", policy=policy) == DEBUG
    assert refusal(rule("r"), Policy()) is None


def test_cp13_a_node_that_takes_no_levels_from_others_keeps_its_own():
    levels = Levels((rule("r"), rule("cap", kind="cap", level=CRITICAL)), HERE, Policy(applies=False))
    assert levels.of("orders", INFO) == Effective(INFO, (Step("base", INFO),))
    assert {refused.reason for refused in levels.refusals.values()} == {"role"}


def test_cp13_a_cap_makes_nothing_more_verbose_and_so_has_no_ceiling():
    assert refusal(rule("r", kind="cap", level=DEBUG), Policy(ceilings(["ERROR"]))) is None


def test_a_rule_that_does_not_mean_this_worker_is_neither_followed_nor_refused():
    levels = Levels((rule("r", selector=Selector(node=("elsewhere",))),), HERE, Policy(applies=False))
    assert levels.of("orders", INFO).level == INFO
    assert not levels.mine
    assert not levels.refusals


def test_cp24_explain_shows_base_each_rule_that_speaks_of_it_in_the_order_applied_caps_and_ceiling():
    rules = (
        rule("wide", "", ERROR),
        rule("narrow", "orders.stock", DEBUG),
        rule("cap", "orders", INFO, kind="cap"),
        rule("other", "payments"),
    )
    found = Levels(rules, HERE, Policy(ceilings(["orders=WARNING"]))).of("orders.stock", CRITICAL)
    assert found.steps == (
        Step("base", CRITICAL),
        Step("rule", ERROR, "wide"),
        Step("rule", DEBUG, "narrow"),
        Step("cap", INFO, "cap"),
        Step("ceiling", WARNING),
    )


@pytest.mark.parametrize("words", [["LOUD"], ["orders=DEBUGG"], ["=x"], [".orders=INFO"], [""], ["orders=10"]])
def test_f17_a_ceiling_of_an_unknown_level_or_logger_is_an_error_and_never_debug(words):
    with pytest.raises(ValueError, match=r"one of DEBUG|a logger such as"):
        ceilings(words)


@given(RULES, LOGGERS, BASES, st.none() | st.from_type(RequestFacts), CEILINGS)
@settings(max_examples=50)
def test_cp24_the_level_is_what_the_written_order_says(rules, logger, base, request_, found):
    """An oracle that sorts and folds what the rules of the design say, and knows nothing of how it is done."""

    def counts(rule: Rule) -> bool:
        about = rule.predicate is None or (request_ is not None and asked(rule.predicate, request_))
        return about and meant(rule.selector, HERE) and below(logger, rule.logger)

    matching = [rule for rule in rules if counts(rule)]
    sets = [rule for rule in matching if rule.kind == "set"]
    caps = [rule.level for rule in matching if rule.kind == "cap"]

    def rank(rule: Rule) -> tuple[object, ...]:
        about = rule.predicate is not None
        return (about, len(rule.logger), specificity(rule.selector), rule.rev, rule.id)

    wanted = max([max(sets, key=rank).level if sets else base, *caps])
    over = [(len(name), level) for name, level in found if below(logger, name)]
    ceiling = max(over)[1] if over else DEBUG
    levels = Levels(tuple(rules), HERE, Policy(tuple(found)))
    assert levels.of(logger, base, request_).level == max(wanted, min(base, ceiling))


@given(RULES, LOGGERS, BASES, st.randoms())
@settings(max_examples=40)
def test_the_order_in_which_rules_stand_in_the_document_changes_nothing(rules, logger, base, random):
    shuffled = list(rules)
    random.shuffle(shuffled)
    assert Levels(tuple(shuffled), HERE).of(logger, base) == Levels(tuple(rules), HERE).of(logger, base)


@given(RULES, st.from_type(Rule), LOGGERS, BASES)
@settings(max_examples=40)
def test_cp12_taking_a_rule_back_restores_what_was_before_whatever_came_after_it(rules, extra, logger, base):
    without = [rule for rule in rules if rule.id != extra.id]
    with_it = Levels((*without, extra), HERE)
    left = Levels(tuple(rule for rule in with_it.rules if rule.id != extra.id), HERE)
    assert left.of(logger, base) == Levels(tuple(without), HERE).of(logger, base)


@given(LOGGERS, BASES, CEILINGS)
@settings(max_examples=40)
def test_cp12_without_rules_every_logger_has_exactly_the_level_the_application_gave_it(logger, base, found):
    assert Levels((), HERE, Policy(tuple(found))).of(logger, base) == Effective(base, (Step("base", base),))


@given(RULES, LOGGERS, BASES, CEILINGS)
@settings(max_examples=40)
def test_cp09_the_steps_end_at_the_level_in_force_and_each_names_the_rule_it_is_by(rules, logger, base, found):
    effective = Levels(tuple(rules), HERE, Policy(tuple(found))).of(logger, base)
    assert effective.steps[0] == Step("base", base)
    assert effective.steps[-1].level == effective.level
    order = ["base", "rule", "cap", "ceiling"]
    sources = [order.index(step.source) for step in effective.steps]
    assert sources == sorted(sources)
    known = {rule.id for rule in rules}
    assert all((step.rule in known) == (step.source in ("rule", "cap")) for step in effective.steps)


@given(RULES, LOGGERS, st.sampled_from([INFO, WARNING, ERROR]), CEILINGS)
@settings(max_examples=40)
def test_i2_no_rule_makes_a_logger_more_verbose_than_its_ceiling(rules, logger, base, found):
    policy = Policy(tuple(found))
    assert Levels(tuple(rules), HERE, policy).of(logger, base).level >= min(base, policy.ceiling(logger))


@given(RULES, BASES, CEILINGS)
@settings(max_examples=40)
def test_a_logger_that_is_not_named_has_the_level_that_its_nearest_named_one_makes_of_the_same_base(rules, base, found):
    levels = Levels(tuple(rules), HERE, Policy(tuple(found)))
    for logger in ("orders.stock.db.cursor", "orders.other", "payments.x", "ordersx"):
        named = next((name for name in lineage(logger) if name in levels.loggers()), None)
        expected = levels.of(named, base).level if named is not None else base
        assert levels.of(logger, base).level == expected


def test_rules_about_requests_alone_leave_every_logger_as_it_is():
    about = rule("r", "orders", predicate=Predicate(user="u"))
    levels = Levels((about, replace(about, id="s", rev=2)), HERE, Policy(ceilings(["orders=INFO"])))
    assert levels.loggers() == frozenset()
    assert [each.id for each in levels.for_requests()] == ["r", "s"]
    assert levels.of("orders", WARNING, RequestFacts(user="u")).level == INFO
