"""Ranges of numbers mean what sets of numbers mean."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.store.ranges import amount, common, merged, minus, repeated

anything = st.lists(st.tuples(st.integers(-3, 30), st.integers(-3, 30)), max_size=8)


def numbers(ranges):
    return {number for first, last in ranges for number in range(first, last + 1)}


def is_tidy(ranges):
    flat = [bound for each in ranges for bound in each]
    return flat == sorted(flat) and all(one[1] + 1 < other[0] for one, other in pairwise(ranges))


@given(anything)
def test_merging_keeps_every_number_and_no_more_ranges_than_are_needed(ranges):
    assert numbers(merged(ranges)) == numbers(ranges)
    assert is_tidy(merged(ranges))


@given(anything, anything)
def test_minus_and_common_are_those_of_sets(one, other):
    one, other = merged(one), merged(other)
    assert numbers(minus(one, other)) == numbers(one) - numbers(other)
    assert numbers(common(one, other)) == numbers(one) & numbers(other)
    assert is_tidy(minus(one, other)) and is_tidy(common(one, other))


@given(anything)
def test_what_is_in_more_than_one_range_is_repeated(ranges):
    ranges = [(first, last) for first, last in ranges if first <= last]
    counted = Counter(number for first, last in ranges for number in range(first, last + 1))
    assert numbers(repeated(ranges)) == {number for number, times in counted.items() if times > 1}
    assert is_tidy(repeated(ranges))


def test_an_amount_is_that_of_the_numbers():
    assert amount(((1, 3), (7, 7))) == 4
