"""When rules end, whatever happens to clocks and connections: CP-06 and the failures F06–F09."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.control.rules.expiry import Deadlines, Saved, boot_id, boot_ns, deadline_boot_ns
from clusterlog.control.rules.rule import Rule

S = 10**9
TIMES = st.integers(0, 10**6).map(lambda seconds: seconds * S)


def rule(id_: str = "r", life_s: int = 60, created_s: int = 1000) -> Rule:
    expires = (created_s + life_s) * S if life_s else 0
    return Rule(id_, "orders", 10, created_ns=created_s * S, expires_ns=expires)


def armed(*rules: Rule, now_s: int = 1000, boot_s: int = 50, boot: str = "boot-a") -> Deadlines:
    return Deadlines(boot).armed(rules, now_s * S, boot_s * S)


def test_cp06_a_deadline_is_what_is_left_by_the_bus_on_a_clock_of_this_machine():
    assert deadline_boot_ns(rule(life_s=60), 1020 * S, 50 * S) == 90 * S
    assert deadline_boot_ns(rule(life_s=0), 1020 * S, 50 * S) is None


@given(TIMES, TIMES, st.integers(1, 1000), TIMES, st.integers(0, 1000))
@settings(max_examples=50)
def test_i2_a_rule_ends_at_the_latest_one_life_after_it_came_whatever_the_bus_says_its_time_is(
    created, bus_now, life_s, boot, longest_s
):
    made = Rule("r", "", 10, created_ns=created, expires_ns=created + life_s * S)
    deadline = deadline_boot_ns(made, bus_now, boot, longest_s * S)
    assert deadline is not None
    assert deadline <= boot + life_s * S
    assert deadline <= boot + longest_s * S or not longest_s
    if bus_now >= created and not longest_s:
        assert deadline - boot == made.expires_ns - bus_now


def test_cp13_the_longest_life_of_this_node_ends_even_a_rule_that_stays():
    assert deadline_boot_ns(rule(life_s=0), 1000 * S, 50 * S, 10 * S) == 60 * S


def test_f07_a_deadline_that_was_made_is_never_moved_by_what_the_bus_says_later():
    first = armed(rule())
    for jumped in (1000 - 86400, 1000 + 3600, 1030):
        again = first.armed([rule()], jumped * S, 70 * S)
        assert again.by_rule == {"r": 110 * S}


def test_a_rule_of_the_same_id_never_starts_its_life_anew_while_it_is_there():
    first = armed(rule(life_s=60))
    longer = first.armed([rule(life_s=600)], 1001 * S, 51 * S)
    assert longer.by_rule == first.by_rule


def test_i2_the_first_end_of_rules_in_force_is_found_also_when_it_passed_a_moment_ago():
    """Else of two rules that end one after the other, the second would never end: nobody would look at it again."""
    deadlines = armed(rule("a", 10), rule("b", 20))
    assert deadlines.first([rule("b", 20), rule("a", 10)]) == 60 * S
    assert deadlines.first([rule("b", 20)]) == 70 * S
    assert deadlines.first([rule("unknown")]) == 0
    assert deadlines.first([]) is None


def test_a_rule_that_was_taken_back_leaves_no_deadline():
    assert armed(rule("a"), rule("b")).armed([rule("b")], 1000 * S, 50 * S).by_rule.keys() == {"b"}


def test_f09_a_rule_ends_while_nobody_reaches_the_bus_and_those_that_stay_stay():
    both = [rule("timed"), rule("stays", life_s=0)]
    deadlines = armed(*both)
    assert [each.id for each in deadlines.in_force(both, 110 * S - 1)] == ["timed", "stays"]
    assert [each.id for each in deadlines.in_force(both, 110 * S)] == ["stays"]
    assert deadlines.first(both) == 110 * S
    assert deadlines.first(both[1:]) is None
    assert not deadlines.ended(both[1], 10**18)


def test_a_rule_without_a_deadline_has_never_begun():
    assert Deadlines("boot-a").ended(rule(), 0)
    assert Deadlines("boot-a").in_force([rule()], 0) == ()


def test_f08_a_machine_that_slept_past_the_end_wakes_without_the_rule():
    """The boot clock goes on in its sleep, so that the first look at it ends the rule."""
    assert armed(rule()).in_force([rule()], (50 + 86400) * S) == ()


def saved(life_s: int = 60, at_boot_s: int = 70, at_wall_s: int = 5000) -> Saved:
    return Saved(armed(rule("r", life_s), rule("stays", 0)), at_boot_s * S, at_wall_s * S)


def test_cp06_after_a_restart_of_the_process_deadlines_are_exactly_what_they_were():
    resumed = saved().resumed("boot-a", 80 * S, 0)
    assert resumed.by_rule == {"r": 110 * S, "stays": None}


def test_f06_a_process_that_is_started_after_the_end_does_not_begin_with_the_rule():
    assert saved().resumed("boot-a", 111 * S, 5041 * S).in_force([rule()], 111 * S) == ()


def test_after_a_restart_of_the_machine_what_was_left_runs_on_by_the_wall_clock():
    resumed = saved().resumed("boot-b", 3 * S, 5010 * S)
    assert resumed == Deadlines("boot-b", {"r": (3 + 30) * S, "stays": None})
    assert saved().resumed("boot-b", 3 * S, 5041 * S).in_force([rule()], 3 * S) == ()


def test_f07_a_wall_clock_that_is_before_the_moment_of_saving_ends_every_rule_that_has_an_end():
    resumed = saved().resumed("boot-b", 3 * S, 4999 * S)
    assert resumed.in_force([rule(), rule("stays", 0)], 3 * S) == (rule("stays", 0),)


def test_a_machine_that_does_not_say_which_boot_it_is_in_is_taken_to_have_been_started_anew():
    before = Saved(Deadlines("", {"r": 110 * S}), 70 * S, 5000 * S)
    assert before.resumed("", 80 * S, 5010 * S).by_rule == {"r": 110 * S}
    assert before.resumed("", 80 * S, 4000 * S).in_force([rule()], 80 * S) == ()


def test_a_boot_clock_that_went_back_is_none_of_the_same_boot():
    assert saved().resumed("boot-a", 69 * S, 5010 * S).by_rule["r"] == (69 + 30) * S


@given(st.integers(1, 600), TIMES, TIMES, TIMES, TIMES, st.sampled_from(["boot-a", "boot-b", ""]))
@settings(max_examples=50)
def test_i2_no_restart_gives_a_rule_more_than_it_had_left_when_it_was_saved(
    life_s, at_boot, at_wall, now_boot, now_wall, boot
):
    deadlines = Deadlines("boot-a").armed([rule(life_s=life_s)], 1000 * S, at_boot)
    resumed = Saved(deadlines, at_boot, at_wall).resumed(boot, now_boot, now_wall)
    deadline = resumed.by_rule["r"]
    assert deadline is not None
    assert deadline - now_boot <= life_s * S
    assert resumed.boot == boot or boot == ""


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has such a clock")
def test_the_clock_of_deadlines_is_the_one_that_counts_sleep_and_that_nobody_sets():
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert before <= boot_ns() <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert boot_id() == boot_id()
