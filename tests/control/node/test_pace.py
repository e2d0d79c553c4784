"""Waits: never all at once, never longer than they may be, short again after something worked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.control.node.pace import FIRST_S, LONGEST_S, BackOff, about

chances = st.floats(0, 1, exclude_max=True)


@given(st.lists(chances, min_size=1, max_size=80))
def test_each_wait_is_anything_up_to_a_limit_that_doubles_and_ends_at_thirty_seconds(numbers):
    given = iter(numbers)
    back_off = BackOff(chance=lambda: next(given))
    for failures, chance in enumerate(numbers):
        assert back_off.failed() == pytest.approx(chance * min(LONGEST_S, FIRST_S * 2.0**failures))


def test_it_begins_anew_after_something_worked():
    back_off = BackOff(chance=lambda: 1.0)
    assert [back_off.failed() for _ in range(3)] == [0.5, 1.0, 2.0]
    back_off.worked()
    assert back_off.failed() == 0.5


@given(chances)
def test_a_spread_interval_is_a_fifth_more_or_less(chance):
    assert 24.0 <= about(30.0, lambda: chance) <= 36.0
