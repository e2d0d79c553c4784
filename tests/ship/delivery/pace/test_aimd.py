"""A limit is tried upwards one by one and comes down by half, once for all that was under way."""

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.ship.delivery.pace.aimd import Aimd

answers = st.lists(st.booleans(), max_size=200)


@given(answers, st.integers(1, 8), st.integers(1, 8), st.integers(0, 5))
def test_the_limit_stays_between_its_bounds_and_moves_by_its_own_steps(answers, least, most, window):
    least, most = min(least, most), max(least, most)
    aimd = Aimd(least, most, most, window=window)
    for clean in answers:
        before = aimd.limit
        number = aimd.send()
        if clean:
            aimd.clean()
            assert aimd.limit in (before, before + 1)
        else:
            aimd.too_much(number)
            assert aimd.limit == max(least, before // 2)
        assert least <= aimd.limit <= most


@given(st.integers(1, 8))
def test_once_around_of_clean_answers_makes_room_for_one_more(limit):
    aimd = Aimd(1, 100, limit)
    for _ in range(limit - 1):
        aimd.clean()
    assert aimd.limit == limit
    aimd.clean()
    assert aimd.limit == limit + 1


def test_a_refusal_begins_the_count_of_clean_answers_anew():
    aimd = Aimd(1, 8, 4)
    for _ in range(3):
        aimd.clean()
    aimd.too_much(aimd.send())
    assert aimd.limit == 2
    aimd.clean()
    assert aimd.limit == 2


def test_what_was_under_way_together_halves_once():
    aimd = Aimd(1, 8, 8)
    numbers = [aimd.send() for _ in range(8)]
    for number in numbers:
        aimd.too_much(number)
    assert aimd.limit == 4
    aimd.too_much(aimd.send())
    assert aimd.limit == 2


@given(st.integers(1, 8), st.integers(0, 300))
def test_it_finds_what_a_server_bears_and_comes_back_to_it_after_each_refusal(bears, rounds):
    """Refused is whatever is more than the server bears; the limit never exceeds that by more than one."""
    aimd = Aimd(1, 8, 1)
    for _ in range(rounds):
        numbers = [aimd.send() for _ in range(aimd.limit)]
        for at, number in enumerate(numbers):
            if at >= bears:
                aimd.too_much(number)
            else:
                aimd.clean()
        assert aimd.limit <= bears + 1
    if rounds >= 100:
        assert aimd.limit >= (bears + 1) // 2
