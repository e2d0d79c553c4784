"""What is newer, what is the same, what is only old (control-plane.md 4.7, 4.8): CP-14, CP-25, F11, F12, F14, F15."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterlog.control.rules.document import Document, Version
from clusterlog.control.rules.rule import Rule
from clusterlog.control.signing.replay import STALE_NS, judged
from clusterlog.errors import Rejected

NOW = 1_000_000 * 10**9


def document(rev: int, epoch: str = "e", *ends: int) -> Document:
    rules = tuple(Rule(str(number), "", 10, expires_ns=end) for number, end in enumerate(ends))
    return Document("c", Version(epoch, rev), rules)


def refused(known: Version | None, offered: Document) -> str:
    with pytest.raises(Rejected) as caught:
        judged(known, offered, stored=False, wall_ns=NOW)
    return caught.value.reason


@pytest.mark.parametrize("stored", [True, False])
def test_versions_decide_and_what_was_seen_already_is_a_no_op(stored):
    known = Version("e", 5)
    assert judged(known, document(6), stored, NOW) == "newer"
    assert judged(known, document(5), stored, NOW) == "same"


def test_f15_an_old_document_that_somebody_hands_over_again_is_a_replay():
    assert refused(Version("e", 5), document(4, "e", NOW * 2)) == "replay"


def test_f11_a_store_that_lost_its_last_change_leaves_the_node_ahead_of_it():
    assert judged(Version("e", 5), document(4), True, NOW) == "ahead"


def test_f12_a_store_that_was_emptied_leaves_the_node_with_what_it_has():
    assert judged(Version("e", 5), None, True, NOW) == "ahead"
    assert judged(None, None, True, NOW) == "same"


def test_f12_a_new_epoch_counts_when_the_store_itself_has_it_and_not_when_somebody_says_so():
    assert judged(Version("e", 5), document(1, "f"), True, NOW) == "newer"
    assert refused(Version("e", 5), document(9, "f", NOW * 2)) == "epoch"


def test_a_fresh_node_takes_what_its_store_has_whatever_the_clock_says():
    assert judged(None, document(3, "e", 1, 0), True, NOW) == "newer"


def test_f15_a_fresh_node_that_is_kept_from_its_store_cannot_be_fed_what_was_once_true():
    assert refused(None, document(3, "e", NOW - STALE_NS - 1)) == "stale"
    with pytest.raises(Rejected, match="rule 1 has no end"):
        judged(None, document(3, "e", NOW * 2, 0), stored=False, wall_ns=NOW)
    assert judged(None, document(3, "e", NOW - STALE_NS), False, NOW) == "newer"


def test_f07_a_clock_that_is_minutes_wrong_refuses_nothing():
    for skew in (-200, 200):
        assert judged(Version("e", 1), document(2, "e", NOW + 10**9), False, NOW + skew * 10**9) == "newer"


REVS = st.lists(st.integers(0, 20), min_size=1, max_size=20)


@given(REVS)
def test_f14_duplicates_and_reordered_documents_never_take_a_node_back(revs):
    """Whatever order pushes and looks at the store come in, the revision in force only rises."""
    known: Version | None = None
    for rev in revs:
        before = known
        if judged(known, document(rev), True, NOW) == "newer":
            known = Version("e", rev)
        assert before is None or (known is not None and known.rev >= before.rev)
    assert known == Version("e", max(revs))
