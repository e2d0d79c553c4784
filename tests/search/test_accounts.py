"""Every number of an instance is stored, lost with a reason, waiting, or unexplained, and never two of these."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.search.accounts import Spooled, Stretch, account, by_reason, total
from clusterlog.search.state import StateEvent, Told
from clusterlog.store.base import Sequences
from clusterlog.store.ranges import merged

ME = "a" * 32
NOON = 1_793_707_200_000_000_000


def state(action: str, **facts: Any) -> StateEvent:
    known: dict[str, Any] = {
        "id": f"of-{action}",
        "action": action,
        "instance": ME,
        "own": None,
        "time_ns": NOON,
        "first": None,
        "last": None,
        "reason": "",
        "backlog": 0,
        "torn": 0,
    }
    return StateEvent(**{**known, **facts})


def told(*states: StateEvent) -> Told:
    return Told(list(states))


def stored(*ranges: tuple[int, int], twice: Any = ()) -> Sequences:
    return Sequences(ME, merged(ranges), merged(twice))


def ranges(stretches: tuple[Stretch, ...]) -> list[tuple[int, int]]:
    return [(each.first_seq, each.last_seq) for each in stretches]


def test_an_instance_of_which_all_is_stored_is_complete() -> None:
    found = account(stored((1, 9)), told(state("close", last=9)))
    assert (found.complete, found.last_seq, found.stored, found.tail) == (True, 9, 9, "closed")
    assert not found.explained and not found.pending and not found.unexplained and not found.duplicates


def test_a_number_below_a_stored_one_that_nobody_tells_of_is_unexplained() -> None:
    found = account(stored((1, 4), (6, 9)), told())
    assert ranges(found.unexplained) == [(5, 5)]
    assert not found.complete


def test_what_was_stored_and_cannot_be_read_any_more_is_unexplained_and_said_to_be_so() -> None:
    found = account(Sequences(ME, ((1, 2), (4, 4)), unreadable=((5, 6), (8, 8))), told())
    assert [(each.first_seq, each.last_seq, each.reason) for each in found.unexplained] == [
        (3, 3, ""),
        (5, 6, "unreadable"),
        (7, 7, ""),
        (8, 8, "unreadable"),
    ]


def test_the_first_number_is_one() -> None:
    assert ranges(account(stored((3, 4)), told()).unexplained) == [(1, 2)]


@pytest.mark.parametrize("action", ["close", "crash-close", "heartbeat"])
def test_the_last_number_is_told_by_the_end_or_a_heartbeat(action: str) -> None:
    found = account(stored((1, 4)), told(state(action, last=6)))
    assert (found.last_seq, ranges(found.unexplained)) == (6, [(5, 6)])


def test_a_drop_event_explains_its_range_with_its_reason() -> None:
    drop = state("drop", first=5, last=7, reason="disk_full", own=8)
    found = account(stored((1, 4), (8, 8)), told(drop))
    assert found.explained == (Stretch(ME, 5, 7, "disk_full", "of-drop"),)
    assert found.explained[0].count == 3
    assert found.complete


def test_a_drop_event_whose_range_is_stored_after_all_explains_nothing() -> None:
    drop = state("drop", first=2, last=5, reason="disk_full")
    assert ranges(account(stored((1, 3), (5, 6)), told(drop)).explained) == [(4, 4)]


def test_a_dead_letter_is_explained_by_its_state_event_or_by_the_letter_itself() -> None:
    notice = state("dead-letter", first=2, last=2, reason="no object")
    found = account(stored((1, 1), (3, 3), (5, 5)), told(notice), letters=[(4, "too long"), (2, "no object")])
    assert [(each.first_seq, each.reason) for each in found.explained] == [
        (2, "dead_letter: no object"),
        (4, "dead_letter: too long"),
    ]
    assert by_reason(found.explained) == {"dead_letter": 2}


def test_what_lies_in_the_spool_and_is_not_stored_is_pending() -> None:
    found = account(stored((1, 4)), told(), Spooled(((3, 7),)))
    assert ranges(found.pending) == [(5, 7)]
    assert (found.last_seq, found.complete, found.tail) == (7, True, "killed")


def test_a_dead_letter_that_still_lies_in_a_segment_of_its_writer_does_not_wait() -> None:
    found = account(stored((1, 1), (3, 3)), told(), Spooled(((1, 3),), alive=True, until=3), [(2, "no object")])
    assert ranges(found.explained) == [(2, 2)] and not found.pending


def test_of_a_living_writer_nothing_is_asked_that_it_said_after_the_look() -> None:
    found = account(stored((1, 5), (9, 9), twice=[(9, 9)]), told(), Spooled(((4, 6),), alive=True, until=6))
    assert (found.last_seq, found.stored, found.tail) == (6, 5, "alive")
    assert ranges(found.pending) == [(6, 6)]
    assert not found.unexplained and not found.duplicates


def test_numbers_stored_twice_are_told_and_are_no_lack() -> None:
    found = account(stored((1, 5), twice=[(2, 3)]), told())
    assert ranges(found.duplicates) == [(2, 3)] and found.complete and found.stored == 5


def test_where_no_spool_can_be_seen_the_last_heartbeat_says_how_many_of_the_newest_wait() -> None:
    beat = state("heartbeat", last=9, backlog=3)
    found = account(stored((1, 2), (4, 5), (8, 8)), told(beat), spools_seen=False)
    assert ranges(found.pending) == [(6, 7), (9, 9)] and ranges(found.unexplained) == [(3, 3)]
    assert {each.reason for each in found.pending} == {"by its last heartbeat"}
    here = account(stored((1, 2), (4, 5), (8, 8)), told(beat))
    assert ranges(here.unexplained) == [(3, 3), (6, 7), (9, 9)]
    ended = account(stored((1, 8)), told(beat, state("close", last=9)), spools_seen=False)
    assert ranges(ended.unexplained) == [(9, 9)]


@pytest.mark.parametrize(
    ("states", "spooled", "tail"),
    [
        ((), None, "unknown"),
        (("heartbeat",), None, "heartbeat"),
        (("heartbeat", "crash-close"), None, "killed"),
        (("heartbeat", "crash-close", "close"), None, "closed"),
        ((), Spooled(((1, 2),), alive=True, until=2), "alive"),
        ((), Spooled(((1, 2),)), "killed"),
        (("close",), Spooled(((1, 2),)), "closed"),
    ],
)
def test_a_tail_says_how_far_the_numbers_are_known(states: Any, spooled: Any, tail: str) -> None:
    found = account(stored((1, 2)), told(*(state(action, last=2) for action in states)), spooled)
    assert found.tail == tail


def test_when_it_was_heard_of_is_its_end_or_else_its_last_heartbeat() -> None:
    early, late = state("heartbeat", time_ns=NOON), state("heartbeat", time_ns=NOON + 5)
    assert account(stored((1, 1)), told(late, early)).heard_ns == NOON + 5
    assert account(stored((1, 1)), told(late, state("close", time_ns=NOON + 3))).heard_ns == NOON + 3
    assert account(stored((1, 1)), told()).heard_ns is None


FATES = ("stored", "twice", "dropped", "drop untold", "notice", "letter", "waits", "vanished")


@given(
    st.lists(st.sampled_from(FATES), min_size=1, max_size=60), st.sampled_from(("close", "crash-close", "alive", None))
)
def test_whatever_becomes_of_each_number_it_is_named_exactly(fates: list[str], ends: str | None) -> None:
    """Precision and recall of one: no number is said to have another fate than its own."""
    numbers: dict[str, list[int]] = {fate: [] for fate in FATES}
    for number, fate in enumerate(fates, 1):
        numbers[fate].append(number)
    states, at = [], 1
    for fate, run in groupby(fates):
        length = len(list(run))
        if fate == "dropped":
            states.append(state("drop", first=at, last=at + length - 1, reason="disk_full"))
        elif fate == "notice":
            states += [state("dead-letter", first=n, last=n, reason="no") for n in range(at, at + length)]
        at += length
    if ends in ("close", "crash-close"):
        states.append(state(ends, last=len(fates)))
    there = [*numbers["stored"], *numbers["twice"]]
    alive = ends == "alive"
    spooled = merged((n, n) for n in (*numbers["waits"], *numbers["letter"], *(there if alive else ())))
    found = account(
        stored(*((n, n) for n in there), twice=[(n, n) for n in numbers["twice"]]),
        told(*states),
        Spooled(spooled, alive=alive, until=max((last for _, last in spooled), default=0)) if spooled else None,
        [(n, "too long") for n in numbers["letter"]],
    )
    heard = [n for n, fate in enumerate(fates, 1) if fate not in ("vanished", "drop untold")]
    last = len(fates) if ends in ("close", "crash-close") else max(heard, default=0)
    if alive and spooled:
        last = spooled[-1][1]

    def upto(*names: str) -> list[int]:
        return sorted(n for name in names for n in numbers[name] if n <= last)

    def named(stretches: tuple[Stretch, ...]) -> list[int]:
        return [n for each in stretches for n in range(each.first_seq, each.last_seq + 1)]

    assert found.last_seq == last
    assert found.stored == len(upto("stored", "twice"))
    assert named(found.duplicates) == upto("twice")
    assert named(found.explained) == upto("dropped", "notice", "letter")
    assert named(found.pending) == upto("waits")
    assert named(found.unexplained) == upto("vanished", "drop untold")
    everything = found.stored + sum(total([found], each) for each in ("explained", "pending", "unexplained"))  # type: ignore[arg-type]
    assert everything == found.last_seq


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 6)), max_size=8),
    st.lists(st.integers(1, 30), max_size=5),
    st.sets(st.integers(1, 30)),
)
def test_of_losses_that_are_told_twice_each_number_counts_once(drops: Any, letters: Any, there: set[int]) -> None:
    states = [state("drop", first=first, last=first + more, reason=f"of {first}") for first, more in drops]
    found = account(
        stored(*((n, n) for n in there)),
        told(*states, state("close", last=40)),
        letters=[(n, "no object") for n in letters],
    )
    lost = {n for first, more in drops for n in range(first, first + more + 1)} | set(letters)
    named = [n for each in found.explained for n in range(each.first_seq, each.last_seq + 1)]
    assert sorted(named) == sorted(lost - there)
    assert {n for each in found.unexplained for n in range(each.first_seq, each.last_seq + 1)} == (
        set(range(1, 41)) - lost - there
    )


def test_twenty_thousand_losses_are_accounted_for_at_once() -> None:
    """As where the bulk lane is full and the other goes on: a drop event between every two warnings."""
    states = [state("drop", first=n, last=n + 5, reason="disk_limit") for n in range(1, 160_000, 8)]
    there = stored(*((n + 6, n + 7) for n in range(1, 160_000, 8)))
    found = account(there, told(*states))
    assert len(found.explained) == 20_000 and found.complete


def test_reasons_are_counted_the_most_frequent_first() -> None:
    stretches = [Stretch(ME, 1, 2, "a"), Stretch(ME, 5, 9, "b"), Stretch(ME, 11, 11, "a")]
    assert list(by_reason(stretches).items()) == [("b", 5), ("a", 3)]
    assert Counter(by_reason([])) == {}
