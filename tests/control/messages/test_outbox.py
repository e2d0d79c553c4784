"""What waits to be sent is bounded in number, bytes and age; what is dropped is counted."""

from __future__ import annotations

from clusterlog.control.messages import outbox
from clusterlog.control.messages.outbox import Outbox


def test_the_first_stays_until_it_was_sent_so_that_a_cut_connection_loses_nothing():
    box = Outbox()
    for body in (b"a", b"b"):
        assert box.put(body)
    assert (box.first(), box.first()) == (b"a", b"a")
    box.sent(b"a")
    assert box.first() == b"b"
    box.sent(b"b")
    assert (box.first(), len(box), box.dropped) == (None, 0, 0)


def test_what_finds_no_room_is_refused_and_counted(monkeypatch):
    box = Outbox(most_bytes=5)
    assert [box.put(b"xxx"), box.put(b"xxx"), box.put(b"xx")] == [True, False, True]
    assert box.dropped == 1
    monkeypatch.setattr(outbox, "MOST_MESSAGES", 2)
    few = Outbox()
    assert [few.put(b"x") for _ in range(3)] == [True, True, False]


def test_what_could_not_be_sent_for_too_long_is_dropped_and_makes_room():
    now = 0.0
    box = Outbox(life_s=10, most_bytes=4, clock=lambda: now)
    box.put(b"old!")
    now = 10.5
    assert box.put(b"new!")
    assert (box.first(), box.dropped) == (b"new!", 1)
    now = 100
    assert (box.first(), box.dropped) == (None, 2)


def test_sending_what_has_become_too_old_meanwhile_takes_nothing_else_out():
    now = 0.0
    box = Outbox(life_s=10, clock=lambda: now)
    box.put(b"old")
    sending = box.first()
    now = 11
    box.put(b"new")
    assert sending is not None
    box.sent(sending)
    assert box.first() == b"new"
