"""Every accepted event is stored once, kept aside with a reason, or still in the spool; whoever dies when."""

import errno
import json
import os
import random
import signal

import pytest

from clusterlog.errors import StoreUnavailable
from clusterlog.ship import shipper as shipper_module
from clusterlog.ship.acknowledged import Acknowledged
from clusterlog.ship.dead.letters import letters
from clusterlog.ship.delivery.batch import PROBE_EVENTS, Limits
from clusterlog.ship.delivery.pace.breaker import OPEN_AFTER
from clusterlog.ship.reading import Reading
from clusterlog.spool.budget import Budget


def killed_writer(home, numbers, torn=0):
    """A process that logs and dies by SIGKILL; ``torn`` bytes of a half record are left at the end."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        writer = home.writer()
        home.say(writer, *numbers)
        os.write(tell, b"x")
        signal.pause()
    os.read(ready, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if torn:
        newest = max(home.spool.glob("*.seg"), key=lambda path: path.stat().st_mtime_ns)
        with newest.open("ab") as file:
            file.write(b"clog" + b"x" * (torn - 4))


def test_once_delivers_everything_and_leaves_an_empty_spool(home):
    writer = home.writer()
    home.say(writer, *range(100))
    home.say(writer, *range(100, 120), priority=True)
    writer.close(1)
    report = home.shipper().once()
    assert sorted(home.sink.said()) == list(range(120))
    assert report.stored == 122 and report.dead == report.duplicates == 0
    assert list(home.spool.iterdir()) == []


def test_warning_and_above_goes_first(home):
    writer = home.writer()
    home.say(writer, 1, 2)
    home.say(writer, 3, priority=True)
    home.shipper().step()
    assert home.sink.said() == [3, 1, 2]


def test_a_living_writer_keeps_its_active_segments_and_loses_the_delivered_full_ones(home):
    writer = home.writer(budget=Budget(limit=4 << 20))
    home.say(writer, *range(300), pad=1000)
    active = home.segments()[-1]
    home.shipper().once()
    assert sorted(home.sink.said()) == list(range(300))
    assert home.segments() == [active]
    home.say(writer, 300)
    home.shipper().once()
    assert sorted(home.sink.said()) == list(range(301))


def test_the_end_of_a_killed_writer_is_told_once_with_its_last_number(home):
    killed_writer(home, range(5), torn=20)
    home.shipper().once()
    home.shipper().once()
    told = home.sink.states("crash-close")
    assert [(each["last_seq"], each["torn_bytes"]) for each in told] == [(6, 20)]
    assert list(home.spool.iterdir()) == []


def test_an_end_and_a_refusal_that_are_met_last_of_all_are_told_too(home):
    """Before the shipper's own instance ends: afterwards it could tell of nothing any more."""
    killed_writer(home, range(5))
    home.sink.refuse = lambda delivery: "too long" if b'"n":3' in delivery.body else None
    shipper = home.shipper()
    assert shipper.finish()
    assert [each["last_seq"] for each in home.sink.states("crash-close")] == [6]
    assert [each["first_seq"] for each in home.sink.states("dead-letter")] == [5]
    assert list(home.spool.iterdir()) == []


def test_who_dies_while_the_shipper_says_good_bye_is_left_to_the_next_one(home):
    shipper = home.shipper()
    end = home.voice.end

    def die_meanwhile():
        end()
        killed_writer(home, range(5))

    home.voice.end = die_meanwhile
    shipper.finish()
    assert home.sink.said() == []
    home.shipper().once()
    assert home.sink.said() == list(range(5))
    assert [each["last_seq"] for each in home.sink.states("crash-close")] == [6]


def test_a_writer_that_said_good_bye_is_not_called_crashed(home):
    writer = home.writer()
    home.say(writer, 1)
    writer.close(1)
    home.shipper().once()
    assert home.sink.states("crash-close") == []


def test_a_shipper_with_nothing_to_tell_leaves_nothing_behind(home):
    home.shipper().once()
    assert not home.spool.exists()


def test_a_store_that_is_away_costs_nothing_and_is_asked_again_later(home):
    home.say(home.writer(), 1, 2, 3)
    home.sink.plan = ["away"]
    shipper = home.shipper()
    shipper.step()
    assert home.sink.said() == [] and shipper.error == "nobody answers"
    shipper.step()
    assert len(home.sink.batches) == 1  # not due yet
    home.now += 61
    shipper.step()
    assert home.sink.said() == [1, 2, 3] and shipper.error == ""


def test_an_answer_lost_after_storing_doubles_nothing(home):
    home.say(home.writer(), *range(10))
    home.sink.plan = ["lost answer"]
    shipper = home.shipper()
    shipper.step()
    home.now += 61
    shipper.step()
    assert home.sink.said() == list(range(10))
    assert shipper.report.duplicates == 11 and shipper.report.stored == 0


def test_an_answer_with_fewer_items_than_sent_is_no_answer(home):
    home.say(home.writer(), *range(10))
    home.sink.plan = ["short"]
    shipper = home.shipper()
    shipper.step()
    assert not shipper.acknowledged.of(next(iter(shipper.acknowledged.instances)))
    home.now += 61
    shipper.step()
    assert home.sink.said() == list(range(10))


def test_only_the_items_that_were_busy_are_sent_again(home):
    home.say(home.writer(), *range(9))
    home.sink.plan = ["some"]
    shipper = home.shipper()
    shipper.step()
    home.now += 61
    shipper.step()
    assert [len(batch) for batch in home.sink.batches][:2] == [10, 5]
    assert sorted(home.sink.said()) == list(range(9))


def test_while_the_circuit_is_open_only_a_small_batch_probes(home):
    home.say(home.writer(), *range(100))
    home.sink.plan = ["away"] * OPEN_AFTER + ["away"]
    shipper = home.shipper()
    for _ in range(OPEN_AFTER + 1):
        shipper.step()
        home.now += 61
    assert len(home.sink.batches[0]) == 101
    assert len(home.sink.batches[-1]) == PROBE_EVENTS
    shipper.step()
    assert sorted(home.sink.said()) == list(range(100))


def test_nothing_is_read_while_something_waits_so_that_memory_is_bounded(home):
    writer = home.writer()
    home.say(writer, 1)
    home.sink.plan = ["away"] * 3
    shipper = home.shipper()
    shipper.step()
    home.say(writer, *range(2, 100))
    for _ in range(2):
        home.now += 61
        shipper.step()
    assert {len(batch) for batch in home.sink.batches} == {2}


def test_a_refused_event_is_kept_aside_with_its_reason_and_costs_nobody_else(home):
    home.say(home.writer(), *range(5))
    home.sink.refuse = lambda delivery: "mapping conflict" if b'"n":3' in delivery.body else None
    shipper = home.shipper()
    report = shipper.once()
    assert sorted(home.sink.said()) == [0, 1, 2, 4]
    (letter,) = letters(home.path / "dead")
    assert letter.reason == "mapping conflict" and json.loads(letter.body)["n"] == 3
    assert report.dead == 1
    (told,) = home.sink.states("dead-letter")
    assert (told["instance"], told["first_seq"], told["reason"]) == (
        letter.instance,
        letter.sequence,
        "mapping conflict",
    )


def test_an_event_that_cannot_even_be_kept_aside_stays_in_the_spool(home):
    home.say(home.writer(), 1)
    home.sink.refuse = lambda delivery: "no" if b'"n"' in delivery.body else None
    (home.path / "dead").write_text("in the way")
    shipper = home.shipper()
    shipper.step()
    (home.path / "dead").unlink()
    home.now += 61
    shipper.step()
    assert [letter.sequence for letter in letters(home.path / "dead")] == [2]


def test_nothing_is_removed_before_its_acknowledgement_is_durable(home, monkeypatch):
    writer = home.writer()
    home.say(writer, 1)
    writer.close(1)

    def fail(self):
        raise OSError(28, "No space left on device")

    shipper = home.shipper()
    with monkeypatch.context() as broken:
        broken.setattr(Acknowledged, "save", fail)
        shipper.step()
        shipper.save()
        assert home.segments()
    home.now += 61
    shipper.step()
    shipper.save()
    assert not home.segments()


@pytest.mark.parametrize("part", ["look", "read", "sync"])
def test_spools_that_cannot_be_read_for_a_time_are_shipped_afterwards(home, monkeypatch, part):
    def fail(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    home.say(home.writer(), 1, 2)
    shipper = home.shipper()
    home.now += 61  # a sync is due
    with monkeypatch.context() as broken:
        broken.setattr(Reading, part, fail)
        assert shipper.step() == 0
        assert shipper.error == f"cannot read {home.spool}: too many open files"
    home.now += 61
    shipper.step()
    assert home.sink.said() == [1, 2]
    assert shipper.error == ""


def test_shipping_once_gives_up_on_spools_that_cannot_be_read_and_says_so(home, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    home.say(home.writer(), 1)
    monkeypatch.setattr(Reading, "read", fail)
    monkeypatch.setattr(shipper_module.time, "sleep", lambda seconds: setattr(home, "now", home.now + seconds))
    with pytest.raises(StoreUnavailable, match=r"cannot read .*: input/output error"):
        home.shipper().once()
    assert home.segments()


def test_nothing_is_acknowledged_durably_before_the_sink_has_flushed(home, monkeypatch):
    home.say(home.writer(), 1)
    order = []
    home.sink.flush = lambda: order.append("flush")
    real = Acknowledged.save
    monkeypatch.setattr(Acknowledged, "save", lambda self: (order.append("save"), real(self)))
    shipper = home.shipper()
    shipper.step()
    shipper.save()
    assert order == ["flush", "save"]


def test_once_gives_up_when_the_store_refuses_several_times_in_a_row(home, monkeypatch):
    monkeypatch.setattr("clusterlog.ship.shipper.time.sleep", lambda s: setattr(home, "now", home.now + s))
    home.say(home.writer(), 1)
    home.sink.plan = ["away"] * 50
    with pytest.raises(StoreUnavailable, match="nobody answers"):
        home.shipper().once()
    home.sink.plan = []
    home.shipper().once()
    assert home.sink.said() == [1]


def test_drops_told_by_writers_are_counted_once(home):
    writer = home.writer(budget=Budget(limit=2 << 20, min_free=0))
    home.say(writer, *range(3000), pad=1000)
    home.say(writer, 3000, priority=True)
    writer.close(1)
    lost = writer.ledger.total["disk_limit"]
    assert lost
    shipper = home.shipper()
    shipper.once()
    assert shipper.acknowledged.dropped == {"disk_limit": lost}
    assert Acknowledged.load(home.path).dropped == {"disk_limit": lost}


def test_batches_keep_to_their_limits(home):
    home.say(home.writer(), *range(50), pad=100)
    home.shipper(limits=Limits(events=7, bytes=500)).once()
    assert all(len(b) <= 7 and (len(b) == 1 or sum(len(d.body) for d in b) <= 500) for b in home.sink.batches)


def test_one_pass_is_bounded_so_that_a_request_to_end_is_heard(home, monkeypatch):
    monkeypatch.setattr(shipper_module, "PASS_BYTES", 50_000)
    monkeypatch.setattr(shipper_module, "READ_BYTES", 10_000)
    home.say(home.writer(), *range(4000), pad=1000)
    shipper = home.shipper()
    shipper.step()
    assert 0 < len(home.sink.said()) < 4000
    shipper.once()
    assert home.sink.said() == list(range(4000))


def test_the_bulk_lane_has_its_share_while_the_other_one_is_full(home, monkeypatch):
    monkeypatch.setattr(shipper_module, "PASS_BYTES", 20_000_000)
    writer = home.writer()
    home.say(writer, *range(30_000), priority=True, pad=1000)
    home.say(writer, 50_000)
    shipper = home.shipper()
    shipper.step()
    assert 50_000 in home.sink.said()
    assert len(home.sink.said()) < 30_000


def test_no_instance_waits_for_another_one_that_never_stops(home, monkeypatch):
    monkeypatch.setattr(shipper_module, "PASS_BYTES", 1)
    writers = [home.writer() for _ in range(4)]
    for n, writer in enumerate(writers):
        home.say(writer, n)
    shipper = home.shipper()
    for turn in range(8):
        shipper.step()
        home.say(writers[0], 100 + turn)
    assert {0, 1, 2, 3} <= set(home.sink.said())


def test_once_ends_while_a_writer_never_stops(home, monkeypatch):
    monkeypatch.setattr(shipper_module, "PASS_BYTES", 1)
    writer = home.writer()
    home.say(writer, *range(10))
    real, more = home.sink.deliver, iter(range(1000, 1500))

    def deliver(batch):
        home.say(writer, next(more))
        return real(batch)

    home.sink.deliver = deliver
    home.shipper().once()
    assert set(range(10)) <= set(home.sink.said())


def test_what_is_acknowledged_already_does_not_end_once_before_its_time(home, monkeypatch):
    monkeypatch.setattr(shipper_module, "READ_BYTES", 1)
    writer = home.writer()
    home.say(writer, *range(3000), pad=1000)
    home.shipper().once()
    home.say(writer, 3000)
    home.shipper().once()
    assert home.sink.said() == list(range(3001))


def test_once_says_so_when_acknowledgements_cannot_be_saved(home, monkeypatch):
    home.say(home.writer(), 1)

    def fail(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Acknowledged, "save", fail)
    monkeypatch.setattr(shipper_module.time, "sleep", lambda s: setattr(home, "now", home.now + s))
    with pytest.raises(StoreUnavailable, match="No space left"):
        home.shipper().once()


@pytest.mark.parametrize("seed", range(12))
def test_a_shipper_killed_at_any_moment_loses_and_doubles_nothing(home, seed):
    """Between two kills writers go on, die and close; the sink keeps what it was given, as a store does."""
    chance = random.Random(seed)
    said, writers = [], [home.writer() for _ in range(3)]
    for turn in range(12):
        for writer in writers:
            numbers = [turn * 1000 + writers.index(writer) * 100 + k for k in range(chance.randrange(8))]
            home.say(writer, *numbers, priority=chance.random() < 0.3)
            said += numbers
        if chance.random() < 0.3:
            gone = chance.randrange(3)
            writers[gone].close(turn + 1)
            writers[gone] = home.writer()
        shipper = home.shipper(limits=Limits(events=chance.randrange(1, 6)))
        home.sink.plan = [chance.choice([None, None, "away", "lost answer", "some", "short"]) for _ in range(4)]
        crash_after(shipper, chance)
        home.voice.die()
        home.now += 100
    for writer in writers:
        writer.close(99)
    home.sink.plan = []
    home.shipper().once()
    assert sorted(home.sink.said()) == sorted(said)
    assert list(home.spool.glob("*.seg")) == []


class Killed(BaseException):
    pass


def crash_after(shipper, chance):
    """Run some steps and die at a random one of the places where state changes hands."""
    left = chance.randrange(1, 12)

    def maybe(name, owner):
        real = getattr(owner, name)

        def watched(*args, **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            done = real(*args, **kwargs)
            left -= 1
            if left == 0:
                raise Killed
            return done

        return watched

    shipper.dispatch._settle = maybe("_settle", shipper.dispatch)
    shipper._remove = maybe("_remove", shipper)
    shipper.save = maybe("save", shipper)
    try:
        for _ in range(3):
            shipper.step()
            shipper.save()
    except Killed:
        pass
