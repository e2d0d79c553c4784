"""Rules in force on loggers: one swap, real levels, and the application's own levels never lost."""

import logging
import logging.config
import sys
import threading
from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.control.applying.levels import InForce, Ruled
from clusterlog.control.rules.effective import Levels, Policy
from clusterlog.control.rules.rule import Predicate, Rule
from clusterlog.integrations.launch import tap
from clusterlog.record.logger import BoundLogger, get_logger
from clusterlog.record.stdlib import RecordHandler

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR


def rules(*given):
    return Levels(tuple(given))


def every_level():
    found = {"": logging.root.level}
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger):
            found[name] = logger.level
    return found


def test_a_rule_means_its_logger_and_all_below_it_on_dot_boundaries_cp_03(in_force):
    logging.root.setLevel(INFO)
    own, below, deaf, beside = map(logging.getLogger, ("foo", "foo.a", "foo.deaf", "foobar"))
    deaf.setLevel(ERROR)
    in_force.apply(rules(Rule("r", "foo", DEBUG)))
    assert [each.getEffectiveLevel() for each in (own, below, deaf, beside)] == [DEBUG, DEBUG, DEBUG, INFO]
    assert below.level == logging.NOTSET, "what inherits goes on inheriting"


def test_standard_and_native_loggers_hear_the_same_rule_at_once(in_force, road):
    logging.root.setLevel(INFO)
    logging.root.addHandler(RecordHandler())
    standard, native = logging.getLogger("shop.db"), get_logger("shop.db")
    standard.debug("before")
    native.debug("before")
    in_force.apply(rules(Rule("r", "shop", DEBUG)))
    standard.debug("standard")
    native.debug("native")
    in_force.restore()
    standard.debug("after")
    native.debug("after")
    assert road.words == ["standard", "native"]


def test_the_end_of_all_rules_leaves_exactly_the_base_levels_cp_12_i6(in_force):
    logging.root.setLevel(WARNING)
    for name, level in (("a", DEBUG), ("a.b", ERROR), ("a.b.c", logging.NOTSET), ("d", logging.NOTSET)):
        logging.getLogger(name).setLevel(level)
    handler = logging.StreamHandler()
    handler.setLevel(ERROR)
    logging.getLogger("a").addHandler(handler)
    before = every_level()
    in_force.apply(rules(Rule("1", "", DEBUG), Rule("2", "a.b", INFO), Rule("3", "a", WARNING, kind="cap")))
    in_force.apply(rules(Rule("4", "a.b.c", DEBUG), Rule("3", "a", WARNING, kind="cap")))
    logging.getLogger("a.b.made.meanwhile")
    in_force.restore()
    after = every_level()
    assert {name: after[name] for name in before} == before
    assert after["a.b.made.meanwhile"] == logging.NOTSET
    assert not any(type(level) is Ruled for level in after.values())
    assert handler.level == ERROR


NAMES = ("", "a", "a.b", "a.b.c", "ab", "d.e")
LEVELS = (logging.NOTSET, DEBUG, INFO, WARNING, ERROR)
one_rule = st.builds(
    Rule,
    id=st.uuids().map(str),
    logger=st.sampled_from(NAMES),
    level=st.sampled_from(LEVELS[1:]),
    kind=st.sampled_from(("set", "cap")),
    rev=st.integers(1, 9),
)
acts = st.one_of(
    st.tuples(st.just("apply"), st.lists(one_rule, max_size=4)),
    st.tuples(st.just("make"), st.sampled_from(NAMES[1:])),
    st.tuples(st.just("setLevel"), st.tuples(st.sampled_from(NAMES[1:]), st.sampled_from(LEVELS))),
    st.tuples(st.just("assign"), st.tuples(st.sampled_from(NAMES[1:]), st.sampled_from(LEVELS))),
    st.tuples(st.just("look"), st.none()),
)
fresh = count()


@given(st.lists(acts, max_size=12))
def test_whatever_rules_and_application_do_each_level_is_the_rules_over_the_applications_own_f23_i6(steps):
    top, in_force, own, present = f"fresh{next(fresh)}", InForce(), {}, Levels()

    def placed(name):
        return f"{top}.{name}" if name else ""

    root, unseen = logging.root.level, False
    try:
        for act, what in steps:
            if act == "apply":
                present = Levels(tuple(replace(rule, logger=placed(rule.logger)) for rule in what))
                in_force.apply(present)
            elif act == "look":
                in_force.drifted()
            elif act == "make":
                own.setdefault(placed(what), logging.getLogger(placed(what)) and logging.NOTSET)
            else:
                logger = logging.getLogger(placed(what[0]))
                own[logger.name] = what[1]
                if act == "setLevel":
                    logger.setLevel(what[1])
                else:
                    logger.level = what[1]
                    logging.root.manager._clear_cache()
            unseen = act == "assign" or (unseen and act not in ("apply", "look"))
            if not unseen:
                assert_in_force(own, root, present)
        in_force.drifted()
        assert_in_force(own, root, present)
        in_force.restore()
        assert {name: logging.getLogger(name).level for name in own} == own
        assert logging.root.level == root
    finally:
        in_force.restore()


def assert_in_force(own, root, present):
    """Each logger has the level that the rules make of the one the application gave it, or those above it."""
    for name in own:
        above = [name.rsplit(".", depth)[0] for depth in range(name.count(".") + 1)]
        base = next((own[each] for each in above if own.get(each)), root)
        logger = logging.getLogger(name)
        assert logger.getEffectiveLevel() == present.of(name, base).level, name
        assert logger.isEnabledFor(DEBUG) == (present.of(name, base).level <= DEBUG)


def test_a_level_that_the_application_sets_during_a_rule_is_its_base_from_then_on_f23(in_force):
    logging.root.setLevel(INFO)
    logger = logging.getLogger("orders")
    in_force.apply(rules(Rule("r", "orders", DEBUG)))
    logger.setLevel(ERROR)
    assert logger.isEnabledFor(DEBUG), "the rule holds without anybody looking"
    assert in_force.drifted() == {"orders": ERROR}
    assert in_force.drifted() == {}
    in_force.restore()
    assert logger.level == ERROR


def test_a_configuration_that_comes_after_the_rule_does_not_end_it_and_is_there_afterwards_f23(in_force):
    logging.root.setLevel(INFO)
    old = logging.getLogger("orders.old")
    in_force.apply(rules(Rule("r", "orders", DEBUG)))
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": True, "loggers": {"orders.stock": {"level": "WARNING"}}}
    )
    stock = logging.getLogger("orders.stock")
    assert stock.isEnabledFor(DEBUG)
    assert old.disabled
    in_force.restore()
    assert (stock.level, old.level, logging.getLogger("orders").level) == (WARNING, 0, 0)


def test_a_logger_made_during_a_rule_has_its_level_before_its_first_line(in_force):
    logging.root.setLevel(INFO)
    in_force.apply(rules(Rule("r", "not.there.yet", DEBUG)))
    assert "not.there.yet" not in logging.root.manager.loggerDict, "a rule makes no logger: its class is not ours"
    assert in_force.report().rules["r"].reason == "no logger not.there.yet here yet"
    assert in_force.report().loggers["not.there.yet"] == DEBUG
    made = logging.getLogger("not.there.yet")
    assert made.isEnabledFor(DEBUG)
    in_force.restore()
    assert made.level == logging.NOTSET


def test_a_logger_made_between_the_one_a_rule_names_and_those_below_it_changes_nothing_but_who_holds_the_level(
    in_force,
):
    logging.root.setLevel(INFO)
    below = logging.getLogger("between.db")
    in_force.apply(rules(Rule("r", "between", DEBUG)))
    assert (below.level, below.isEnabledFor(DEBUG)) == (DEBUG, True)
    made = logging.getLogger("between")
    assert (made.level, below.level, below.isEnabledFor(DEBUG)) == (DEBUG, logging.NOTSET, True)
    in_force.restore()
    assert (made.level, below.level, below.isEnabledFor(DEBUG)) == (logging.NOTSET, logging.NOTSET, False)


def test_a_program_that_makes_its_loggers_while_rules_are_in_force_pays_nothing_for_those_no_rule_names(
    in_force, monkeypatch
):
    logging.root.setLevel(INFO)
    logging.getLogger("many")
    in_force.apply(rules(Rule("r", "", DEBUG), Rule("s", "many", DEBUG)))
    looked = []
    monkeypatch.setattr(in_force, "_swap", lambda within="": looked.append(within))
    assert all(logging.getLogger(f"many.l{n}").isEnabledFor(DEBUG) for n in range(100))
    assert looked == []


def test_a_level_that_somebody_kept_during_a_rule_and_puts_back_after_it_is_the_base(in_force):
    logging.root.setLevel(INFO)
    logger = logging.getLogger("kept")
    in_force.apply(rules(Rule("r", "kept", DEBUG)))
    kept = logger.level
    in_force.restore()
    logger.setLevel(kept)
    in_force.drifted()
    assert logger.level == logging.NOTSET
    assert type(logger.level) is int


def test_the_library_is_left_as_it_was_without_rules(in_force):
    before = logging.Logger.setLevel, logging.Manager._fixupParents
    in_force.apply(rules(Rule("r", "a", DEBUG)))
    assert logging.Logger.setLevel is not before[0]
    in_force.restore()
    assert (logging.Logger.setLevel, logging.Manager._fixupParents) == before


def test_no_line_is_judged_by_half_of_a_change(in_force):
    logging.root.setLevel(INFO)
    loggers = [logging.getLogger(f"half.l{n}") for n in range(300)]
    one, other = rules(Rule("r", "half", DEBUG)), rules(*(Rule(f"r{n}", f"half.l{n}", ERROR) for n in range(100)))
    stop, seen = threading.Event(), set()

    def look():
        while not stop.is_set():
            with logging._lock:
                seen.add(tuple(each.isEnabledFor(INFO) for each in loggers[:100]))

    thread = threading.Thread(target=look)
    pace, _ = sys.getswitchinterval(), sys.setswitchinterval(1e-5)
    thread.start()
    try:
        for _ in range(30):
            in_force.apply(one)
            in_force.apply(other)
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(pace)
    assert seen <= {(True,) * 100, (False,) * 100}


class TestReport:
    """CP-09: what is really in force, and what blocks it."""

    def test_tells_the_level_in_force_of_root_and_of_each_ruled_logger_cp_09(self, in_force, road):
        logging.root.setLevel(INFO)
        in_force.apply(rules(Rule("r", "orders.stock", DEBUG)))
        report = in_force.report()
        assert (report.level, report.loggers["orders.stock"]) == (INFO, DEBUG), "what it will have once it is made"
        logging.getLogger("orders.stock")
        assert in_force.report().loggers["orders.stock"] == DEBUG
        assert in_force.report().rules["r"].state == "applied"

    def test_a_rule_whose_level_holds_is_applied_also_where_a_cap_agrees_with_it(self, in_force, road):
        in_force.apply(rules(Rule("r", "orders", DEBUG), Rule("c", "orders", DEBUG, "cap")))
        assert {each.state for each in in_force.report().rules.values()} == {"applied"}

    def test_tells_what_the_application_configured_as_well(self, in_force):
        logging.getLogger("orders.cart").setLevel(WARNING)
        assert in_force.report().loggers["orders.cart"] == WARNING

    def blocked(self, in_force):
        in_force.apply(rules(Rule("r", "orders", DEBUG)))
        held = in_force.report().rules["r"]
        return held.state, held.reason

    def test_a_handler_of_ours_that_takes_less_is_no_effect_cp_09(self, in_force, road):
        handler = RecordHandler()
        handler.setLevel(INFO)
        logging.root.addHandler(handler)
        assert self.blocked(in_force) == ("no-effect", "the handler of clusterlog takes INFO and above")

    def test_a_disabled_logger_is_no_effect_cp_09(self, in_force, road):
        logging.getLogger("orders").disabled = True
        state, reason = self.blocked(in_force)
        assert (state, reason.split(",")[0]) == ("no-effect", "logger orders is disabled")

    def test_logging_disable_is_no_effect_cp_09_f23(self, in_force, road):
        logging.disable(INFO)
        assert self.blocked(in_force) == ("no-effect", "logging.disable(INFO) is in force")

    def test_a_logger_that_keeps_its_records_to_itself_is_no_effect(self, in_force, road):
        logging.root.addHandler(RecordHandler())
        logging.getLogger("orders").propagate = False
        assert self.blocked(in_force)[0] == "no-effect"

    def test_handlers_that_the_application_has_removed_are_told_of_f23(self, in_force, road):
        logging.root.addHandler(RecordHandler())
        logging.getLogger("orders")
        assert self.blocked(in_force) == ("applied", "")
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"handlers": []}})
        assert self.blocked(in_force) == (
            "applied",
            "no handler of clusterlog hears logger orders: native lines alone arrive",
        )

    def test_a_filter_and_somebody_elses_handler_do_not_speak_against_it(self, in_force, road):
        logging.root.addHandler(RecordHandler())
        other = logging.StreamHandler()
        other.setLevel(ERROR)
        logging.root.addHandler(other)
        logging.getLogger("orders").addFilter(lambda record: True)
        assert self.blocked(in_force) == ("applied", "")

    def test_a_process_without_a_road_and_without_handlers_says_so(self, in_force):
        logging.root.handlers.clear()
        assert self.blocked(in_force) == ("no-effect", "clusterlog was not started in this process")

    def test_a_rule_that_another_one_overrules_has_no_effect(self, in_force, road):
        logging.getLogger("a.b")
        in_force.apply(rules(Rule("1", "a", DEBUG, rev=1), Rule("2", "a", WARNING, rev=2)))
        found = in_force.report().rules
        assert (found["1"].state, found["1"].reason) == ("no-effect", "rule 2 decides the level of a")
        assert found["2"].state == "applied"

    def test_a_rule_above_the_ceiling_goes_as_far_as_it_may_and_says_so(self, in_force, road):
        logging.root.setLevel(WARNING)
        logging.getLogger("a")
        in_force.apply(Levels((Rule("r", "a", DEBUG),), policy=Policy((("", INFO),))))
        held = in_force.report().rules["r"]
        assert (held.state, logging.getLogger("a").getEffectiveLevel()) == ("applied", INFO)
        assert "INFO is the most verbose level" in held.reason

    def test_a_rule_that_this_node_refuses_is_rejected_and_not_in_force(self, in_force, road):
        logging.root.setLevel(INFO)
        in_force.apply(Levels((Rule("r", "", DEBUG),), policy=Policy(applies=False)))
        assert in_force.report().rules["r"].state == "rejected"
        assert logging.root.level == INFO

    def test_a_tripped_rule_is_not_in_force_until_the_document_forgets_it(self, in_force, road):
        logging.root.setLevel(INFO)
        given = rules(Rule("r", "", DEBUG))
        in_force.apply(given)
        in_force.trip("r", "100 lines a second")
        assert logging.root.level == INFO
        in_force.apply(given)
        assert logging.root.level == INFO, "applied again it is still tripped"
        held = in_force.report().rules["r"]
        assert (held.state, held.reason) == ("tripped", "100 lines a second")
        in_force.apply(rules())
        in_force.apply(given)
        assert logging.root.level == DEBUG

    def test_a_rule_about_requests_changes_no_logger(self, in_force, road):
        logging.root.setLevel(INFO)
        in_force.apply(rules(Rule("r", "", DEBUG, predicate=Predicate(request="x"))))
        assert logging.root.level == INFO
        assert in_force.report().rules["r"].state == "applied"


def test_a_native_logger_made_before_reads_what_is_in_force(in_force):
    logging.root.setLevel(INFO)
    native = get_logger("early")
    assert isinstance(native, BoundLogger)
    assert not native.isEnabledFor(DEBUG)
    in_force.apply(rules(Rule("r", "early", DEBUG)))
    assert native.isEnabledFor(DEBUG)
    assert native.getEffectiveLevel() == DEBUG


def test_under_run_the_programs_own_console_shows_nothing_that_only_a_rule_lets_through(in_force):
    logger = logging.getLogger("orders.console")
    logging.root.setLevel(tap.Lowered(INFO))
    in_force.apply(rules(Rule("r", "orders", DEBUG), Rule("s", "", DEBUG)))
    assert logger.isEnabledFor(DEBUG)
    assert tap._level_without_us(logger) == tap.CONSOLE
    logging.getLogger("orders").setLevel(ERROR)
    assert tap._level_without_us(logger) == ERROR
    in_force.restore()
    assert type(logging.root.level) is tap.Lowered
