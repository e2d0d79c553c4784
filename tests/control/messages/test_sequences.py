"""Nothing twice, and nothing missed without its being noticed: CP-18, F14."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.control.messages.sequences import WIDTH, Sequences

S = ("sender", "f")


def test_the_first_number_heard_of_a_sender_is_no_hole_whatever_it_is():
    assert Sequences().heard(S, 700) == "next"


@given(st.lists(st.integers(1, 150), max_size=60))
@settings(max_examples=60)
def test_f14_every_number_is_new_once_and_a_hole_is_said_exactly_when_numbers_were_jumped_over(numbers):
    sequences = Sequences()
    seen: set[int] = set()
    for number in numbers:
        said = sequences.heard(S, number)
        newest = max(seen, default=number - 1)
        if number in seen or number <= newest - WIDTH:
            assert said == "again"
        elif number > newest:
            assert said == ("next" if number == newest + 1 else "hole")
        else:
            assert said == "late"
        seen.add(number)


def test_senders_and_functionalities_are_counted_apart():
    sequences = Sequences()
    for sender in (("a", "f"), ("b", "f"), ("a", "g")):
        assert [sequences.heard(sender, number) for number in (1, 2, 2)] == ["next", "next", "again"]


def test_f14_a_million_senders_take_no_more_room_than_some_and_those_that_speak_are_not_forgotten():
    sequences = Sequences(most=3)
    sequences.heard(S, 1)
    for number in range(100):
        sequences.heard((f"forged-{number}",), 1)
        assert sequences.heard(S, number + 2) == "next"
    assert len(sequences._seen) == 3
    assert [sequences.heard((f"forged-{number}",), 1) for number in (99, 5)] == ["again", "next"]


def test_after_clearing_everything_is_a_beginning():
    sequences = Sequences()
    sequences.heard(S, 1)
    sequences.clear()
    assert sequences.heard(S, 9) == "next"
