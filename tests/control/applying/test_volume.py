"""CP-23: a rule that makes a process say too much is tripped, says so, and the base is back."""

import logging

from clusterlog.context import request as context
from clusterlog.context.request import Request
from clusterlog.control.applying import levels as module
from clusterlog.control.applying.levels import InForce
from clusterlog.control.applying.volume import Volume
from clusterlog.control.rules.effective import Levels
from clusterlog.control.rules.rule import Limits, Predicate, Rule
from clusterlog.record.logger import get_logger
from clusterlog.record.slot import slot
from clusterlog.record.stdlib import RecordHandler

LOW, INFO = logging.DEBUG, logging.INFO


def test_debug_on_a_hot_logger_trips_the_rule_and_restores_the_base_cp_23_f27(road):
    logging.root.setLevel(INFO)
    told = []
    in_force = InForce(on_trip=lambda rule, reason: told.append((rule, reason)))
    log = get_logger("hot")
    try:
        in_force.apply(Levels((Rule("r", "hot", LOW, limits=Limits(lines=100)),)))
        for n in range(1000):
            log.debug(f"line {n}")
            log.info("what it always says")
        assert [word for word in road.words if word != "what it always says"] == [f"line {n}" for n in range(100)]
        assert road.words.count("what it always says") == 1000
        assert told == [("r", "more than 100 lines")]
        held = in_force.report().rules["r"]
        assert (held.state, held.reason) == ("tripped", "more than 100 lines")
        assert logging.getLogger("hot").level == logging.NOTSET
        assert slot.road is road, "no guard where nothing is to be watched"
    finally:
        in_force.restore()


def test_lines_of_a_second_are_counted_by_the_second_for_standard_loggers_as_well(in_force, road):
    logging.root.setLevel(INFO)
    logging.root.addHandler(RecordHandler())
    in_force.apply(Levels((Rule("r", "hot", LOW, limits=Limits(lines_per_s=10)),)))
    now = [5.0]
    slot.road._clock = lambda: now[0]
    log = logging.getLogger("hot")
    for _ in range(10):
        log.debug("first second")
    now[0] = 6.0
    for _ in range(20):
        log.debug("second second")
    assert (road.words.count("first second"), road.words.count("second second")) == (10, 10)
    assert in_force.report().rules["r"].reason == "more than 10 lines a second"


def test_lines_of_another_rule_and_of_nobodys_are_not_its_own(in_force, road):
    logging.root.setLevel(INFO)
    in_force.apply(Levels((Rule("r", "a", LOW, limits=Limits(lines=1)), Rule("s", "b", LOW))))
    for _ in range(5):
        get_logger("b").debug("b")
        get_logger("a").warning("a")
    get_logger("a").debug("a's")
    assert road.words.count("b") == road.words.count("a") == 5
    assert in_force.report().rules["r"].state == "applied"


def test_what_is_spent_stays_spent_when_another_rule_comes(in_force, road):
    logging.root.setLevel(INFO)
    rule = Rule("r", "a", LOW, limits=Limits(lines=4))
    in_force.apply(Levels((rule,)))
    get_logger("a").debug("one")
    get_logger("a").debug("two")
    in_force.apply(Levels((rule, Rule("s", "b", LOW))))
    for _ in range(5):
        get_logger("a").debug("more")
    assert road.words == ["one", "two", "more", "more"]


def test_a_rule_about_requests_is_tripped_as_a_whole(in_force, road):
    logging.root.setLevel(INFO)
    in_force.apply(
        Levels((Rule("r", "a", LOW, predicate=Predicate(tenant="acme"), limits=Limits(lines=3)),)),
    )
    for n in range(3):
        context.enter(Request(f"request-{n}", "ab" * 16, "cd" * 8), tenant="acme")
        get_logger("a").debug(f"{n} first")
        get_logger("a").debug(f"{n} second")
    assert road.words == ["0 first", "0 second", "1 first"]
    assert in_force.report().rules["r"].state == "tripped"


def test_while_loggings_own_lock_is_held_by_somebody_the_line_waits_for_nobody(in_force, road, monkeypatch):
    logging.root.setLevel(INFO)
    logging.getLogger("a")
    in_force.apply(Levels((Rule("r", "a", LOW, limits=Limits(lines=1)),)))

    class Held:
        def acquire(self, blocking=True):
            assert not blocking
            return False

    with monkeypatch.context() as patch:
        patch.setattr(module, "_lock", Held)
        for _ in range(3):
            get_logger("a").debug("line")
    assert road.words == ["line"]
    assert logging.getLogger("a").level == LOW, "not yet"
    in_force.drifted()
    assert logging.getLogger("a").level == logging.NOTSET
    assert in_force.report().rules["r"].state == "tripped"


def test_a_road_that_comes_later_is_guarded_at_the_next_look(in_force, road):
    slot.road = None
    in_force.apply(Levels((Rule("r", "a", LOW, limits=Limits(lines=1)),)))
    assert slot.road is None
    slot.road = road
    in_force.drifted()
    assert isinstance(slot.road, Volume)
