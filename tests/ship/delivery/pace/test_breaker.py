"""Back-off waits at random up to a bound that doubles, and a breaker lets only a probe through."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.ship.delivery.pace.breaker import (
    FIRST_S,
    LAST_S,
    LONG_S,
    MOST_ASKED_S,
    OPEN_AFTER,
    Breaker,
    long_pause,
    pause,
)

chances = st.floats(0, 1, exclude_max=True)


@given(st.integers(0, 40), chances)
def test_a_wait_never_exceeds_its_bound_and_the_bound_doubles_up_to_a_minute(failures, chance):
    assert 0 <= pause(failures, chance) <= min(LAST_S, FIRST_S * 2**failures)


@given(st.floats(0, 1e12), chances, st.integers(0, 40))
def test_a_server_that_names_a_time_is_not_asked_earlier_but_believed_only_up_to_an_hour(asked, chance, failures):
    waited = pause(failures, chance, asked)
    assert min(asked, MOST_ASKED_S) <= waited <= min(asked, MOST_ASKED_S) + FIRST_S


def test_a_time_that_has_passed_is_no_reason_to_wait_less_than_nothing():
    assert pause(0, 0.0, -5.0) == 0.0


@given(chances)
def test_a_pause_for_a_person_is_long(chance):
    assert LONG_S <= long_pause(chance) <= LAST_S


def fail(breaker, now, chance=0.5):
    breaker.failed(breaker.attempt(now), now, chance)


def test_five_failures_in_a_row_open_it_and_one_success_closes_it():
    breaker, now = Breaker(), 0.0
    for _ in range(OPEN_AFTER):
        assert breaker.state(now) == "closed"
        now = breaker.due
        fail(breaker, now)
    assert breaker.state(now) == "open" and not breaker.may(now)
    assert breaker.state(breaker.due) == "half-open" and breaker.may(breaker.due)
    breaker.worked()
    assert breaker.state(now) == "closed" and breaker.may(0.0) and breaker.rounds == 0


def test_half_open_it_lets_one_attempt_through_and_then_nothing_until_its_answer():
    breaker = Breaker()
    for _ in range(OPEN_AFTER):
        fail(breaker, breaker.due)
    now = breaker.due
    probe = breaker.attempt(now)
    assert not breaker.may(now) and not breaker.may(now + 1000)
    breaker.failed(probe, now, 0.5)
    assert breaker.state(now) == "open" and breaker.due > now
    assert breaker.may(breaker.due)


def test_what_fails_together_opens_it_and_makes_it_wait_only_once():
    breaker = Breaker()
    numbers = [breaker.attempt(0.0) for _ in range(8)]
    for number in numbers:
        breaker.failed(number, 0.0, 0.999)
    assert breaker.failures == 8 and breaker.rounds == 1
    assert breaker.due <= FIRST_S


def test_late_answers_to_what_was_sent_before_it_opened_do_not_end_the_probing():
    breaker = Breaker()
    late = [breaker.attempt(0.0) for _ in range(8)]
    for number in late[:-1]:
        breaker.failed(number, 0.0, 0.5)
    now = breaker.due
    breaker.attempt(now)
    breaker.failed(late[-1], now, 0.5)
    assert not breaker.may(now + 1000)


def test_being_busy_never_opens_it_and_waits_longer_each_time():
    breaker, now, dues = Breaker(), 0.0, []
    for _ in range(20):
        breaker.busy(breaker.attempt(now), now, 0.9)
        assert breaker.state(now) == "closed"
        dues.append(breaker.due - now)
        now = breaker.due
    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(dues))
    assert dues[-1] == pytest.approx(LAST_S * 0.9)


def test_a_server_that_is_busy_and_answers_is_not_one_that_is_away():
    breaker = Breaker()
    for _ in range(OPEN_AFTER - 1):
        fail(breaker, breaker.due)
    breaker.busy(breaker.attempt(breaker.due), breaker.due, 0.5)
    fail(breaker, breaker.due)
    assert breaker.state(breaker.due) == "closed"


def test_what_a_person_must_mend_opens_it_at_once_and_for_long():
    breaker = Breaker()
    breaker.trip(breaker.attempt(7.0), 7.0, 0.0)
    assert breaker.state(7.0) == "open"
    assert breaker.due == 7.0 + LONG_S
    assert breaker.state(breaker.due) == "half-open"
    breaker.worked()
    assert breaker.state(7.0) == "closed"


@given(
    st.lists(st.tuples(st.sampled_from(["worked", "failed", "busy", "trip"]), chances, st.floats(0, 100)), max_size=60)
)
def test_whatever_happens_the_next_attempt_is_due_some_time_and_success_closes(steps):
    breaker, now = Breaker(), 0.0
    for what, chance, passed in steps:
        now += passed
        if not breaker.may(now):
            continue
        number = breaker.attempt(now)
        if what == "worked":
            breaker.worked()
            assert breaker.state(now) == "closed" and breaker.may(now)
        else:
            getattr(breaker, what)(number, now, chance)
            assert breaker.due <= now + LAST_S + FIRST_S
        assert breaker.may(max(now, breaker.due))
