from __future__ import annotations

from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.cli.demo.plan import SHOPS, USERS, endless, plan

seeds = st.integers(-(2**40), 2**40)


@given(st.integers(1, 400), seeds)
def test_equal_seeds_make_equal_requests(requests, seed):
    assert plan(requests, seed) == plan(requests, seed)


@given(st.integers(20, 400), seeds)
def test_from_twenty_requests_on_every_outcome_occurs_and_half_of_them_cross_nodes(requests, seed):
    made = plan(requests, seed)
    assert len(made) == requests
    assert {each.outcome for each in made} == {"ok", "failed", "slow"}
    assert sum(each.path != "/catalog" for each in made) >= requests / 2


@given(st.integers(1, 19), seeds)
def test_a_few_requests_are_as_many_and_one_of_them_fails(requests, seed):
    made = plan(requests, seed)
    assert len(made) == requests
    assert any(each.outcome == "failed" for each in made)


def test_different_seeds_make_different_requests():
    assert plan(20, 1) != plan(20, 2)


def test_the_shops_take_turns_and_all_users_come():
    made = plan(200, 7)
    assert Counter(each.shop for each in made) == dict.fromkeys(SHOPS, 100)
    assert {each.user for each in made} == set(USERS)


def test_kept_traffic_goes_on_where_the_plan_ends_and_repeats_no_ticket():
    made = plan(30, 7) + list(islice(endless(7, 30), 100))
    assert [each.ticket for each in made] == [str(number) for number in range(130)]
    assert {each.outcome for each in made[30:]} == {"ok", "failed", "slow"}
