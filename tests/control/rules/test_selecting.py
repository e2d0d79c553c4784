"""Whom a rule means, and that it stays so: CP-02, CP-19."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.control.rules.rule import Member, Predicate, RequestFacts, Selector
from clusterlog.control.rules.selecting import asked, meant, share, some_of, specificity

HERE = Member("orders", "orders-1", "host-a", "apply", ("eu", "canary"), "1.4", 2)


@pytest.mark.parametrize(
    "selector",
    [
        Selector(),
        Selector(service=("orders",)),
        Selector(service=("shop", "orders")),
        Selector(node=("orders-1",)),
        Selector(node=("orders-*",)),
        Selector(node=("orders-[12]",)),
        Selector(host=("host-a",)),
        Selector(role=("apply",)),
        Selector(role=("canary",)),
        Selector(version=("1.4",)),
        Selector(worker=(1, 2)),
        Selector(percent=100),
        Selector(service=("orders",), node=("*-1",), role=("eu",), worker=(2,)),
    ],
)
def test_cp02_a_worker_is_meant_when_every_term_of_a_selector_holds_by_any_of_its_values(selector):
    assert meant(selector, HERE)


@pytest.mark.parametrize(
    "selector",
    [
        Selector(service=("order",)),
        Selector(service=("Orders",)),
        Selector(service=("*",)),
        Selector(node=("orders",)),
        Selector(node=("ORDERS-1",)),
        Selector(host=("host-*",)),
        Selector(role=("send",)),
        Selector(version=("1.*",)),
        Selector(worker=(1,)),
        Selector(percent=0),
        Selector(service=("orders",), node=("shop-*",)),
    ],
)
def test_cp02_one_term_that_does_not_hold_is_enough_not_to_be_meant(selector):
    assert not meant(selector, HERE)


def test_a_worker_whose_number_is_not_known_is_not_meant_by_a_rule_about_the_first_worker():
    assert not meant(Selector(worker=(1,)), Member("orders", "orders-1", "host-a"))


@given(st.text(), st.text(), st.floats(0, 100), st.floats(0, 100))
@settings(max_examples=50)
def test_cp19_who_is_meant_at_a_percentage_is_meant_at_every_higher_one(service, node, one, other):
    member = Member(service, node, "h")
    lower, higher = sorted([one, other])
    assert not meant(Selector(percent=lower), member) or meant(Selector(percent=higher), member)
    assert meant(Selector(percent=100), member)
    assert not meant(Selector(percent=0), member)


def test_cp19_a_percentage_takes_about_that_share_of_nodes_and_for_ever_the_same_ones():
    members = [Member("orders", f"orders-{number}", "h", number=number % 4) for number in range(10_000)]
    for percent in (1, 5, 20, 50):
        taken = sum(meant(Selector(percent=percent), member) for member in members)
        assert taken == pytest.approx(percent * 100, rel=0.2)
    # Written down: a node that another version of clusterlog chooses otherwise would change sides in an upgrade.
    assert (share("orders", "orders-1"), share("shop", "shop-1")) == (28.120553962176675, 56.75784271246083)


def test_a_percentage_takes_all_workers_of_a_node_or_none():
    for number in range(50):
        one, other = (Member("orders", f"n{number}", "h", number=worker) for worker in (1, 2))
        assert meant(Selector(percent=30), one) == meant(Selector(percent=30), other)


@given(st.from_type(Selector), st.lists(st.from_type(Member), max_size=8), st.integers(0, 4))
@settings(max_examples=50)
def test_cp19_at_most_so_many_nodes_are_named_in_the_rule_and_never_one_that_was_not_meant(selector, members, most):
    narrowed = some_of(selector, members, most)
    before = {member.node for member in members if meant(selector, member)}
    after = {member.node for member in members if meant(narrowed, member)}
    assert after <= before
    assert len(after) == min(most, len(before))


def test_narrowing_to_more_nodes_keeps_those_that_were_chosen():
    members = [Member("s", f"n-{number}", "h") for number in range(20)]
    chosen = [set(some_of(Selector(), members, most).node) for most in range(1, 21)]
    assert all(smaller < larger for smaller, larger in pairwise(chosen))


def test_narrowing_to_no_node_at_all_means_nobody_rather_than_everybody():
    assert not meant(some_of(Selector(), [HERE], 0), HERE)
    assert not meant(some_of(Selector(service=("nowhere",)), [HERE], 3), HERE)


def test_a_narrower_selector_is_one_with_a_narrower_term_and_then_one_with_more_terms():
    rising = [
        Selector(),
        Selector(percent=5),
        Selector(service=("orders",)),
        Selector(service=("orders",), percent=5),
        Selector(role=("eu",)),
        Selector(version=("1.4",)),
        Selector(version=("1.4",), role=("eu",), service=("orders",)),
        Selector(host=("host-a",)),
        Selector(node=("orders-*",)),
        Selector(node=("orders-1",)),
        Selector(node=("orders-1",), service=("orders",)),
        Selector(worker=(1,)),
    ]
    assert sorted(rising, key=specificity) == rising
    assert len({specificity(selector) for selector in rising}) == len(rising)


def test_a_node_whose_name_holds_signs_of_a_glob_can_be_named_and_counts_as_a_name():
    odd = Member("s", "n[1]*", "h")
    named = some_of(Selector(), [odd], 1)
    assert meant(named, odd)
    assert not meant(named, Member("s", "n1x", "h"))
    assert specificity(named) == specificity(Selector(node=("n-1",)))


@given(st.from_type(Predicate), st.from_type(RequestFacts))
@settings(max_examples=50)
def test_cp04_a_request_is_meant_when_every_term_of_the_predicate_holds(predicate, request):
    exact = all(
        not term or term == is_
        for term, is_ in (
            (predicate.request, request.request),
            (predicate.user, request.user),
            (predicate.tenant, request.tenant),
        )
    )
    route = not predicate.route or (request.route != "" and fnmatchcase(request.route, predicate.route))
    assert asked(predicate, request) == (exact and route)


def test_cp04_a_predicate_without_a_term_means_no_request_and_what_is_not_known_of_a_request_matches_nothing():
    assert not asked(Predicate(), RequestFacts("r1", "u", "t", "/"))
    assert not asked(Predicate(route="*"), RequestFacts("r1"))
    assert not asked(Predicate(user="u", request="r1"), RequestFacts("r1"))
