"""Following documents: newer ones only, each rule to its own end, whatever the clocks of others say."""

from dataclasses import replace

import pytest

from clusterlog.control.bus.base import Snapshot
from clusterlog.control.node.desired import Clock, Desired
from clusterlog.control.rules.document import Document, Version, fields_of
from clusterlog.control.rules.expiry import Deadlines, Saved
from clusterlog.control.rules.rule import Rule
from clusterlog.control.signing.keys import Key
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import Rejected

S = 10**9
NOW = 1_000_000 * S


class Clocks:
    def __init__(self):
        self.wall, self.boot = NOW, 50 * S

    def clock(self, boot="b1"):
        return Clock(lambda: self.wall, lambda: self.boot, boot)

    def pass_(self, seconds):
        self.wall += int(seconds * S)
        self.boot += int(seconds * S)


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def desired(sealer, clocks):
    return Desired(sealer, clocks.clock())


def rule(id_="r1", life=10, rev=1):
    return Rule(id_, "orders", 10, created_ns=NOW, expires_ns=NOW + life * S if life else 0, rev=rev)


def body(sealer, *rules, rev=1, epoch="e1"):
    return sealer.seal(fields_of(Document(sealer.cluster, Version(epoch, rev), rules, NOW)))


def ids(desired):
    return {each.id for each in desired.in_force()}


def test_a_rule_ends_by_the_boot_clock_whatever_becomes_of_the_wall_clock(desired, sealer, clocks):
    """F07: a wall clock that is an hour or a day off, or jumps about, moves nothing."""
    assert desired.looked(Snapshot(body(sealer, rule()), NOW), clocks.boot)
    for jump in (3600, -3600, 86400, -86400, 0):
        clocks.wall = NOW + jump * S
        assert ids(desired) == {"r1"}
    clocks.boot += 10 * S - 1
    assert ids(desired) == {"r1"}
    clocks.boot += 1
    assert ids(desired) == set()
    assert [each.id for each in desired.over()] == ["r1"]


def test_looking_again_never_makes_a_rule_live_longer(desired, sealer, clocks):
    kept = body(sealer, rule())
    desired.looked(Snapshot(kept, NOW), clocks.boot)
    clocks.pass_(9)
    assert not desired.looked(Snapshot(kept, NOW), clocks.boot)  # a bus whose clock stands still
    clocks.pass_(1)
    assert ids(desired) == set()


def test_a_document_that_was_handed_over_is_put_right_by_a_look_and_only_to_be_shorter(desired, sealer, clocks):
    """F05: a push that lay about for minutes in a paused broker."""
    assert desired.handed(body(sealer, rule(life=10)))
    assert desired.next_end_s(desired.in_force()) == pytest.approx(10)
    assert desired.looked(Snapshot(desired.body, NOW + 8 * S), clocks.boot)
    assert desired.next_end_s(desired.in_force()) == pytest.approx(2)
    assert not desired.looked(Snapshot(desired.body, NOW), clocks.boot)
    assert desired.next_end_s(desired.in_force()) == pytest.approx(2)


def test_what_neighbours_of_the_home_have_made_of_a_rule_holds_for_all(desired, sealer, clocks):
    desired.looked(Snapshot(body(sealer, rule(life=10)), NOW), clocks.boot, Deadlines("b1", {"r1": clocks.boot + S}))
    assert desired.next_end_s(desired.in_force()) == pytest.approx(1)


def test_what_another_run_of_the_machine_has_made_of_it_does_not(desired, sealer, clocks):
    desired.looked(Snapshot(body(sealer, rule(life=10)), NOW), clocks.boot, Deadlines("b0", {"r1": clocks.boot + S}))
    assert desired.next_end_s(desired.in_force()) == pytest.approx(10)


def test_a_store_that_went_backwards_changes_nothing_and_is_said_to_be_behind(desired, sealer, clocks):
    desired.looked(Snapshot(body(sealer, rule(), rule("r2"), rev=2), NOW), clocks.boot)
    for older in (body(sealer, rule(), rev=1), None):
        assert not desired.looked(Snapshot(older, NOW), clocks.boot)
        assert desired.ahead and ids(desired) == {"r1", "r2"}
    assert desired.looked(Snapshot(body(sealer, rule("r3"), rev=3), NOW), clocks.boot)
    assert not desired.ahead and ids(desired) == {"r3"}


def test_a_new_epoch_counts_where_the_store_has_it_and_nowhere_else(desired, sealer, clocks):
    desired.looked(Snapshot(body(sealer, rule(), rev=7), NOW), clocks.boot)
    other = body(sealer, rule("r9"), rev=1, epoch="e2")
    with pytest.raises(Rejected, match="epoch"):
        desired.handed(other)
    assert ids(desired) == {"r1"}
    assert desired.looked(Snapshot(other, NOW), clocks.boot)
    assert (ids(desired), desired.version) == ({"r9"}, "e2/1")


def test_what_our_key_has_not_signed_leaves_everything_as_it_was(desired, sealer, clocks):
    desired.looked(Snapshot(body(sealer, rule()), NOW), clocks.boot)
    forged = body(Sealer((Key(b"x" * 32),), "test"), rule("evil"), rev=9)
    elsewhere = body(Sealer((Key(b"k" * 32),), "staging"), rule("evil"), rev=9)
    for bad in (forged, elsewhere, b"", b"{}", b"\xff" * 100, body(sealer, rule("evil"), rev=9)[:-9]):
        with pytest.raises(Rejected):
            desired.looked(Snapshot(bad, NOW), clocks.boot)
        with pytest.raises(Rejected):
            desired.handed(bad)
    assert ids(desired) == {"r1"}


def test_what_was_saved_goes_on_exactly_where_it_was_and_by_the_wall_clock_after_a_boot(sealer, clocks):
    kept = body(sealer, rule(life=10), rule("stays", 0))
    saved = Saved(Deadlines("b1", {"r1": clocks.boot + 10 * S, "stays": None}), clocks.boot, clocks.wall)
    clocks.pass_(4)
    same, other = Desired(sealer, clocks.clock()), Desired(sealer, clocks.clock("b2"))
    same.resumed(kept, saved)
    assert same.next_end_s(same.in_force()) == pytest.approx(6) and ids(same) == {"r1", "stays"}
    clocks.boot = S
    other.resumed(kept, saved)
    assert other.next_end_s(other.in_force()) == pytest.approx(6)
    back = Desired(sealer, replace(clocks.clock("b3"), wall_ns=lambda: NOW - 1))
    back.resumed(kept, saved)
    assert ids(back) == {"stays"}


def test_a_saved_rule_that_nobody_has_begun_waits_for_the_stores_word(sealer, clocks):
    desired = Desired(sealer, clocks.clock())
    desired.resumed(body(sealer, rule()), Saved(Deadlines("b1", {}), clocks.boot, clocks.wall))
    assert ids(desired) == set()
    assert desired.looked(Snapshot(desired.body, NOW + 3 * S), clocks.boot)
    assert desired.next_end_s(desired.in_force()) == pytest.approx(7)


def test_a_store_that_has_other_rules_under_the_number_known_here_is_followed(desired, sealer, clocks):
    """F12: restored from a dump, and changed there once more; the store has the word."""
    desired.looked(Snapshot(body(sealer, rule(), rev=2), NOW), clocks.boot)
    other = body(sealer, replace(rule(), level=40), rev=2)
    assert desired.looked(Snapshot(other, NOW), clocks.boot)
    assert [each.level for each in desired.in_force()] == [40]
    assert not desired.looked(Snapshot(other, NOW), clocks.boot)
