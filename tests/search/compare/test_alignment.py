"""Two sequences laid side by side."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.search.compare import alignment
from clusterlog.search.compare.alignment import aligned


def items(told: str) -> list[tuple[str, str]]:
    """``a b- c``: keys, with a detail behind some of them."""
    return [(word[0], word[1:]) for word in told.split()]


def both(a: str, b: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    found = aligned(items(a), items(b))
    return list(found.pairs), list(found.moved)


def test_equal_sequences_correspond_item_by_item() -> None:
    assert both("a b c", "a b c") == ([(0, 0), (1, 1), (2, 2)], [])


def test_what_only_one_has_is_left_alone() -> None:
    assert both("a x b", "a b y") == ([(0, 0), (2, 1)], [])


def test_of_what_repeats_that_of_equal_detail_corresponds() -> None:
    assert both("a- a- a- a", "a") == ([(3, 0)], [])
    assert both("a", "a- a a-") == ([(0, 1)], [])
    assert both("a-", "a") == ([(0, 0)], [])


def test_more_in_common_counts_more_than_equal_details() -> None:
    assert both("a b- c", "b b- a- b c-")[0] == [(0, 2), (1, 3), (2, 4)]


def test_what_stands_elsewhere_is_moved_and_no_item_is_used_twice() -> None:
    assert both("a b c", "b c a") == ([(1, 0), (2, 1)], [(0, 2)])
    assert both("x a b", "a b x x") == ([(1, 0), (2, 1)], [(0, 2)])


def test_nothing_corresponds_to_nothing() -> None:
    assert both("", "") == ([], [])
    assert both("a", "") == ([], [])


WORDS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["", "-"])), max_size=7)


def longest(a: Any, b: Any) -> tuple[int, int]:
    """Length of a longest common subsequence, and the most equal details one of that length has; by trying all."""
    if not a or not b:
        return 0, 0
    best = max(longest(a[1:], b), longest(a, b[1:]))
    if a[0][0] == b[0][0]:
        length, exact = longest(a[1:], b[1:])
        best = max(best, (length + 1, exact + (a[0] == b[0])))
    return best


@given(a=WORDS, b=WORDS)
def test_the_pairs_are_a_longest_common_subsequence_with_the_most_equal_details(a: Any, b: Any) -> None:
    found = aligned(a, b)
    assert list(found.pairs) == sorted(found.pairs)
    assert [j for _, j in found.pairs] == sorted(j for _, j in found.pairs)
    assert (len(found.pairs), sum(a[i] == b[j] for i, j in found.pairs)) == longest(a, b)


@pytest.mark.parametrize("cells", [alignment.CELLS, 0])
@given(a=WORDS, b=WORDS)
def test_everything_that_can_correspond_does_and_once(cells: int, a: Any, b: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "CELLS", cells)
        found = aligned(a, b)
    used = (*found.pairs, *found.moved)
    assert all(a[i][0] == b[j][0] for i, j in used)
    assert len({i for i, _ in used}) == len({j for _, j in used}) == len(used)
    left_a = [a[i][0] for i in range(len(a)) if i not in {i for i, _ in used}]
    left_b = [b[j][0] for j in range(len(b)) if j not in {j for _, j in used}]
    assert not set(left_a) & set(left_b)
    assert [j for _, j in found.pairs] == sorted(j for _, j in found.pairs)


def test_sequences_too_long_for_every_pair_of_endings_are_aligned_in_common_order() -> None:
    a = [(f"line {n % 700}", n // 700) for n in range(7000)]
    b = [item for n, item in enumerate(a) if n % 3] + [("end", 0)]
    found = aligned(a, b)
    assert len(found.pairs) == len(b) - 1
    assert all(a[i] == b[j] for i, j in found.pairs)
    assert found.moved == ()
