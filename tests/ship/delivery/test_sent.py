"""What another life of the shipper may have sent is known by its notes, written ahead and rarely."""

from clusterlog.ship.delivery import sent as module
from clusterlog.ship.delivery.sent import AHEAD, Sent
from clusterlog.store.base import Delivery


def delivery(n, instance="i"):
    return Delivery(f"{instance}-{n}", instance, n, b"{}")


def path_in(tmp_path):
    (tmp_path / "run").mkdir(exist_ok=True)
    return tmp_path / "run" / "sent.json"


def test_without_notes_nothing_was_sent_before(tmp_path):
    assert not Sent(path_in(tmp_path)).perhaps(delivery(1))


def test_what_was_sent_before_a_kill_may_have_been_sent_and_what_lies_far_ahead_surely_was_not(tmp_path):
    path = path_in(tmp_path)
    life = Sent(path)
    life.sending([delivery(3), delivery(7)])
    assert not life.perhaps(delivery(7))  # by a life before this one
    again = Sent(path)
    assert again.perhaps(delivery(7)) and again.perhaps(delivery(1))
    assert not again.perhaps(delivery(7 + AHEAD + 1)) and not again.perhaps(delivery(1, "other"))


def test_notes_are_written_once_in_thousands(tmp_path, monkeypatch):
    path, written = path_in(tmp_path), []
    real = module.replace
    monkeypatch.setattr(module, "replace", lambda *args, **options: (written.append(1), real(*args, **options)))
    life = Sent(path)
    for n in range(1, 2 * AHEAD):
        life.sending([delivery(n)])
    assert len(written) == 2
    assert Sent(path).perhaps(delivery(2 * AHEAD - 1))


def test_a_life_that_ends_knows_what_was_not_answered(tmp_path):
    path = path_in(tmp_path)
    life = Sent(path)
    life.sending([delivery(5), delivery(9, "other")])
    life.end([delivery(4), delivery(5)])
    again = Sent(path)
    assert again.perhaps(delivery(5)) and not again.perhaps(delivery(6)) and not again.perhaps(delivery(9, "other"))
    again.end([])
    assert not Sent(path).perhaps(delivery(1))


def test_notes_of_instances_that_are_gone_are_not_kept_for_ever(tmp_path):
    path = path_in(tmp_path)
    life = Sent(path)
    life.sending([delivery(1)])
    life.forget("i")
    life.sending([delivery(1, "other")])
    assert not Sent(path).perhaps(delivery(1)) and Sent(path).perhaps(delivery(1, "other"))


def test_damaged_notes_are_none(tmp_path):
    path = path_in(tmp_path)
    for content in (b"", b"{", b"[]", b'{"instances":[1]}', b'{"instances":{"i":"x"}}'):
        path.write_bytes(content)
        assert not Sent(path).perhaps(delivery(1))
