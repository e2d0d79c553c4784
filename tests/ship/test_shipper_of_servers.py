"""A shipper before a server: several batches at once, ids that are taken, answers that were lost, an end that waits."""

import json
import os
import threading
import time

import pytest

from clusterlog.errors import StoreDenied, StoreUnavailable
from clusterlog.ship.dead.letters import letters
from clusterlog.ship.delivery.batch import Limits
from clusterlog.ship.shipper import GRACE_S
from clusterlog.spool.budget import Budget
from clusterlog.store.base import Outcome

PLACE = ".ds-logs-clusterlog.app-test-{}-{:06d}"


class Server:
    """Before the sink of the test: it can be asked what it holds, and says where it puts what is sent again."""

    def __init__(self, sink):
        self.sink = sink
        self.documents = sink.documents
        self.compared = []
        self.readable = True
        self.away = False
        self.place = PLACE.format("2026.11.03", 1)

    def deliver(self, batch):
        return self.sink.deliver(batch)

    def deliver_placed(self, batch):
        found = self.sink.deliver(batch)
        return [Outcome("stored", place=self.place) if each.status == "stored" else each for each in found]

    def same(self, duplicates):
        self.compared += [delivery.id for delivery, _ in duplicates]
        if self.away:
            raise StoreUnavailable("away")
        return [self.documents[each.id] == each.body if self.readable else None for each, _ in duplicates]

    def flush(self):
        self.sink.flush()

    def close(self):
        self.sink.close()


@pytest.fixture
def server(home):
    home.memory = home.sink
    home.sink = Server(home.sink)
    return home.sink


def events_of(home, writer):
    """The ids of what a writer says next."""
    return lambda n: f"{writer.instance}-{n:011x}"


def shipped(home, **options):
    home.now += 100
    home.shipper(**options).once()


def told_of(home, action):
    return [
        each["clusterlog"]["state"]
        for each in map(json.loads, home.sink.documents.values())
        if each.get("event", {}).get("action") == action
    ]


# Ids that are taken


def test_an_id_under_which_another_event_is_stored_is_kept_aside_and_told(home, server):
    writer = home.writer()
    home.say(writer, 1, 2, 3)
    server.documents[f"{writer.instance}-{3:011x}"] = b'{"n":"of somebody else"}'
    shipper = home.shipper()
    shipper.once()
    (letter,) = letters(home.path / "dead")
    assert (letter.sequence, letter.cause) == (3, "conflict") and json.loads(letter.body)["n"] == 2
    assert letter.reason == "another event is stored under its id"
    assert [each["first_seq"] for each in told_of(home, "dead-letter")] == [3]
    told = shipper.told()
    assert told["conflicts"] == 1 and "another event is stored" in told["warnings"][0]


def test_an_id_under_which_the_same_event_is_stored_is_a_duplicate(home, server):
    writer = home.writer()
    home.say(writer, 1, 2)
    shipped(home)
    (home.path / "run" / "acknowledged.json").unlink()
    (home.path / "run" / "sent.json").unlink(missing_ok=True)
    home.say(writer, 3)
    shipper = home.shipper()
    shipper.once()
    assert server.compared and not list(letters(home.path / "dead"))
    assert shipper.report.duplicates == 3 and shipper.told()["conflicts"] == 0


def test_where_the_shipper_may_not_read_an_id_that_is_taken_counts_as_a_duplicate_with_a_warning(home, server):
    writer = home.writer()
    home.say(writer, 1)
    server.documents[f"{writer.instance}-{2:011x}"] = b"whatever"
    server.readable = False
    shipper = home.shipper()
    shipper.once()
    assert not list(letters(home.path / "dead")) and shipper.report.duplicates == 1
    assert shipper.told()["uncompared"] == 1 and "the right to read" in shipper.told()["warnings"][0]


def test_what_cannot_be_compared_now_is_compared_later(home, server, monkeypatch):
    monkeypatch.setattr("clusterlog.ship.shipper.time.sleep", lambda s: setattr(home, "now", home.now + max(s, 0.1)))
    writer = home.writer()
    home.say(writer, 1)
    server.documents[f"{writer.instance}-{2:011x}"] = b"of somebody else"
    server.away = True
    shipper = home.shipper()
    shipper.step()
    assert not list(letters(home.path / "dead")) and "cannot be compared now" in shipper.error
    server.away = False
    home.now += 100
    shipper.once()
    assert [letter.cause for letter in letters(home.path / "dead")] == ["conflict"]


def test_what_was_sent_before_and_not_answered_is_not_compared(home, server):
    home.say(home.writer(), 1, 2, 3)
    home.memory.plan = ["lost answer"]
    shipper = home.shipper()
    shipper.step()
    home.now += 100
    shipper.step()
    assert server.compared == [] and shipper.report.duplicates == 4


def test_what_a_shipper_may_have_sent_before_it_was_killed_is_not_compared(home, server):
    writer = home.writer()
    home.say(writer, 1, 2, 3)
    killed = home.shipper()
    killed.step()  # stored, and not acknowledged
    home.voice.die()
    home.now += 100
    shipper = home.shipper()
    shipper.once()
    assert server.compared == [] and shipper.report.duplicates >= 4


def test_after_a_good_end_everything_new_is_compared_again(home, server):
    writer = home.writer()
    home.say(writer, 1)
    shipped(home)
    home.say(writer, 2)
    server.documents[f"{writer.instance}-{3:011x}"] = b"of somebody else"
    shipped(home)
    assert [letter.sequence for letter in letters(home.path / "dead")] == [3]


# A rollover between two sendings


def test_what_is_stored_again_in_a_newer_index_is_told_to_be_there_twice_perhaps(home, server):
    now_ns = 1_793_707_200_000_000_000  # 2026-11-03T12:00:00Z
    writer = home.writer()
    for n in range(3):
        writer.append(False, now_ns, b'"n":%d}' % n)
    home.memory.plan = ["away"]  # perhaps it got there
    shipper = home.shipper(wall=lambda: now_ns)
    shipper.step()
    server.place = PLACE.format("2026.11.03", 2)
    home.now += 100
    shipper.step()
    home.now += 100
    shipper.once()
    told = told_of(home, "possible-duplicate")
    assert [(each["instance"], each["first_seq"]) for each in told] == [(writer.instance, n) for n in (1, 2, 3, 4)]
    assert server.place in told[0]["reason"]
    assert shipper.told()["possible_duplicates"] == 4 and "clusterlog verify" in shipper.told()["warnings"][0]


def test_what_is_stored_again_in_the_first_index_is_not_there_twice(home, server):
    home.say(home.writer(), 1, 2)
    home.memory.plan = ["away"]
    shipper = home.shipper()
    shipper.step()
    home.now += 100
    shipper.step()
    assert shipper.told()["possible_duplicates"] == 0 and shipper.report.stored >= 3


# Several at once, and the end


class Stalled(Server):
    """Answers only what it is let."""

    def __init__(self, sink):
        super().__init__(sink)
        self.let = threading.Event()
        self.stalls = lambda batch: True

    def deliver(self, batch):
        if self.stalls(batch):
            self.let.wait(60)
        return super().deliver(batch)

    deliver_placed = deliver


@pytest.fixture
def stalled(home):
    home.memory = home.sink
    sink = home.sink = Stalled(home.sink)
    yield sink
    sink.let.set()


def test_segments_go_though_later_events_are_still_under_way(home, stalled):
    writer = home.writer(budget=Budget(limit=4 << 20))
    home.say(writer, *range(300), pad=1000)
    first, *_ = home.segments()
    stalled.stalls = lambda batch: batch[-1].sequence > 290
    shipper = home.shipper(limits=Limits(events=50, at_once=4), monotonic=time.monotonic)
    while shipper.dispatch.settled < 250:
        shipper.step()
    shipper.save()
    assert shipper.dispatch.in_flight and first not in home.segments()
    assert home.segments()  # what is under way lies there
    stalled.let.set()
    while shipper.dispatch.in_flight:
        shipper.step()
    shipper.once()
    assert sorted(home.memory.said()) == list(range(300))


def test_the_end_waits_ten_seconds_for_what_is_under_way_and_no_longer(home, stalled):
    home.say(home.writer(), 1, 2)
    clock = iter(range(1000, 100_000))
    shipper = home.shipper(limits=Limits(at_once=2), monotonic=lambda: float(next(clock)))
    shipper.step()
    begun = next(clock)
    shipper.finish()
    assert next(clock) - begun < 20 * GRACE_S  # each look at this clock takes a second
    home.sink = Server(home.memory)
    home.now += 100
    again = home.shipper()
    again.once()
    assert home.memory.said() == [1, 2] and not list(letters(home.path / "dead"))
    assert home.sink.compared == []  # the first life noted that it had sent them


def test_the_end_takes_along_what_is_answered_meanwhile(home, stalled):
    home.say(home.writer(), *range(10))
    shipper = home.shipper(limits=Limits(events=2, at_once=4), monotonic=time.monotonic)
    shipper.dispatch.many.limit = 4
    shipper.step()
    assert shipper.dispatch.in_flight
    stalled.let.set()
    assert shipper.finish()
    assert sorted(home.memory.said()) == list(range(10)) and home.memory.states("close")


def test_after_the_end_no_thread_and_no_descriptor_is_left(home, stalled):
    def threads():
        return {each for each in threading.enumerate() if each.name == "clusterlog-deliver"}

    others, open_before = threads(), set(os.listdir("/proc/self/fd"))
    writer = home.writer()
    home.say(writer, *range(10))
    stalled.stalls = lambda batch: False
    home.memory.refuse = lambda delivery: "no" if delivery.sequence == 3 else None
    shipper = home.shipper(limits=Limits(events=2, at_once=4), monotonic=time.monotonic)
    shipper.dispatch.many.limit = 4
    while shipper.dispatch.settled < 10:
        shipper.step()
    assert threads() - others
    assert shipper.finish()
    writer.close(time.time_ns())
    for each in threads() - others:
        each.join(30)
    assert not threads() - others
    assert set(os.listdir("/proc/self/fd")) <= open_before


def test_once_says_at_once_what_a_person_has_to_mend(home, server):
    home.say(home.writer(), 1)
    server.deliver = server.deliver_placed = refuse
    with pytest.raises(StoreDenied, match="wrong password"):
        home.shipper().once()


def refuse(batch):
    raise StoreDenied("wrong password (401)")


def test_status_tells_how_it_goes(home, server):
    home.say(home.writer(), 1)
    shipper = home.shipper(limits=Limits(at_once=8))
    shipper.once()
    told = shipper.told()
    assert (told["store"], told["breaker"], told["in_flight"]) == ("reachable", "closed", 0)
    assert told["batches"] >= 1 and told["latency_s"] >= 0 and told["warnings"] == []
    home.memory.plan = ["away"] * 9
    home.say(home.writer(), 2)
    shipper = home.shipper()
    for _ in range(9):
        shipper.step()
        home.now += 70
    told = shipper.told()
    assert (told["store"], told["breaker"]) == ("unreachable", "half-open") and told["retried"] > 0
