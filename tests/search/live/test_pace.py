"""How many are shown a second, and what is said of the others."""

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.search.live.pace import SECOND_NS, Pace, Skipped

NOW = 1_793_707_200_000_000_000


def test_the_first_of_each_second_are_shown():
    pace = Pace(3)
    assert list(pace.let([1, 2], NOW)) == [1, 2]
    assert list(pace.let([3, 4], NOW + 1)) == [3]
    assert list(pace.let([5], NOW + 2)) == []
    assert list(pace.let([6, 7, 8, 9], NOW + SECOND_NS)) == [6, 7, 8]


def test_without_a_rate_all_are_shown_and_nothing_is_said():
    pace = Pace(None)
    assert len(pace.let(range(100_000), NOW)) == 100_000
    assert pace.skipped(NOW + SECOND_NS) is None


def test_what_was_left_out_is_said_once_when_its_second_is_over():
    pace = Pace(480)
    pace.let(range(2_000), NOW)
    pace.let(range(130), NOW + SECOND_NS // 2)
    assert pace.skipped(NOW + SECOND_NS - 1) is None
    assert pace.skipped(NOW + SECOND_NS) == Skipped(480, 2_130)
    assert pace.skipped(NOW + SECOND_NS) is None
    assert pace.skipped(NOW + 2 * SECOND_NS) is None


def test_a_second_in_which_all_were_shown_needs_no_word():
    pace = Pace(5)
    pace.let([1, 2, 3, 4, 5], NOW)
    assert pace.skipped(NOW + SECOND_NS) is None


def test_what_gathered_while_nobody_could_look_is_told_by_the_second():
    pace = Pace(500)
    pace.let([1], NOW)
    pace.skipped(NOW + SECOND_NS)
    pace.let(range(12_000), NOW + 6 * SECOND_NS)
    assert pace.skipped(NOW + 6 * SECOND_NS + 1) == Skipped(100, 2_400)


def test_one_that_was_left_out_in_a_minute_is_still_told():
    pace = Pace(1)
    pace.skipped(NOW)
    pace.let([1, 2], NOW + 60 * SECOND_NS)
    assert pace.skipped(NOW + 62 * SECOND_NS) == Skipped(0, 1)


def test_a_clock_set_back_begins_a_new_second():
    pace = Pace(1)
    assert list(pace.let([1], NOW)) == [1]
    assert list(pace.let([2], NOW - 3_600 * SECOND_NS)) == [2]


@given(st.integers(0, 20), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 30)), max_size=50))
def test_no_second_shows_more_than_the_rate_and_every_item_is_shown_or_accounted_for(rate, steps):
    pace, now, let, told = Pace(rate), NOW, [], []
    for wait_ms, count in steps:
        now += wait_ms * 1_000_000
        let.append((now, len(pace.let(range(count), now)), count))
        told.append(pace.skipped(now))
    told.append(pace.skipped(now + SECOND_NS))
    skipped = sum(count - shown for _, shown, count in let)
    assert bool(skipped) == any(told)
    assert skipped == sum(each.matched - each.shown for each in told if each) or now - NOW > SECOND_NS
    for each in filter(None, told):
        assert each.shown <= rate
        assert each.shown < each.matched
