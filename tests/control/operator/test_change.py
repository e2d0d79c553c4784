"""Rules put in force and taken back, whoever else is changing them."""

from __future__ import annotations

import threading

import pytest

from clusterlog.control.bus.memory import MemoryBus
from clusterlog.control.operator.change import Operator, Wish, fresh_id, named
from clusterlog.control.rules.document import MOST_RULES, SCHEMA, Document, Version, document_of, fields_of
from clusterlog.control.signing.keys import Key
from clusterlog.control.signing.sealing import Sealer
from clusterlog.errors import Ambiguous, Conflict, NotAllowed, NotFound, Rejected

SEALER = Sealer((Key(b"k" * 32),), "test")


class Opened(MemoryBus):
    """A bus that remembers its links, so that a test leaves none open."""

    def __init__(self, name):
        super().__init__(name, "test")
        self.links = []

    def open(self):
        self.links.append(super().open())
        return self.links[-1]


@pytest.fixture
def bus(request):
    made = Opened(request.node.name)
    yield made
    for each in made.links:
        each.close()


class Overtaken(Operator):
    """Between its look and its write somebody else is always faster."""

    __slots__ = ("other",)

    def look(self):
        found = super().look()
        self.other.put(Wish("other", 10, 900.0))
        return found


def operator(bus, kind=Operator, actor="eve@host", seen=lambda _: (), **more):
    return kind(bus.open(), SEALER, actor, seen, **more)


def kept(bus):
    return document_of(SEALER.opened(bus.open().read().document, SCHEMA))


def test_a_rule_is_written_with_its_author_and_its_end_by_the_clock_of_the_bus(bus):
    change = operator(bus).put(Wish("orders", 10, 900.0, reason="why not"))
    (rule,) = kept(bus).rules
    assert change.rules == (rule,) and change.document == kept(bus)
    assert (rule.actor, rule.reason, rule.level, rule.logger) == ("eve@host", "why not", 10, "orders")
    assert rule.expires_ns - rule.created_ns == 900 * 10**9
    assert rule.created_ns == change.seen.now_ns
    assert rule.rev == change.document.version.rev == 1


def test_a_rule_that_stays_has_no_end(bus):
    assert operator(bus).put(Wish("", 10, 0.0)).rules[0].expires_ns == 0


def test_rules_stand_beside_each_other_until_each_is_taken_back(bus):
    one = operator(bus).put(Wish("a", 10, 900.0)).rules[0]
    two = operator(bus).put(Wish("b", 10, 900.0)).rules[0]
    assert {rule.id for rule in kept(bus).rules} == {one.id, two.id}
    assert operator(bus).reset(one.id).rules == (one,)
    assert kept(bus).rules == (two,)


def test_a_rule_that_is_over_is_swept_out_with_the_next_change(bus):
    operator(bus).put(Wish("a", 10, 1e-9))
    operator(bus).put(Wish("b", 10, 900.0))
    assert [rule.logger for rule in kept(bus).rules] == ["b"]


def test_a_reset_of_a_rule_that_is_not_there_writes_nothing(bus):
    operator(bus).put(Wish("a", 10, 900.0))
    before = kept(bus)
    with pytest.raises(NotFound, match="no rule zzzzz: there are"):
        operator(bus).reset("zzzzz")
    assert kept(bus) == before


def test_f13_of_operators_who_write_at_once_nobody_loses_a_rule(bus):
    failed = []

    def work(who):
        mine = operator(bus, actor=who)
        try:
            for _ in range(12):
                mine.put(Wish(who, 10, 900.0))
        except Exception as error:  # told below, in the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    document = kept(bus)
    assert not failed
    assert len(document.rules) == 48 and document.version.rev == 48
    assert len({rule.rev for rule in document.rules}) == 48


def test_whoever_is_always_slower_gives_up_after_a_while(bus):
    moments = iter(range(100))
    mine = operator(bus, Overtaken, clock=lambda: float(next(moments)), pause=lambda _: None)
    mine.other = operator(bus)
    with pytest.raises(Conflict):
        mine.put(Wish("mine", 10, 900.0))


def test_a_node_that_may_not_send_changes_nothing(bus):
    for role in ("apply", "receive"):
        with pytest.raises(NotAllowed, match="role"):
            operator(bus, role=role).put(Wish("", 10, 900.0))
    operator(bus, role="send").put(Wish("", 10, 900.0))


def test_f11_after_a_store_went_back_the_next_revision_is_above_all_that_nodes_have_seen(bus):
    first = operator(bus).put(Wish("a", 10, 900.0))
    epoch = first.document.version.epoch
    change = operator(bus, seen=lambda _: (Version(epoch, 41), Version("other", 99))).put(Wish("b", 10, 900.0))
    assert change.document.version == Version(epoch, 42)


def test_f12_after_a_store_lost_everything_the_epoch_of_the_nodes_goes_on(bus):
    change = operator(bus, seen=lambda _: (Version("e", 41),)).put(Wish("b", 10, 900.0))
    assert change.document.version == Version("e", 42)


def test_what_is_not_to_be_believed_is_not_built_upon_and_a_reset_of_all_replaces_it(bus):
    forged = Sealer((Key(b"f" * 32),), "test")
    bus.open().write(forged.seal(fields_of(Document("test", Version("e", 7)))), None)
    with pytest.raises(Rejected, match="level reset --all"):
        operator(bus).put(Wish("", 10, 900.0))
    with pytest.raises(Rejected):
        operator(bus).reset("abc")
    operator(bus).reset()
    assert kept(bus).rules == ()


def test_one_rule_too_many_is_refused_and_nothing_is_lost(bus):
    mine = operator(bus)
    for _ in range(MOST_RULES):
        mine.put(Wish("a", 10, 900.0))
    with pytest.raises(Rejected, match="reset some"):
        mine.put(Wish("a", 10, 900.0))
    assert len(kept(bus).rules) == MOST_RULES
    assert len({rule.id for rule in kept(bus).rules}) == MOST_RULES


def test_too_many_bytes_are_refused_before_they_are_written(bus):
    mine = operator(bus)
    long = Wish("a" * 200, 10, 900.0, reason="r" * 250)
    for _ in range(40):
        mine.put(long)
    with pytest.raises(Rejected, match="bytes"):
        [mine.put(long) for _ in range(40)]
    assert len(kept(bus).rules) >= 40


def test_a_rule_of_a_newer_version_is_kept_for_those_that_know_it_and_can_be_taken_back(bus):
    raw = fields_of(Document("test", Version("e", 1)))
    raw["rules"] = [{"id": "later", "kind": "sample", "logger": "", "level": "DEBUG"}]
    bus.open().write(SEALER.seal(raw), None)
    operator(bus).put(Wish("a", 10, 900.0))
    assert [each.id for each in kept(bus).refused] == ["later"]
    operator(bus).reset("later")
    assert not kept(bus).refused and len(kept(bus).rules) == 1


def test_an_id_is_short_and_of_signs_that_are_not_taken_for_others():
    found = {fresh_id(()) for _ in range(500)}
    assert all(len(each) == 5 and each[0].isalpha() for each in found)
    assert not set("".join(found)) & set("aeiou01lIO")


def test_an_id_that_is_taken_is_not_made_again():
    chosen = iter("b2222b2222b2223")
    assert fresh_id({"b2222"}, lambda _: next(chosen)) == "b2223"


def test_a_rule_may_be_named_by_the_beginning_of_its_id_where_no_other_begins_so():
    assert named("k7", ["k7d3q", "m2222"]) == "k7d3q"
    assert named("k7", ["k7", "k7d3q"]) == "k7"
    with pytest.raises(Ambiguous, match="k7d3q, k7zzz"):
        named("k7", ["k7d3q", "k7zzz"])
    with pytest.raises(NotFound, match="none is in force"):
        named("", [])
