"""What a sink does not take is sent again without end, or found and kept aside alone: never the good with the bad."""

import json
import random
import threading
from itertools import pairwise
from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterlog.errors import StoreDenied, StoreUnavailable
from clusterlog.ship.delivery.batch import PROBE_EVENTS
from clusterlog.ship.delivery.crew import deliver
from clusterlog.ship.delivery.dispatch import CONVICT_AFTER, GROW_AFTER, HALVINGS
from clusterlog.ship.delivery.pace.breaker import OPEN_AFTER
from clusterlog.store.base import Outcome


def numbers_of(batch):
    return {each.sequence for each in batch}


def poisoned(*poison, advice="bisect"):
    return lambda batch: StoreUnavailable("cannot read it", advice) if numbers_of(batch) & set(poison) else None


# What is in a batch that cannot be read


@pytest.mark.parametrize("at", [0, 1, 249, 250, 498, 499])
def test_one_event_that_spoils_a_request_is_found_by_halving_and_all_others_are_stored(desk, server, make, at):
    server.fault = poisoned(at)
    desk.dispatch.offer([make(n) for n in range(500)])
    desk.run()
    assert server.numbers() == [n for n in range(500) if n != at]
    assert [(number, reason) for number, _, reason in desk.dead] == [(at, "cannot read it")]
    assert len(server.requests) <= 2 * log2(512) + 4
    assert desk.dispatch.error == ""


def test_several_events_that_spoil_requests_are_all_found(desk, server, make):
    bad = {0, 1, 2, 77, 300, 499}
    server.fault = poisoned(*bad)
    desk.dispatch.offer([make(n) for n in range(500)])
    desk.run()
    assert {number for number, _, _ in desk.dead} == bad
    assert server.numbers() == sorted(set(range(500)) - bad)
    assert len(server.requests) <= len(bad) * (2 * log2(512) + 4)


def test_who_cannot_read_any_request_is_no_store_and_no_event_is_held_responsible(desk, server, make):
    server.fault = lambda batch: StoreUnavailable("400: what?", "bisect")
    desk.dispatch.offer([make(n) for n in range(3000)])
    desk.run(600)
    assert not desk.dead and desk.dispatch.error == "400: what?"
    assert len(server.requests) <= 2 * HALVINGS + 600 / 30
    server.fault = lambda batch: None
    desk.run()
    assert server.numbers() == list(range(3000)) and not desk.dead


def test_a_single_event_that_spoils_requests_waits_until_others_show_that_it_is_the_event(desk, server, make):
    server.fault = poisoned(7)
    desk.dispatch.offer([make(7)])
    desk.run(600)
    assert not desk.dead
    desk.dispatch.offer([make(8)])
    desk.run()
    assert [number for number, _, _ in desk.dead] == [7] and server.numbers() == [8]


def test_an_event_at_which_the_connection_breaks_is_found_when_others_pass(desk, server, make):
    server.fault = poisoned(123, advice="again")
    desk.dispatch.offer([make(n) for n in range(500)])
    desk.run(24 * 3600)
    assert server.numbers() == [n for n in range(500) if n != 123]
    # With nothing else to send nobody can tell it from a network that is gone.
    for n in range(1000, 1000 + 2 * CONVICT_AFTER):
        desk.dispatch.offer([make(n)])
        desk.run(120)
    desk.run(24 * 3600)
    assert [number for number, _, _ in desk.dead] == [123]


@pytest.mark.parametrize("seed", range(8))
def test_a_network_that_breaks_at_random_makes_no_event_a_dead_letter(desk, server, make, seed):
    chance = random.Random(seed)
    server.fault = lambda batch: StoreUnavailable("reset") if chance.random() < 0.4 else None
    server.lose_answer = lambda batch: chance.random() < 0.2
    for n in range(0, 2000, 5):
        desk.dispatch.offer([make(k) for k in range(n, n + 5)])
        desk.run(60 * chance.random())
    desk.run(24 * 3600)
    assert not desk.dead and sorted(desk.safe) == server.numbers() == list(range(2000))


# What is too large


def limited(most):
    return lambda batch: StoreUnavailable("413", "halve") if sum(len(each.body) for each in batch) > most else None


def test_what_is_too_much_for_one_request_goes_in_smaller_ones_that_grow_again(stage, make):
    desk = stage(bytes=1 << 20)
    server = desk.server
    server.fault = limited(300_000)
    desk.dispatch.offer([make(n, pad=1000) for n in range(1000)])
    desk.run()
    assert server.numbers() == list(range(1000)) and not desk.dead
    small = desk.dispatch.size.limit
    assert small <= 300_000
    server.fault = lambda batch: None
    for n in range(GROW_AFTER * 20):
        desk.dispatch.offer([make(2000 + n)])
        desk.run()
    assert small < desk.dispatch.size.limit <= 1 << 20


def test_a_single_event_that_is_too_large_is_cut_once_and_stored(desk, server, make):
    server.fault = limited(60_000)
    desk.dispatch.offer([make(1, pad=100_000), make(2)])
    desk.run()
    assert server.numbers() == [1, 2] and not desk.dead
    cut = json.loads(server.stored[make(1).id])
    assert cut["clusterlog"]["repair"]["reason"].startswith("too large: cut from")
    assert desk.dispatch.figures.repaired == 1


def test_a_single_event_that_is_too_large_even_when_it_is_cut_is_kept_aside(desk, server, make):
    server.fault = limited(200)
    desk.dispatch.offer([make(1, labels={f"n{n}": n for n in range(4000)}), make(2)])
    desk.run()
    assert [(number, reason) for number, _, reason in desk.dead] == [(1, "413")]
    assert len(desk.letters[0].body) > 40_000  # as it was said
    assert server.numbers() == [2]


def test_a_server_to_which_everything_is_too_large_takes_no_event_with_it(desk, server, make):
    server.fault = limited(0)
    desk.dispatch.offer([make(n, pad=10) for n in range(2000)])
    desk.run(600)
    assert not desk.dead and len(server.requests) < 100
    server.fault = lambda batch: None
    desk.run()
    assert server.numbers() == list(range(2000))


# Who is away, busy, or does not allow it


def test_while_nobody_answers_a_few_events_probe_and_nothing_is_read(desk, server, make):
    server.fault = lambda batch: StoreUnavailable("nobody answers")
    desk.dispatch.offer([make(n) for n in range(400)])
    desk.run(7200)
    assert not desk.dead and len(list(desk.dispatch.unsettled())) == 400
    assert {len(request) for request in server.requests[OPEN_AFTER:]} <= {*range(PROBE_EVENTS + 1)}
    assert len(server.requests) < 7200 / 20
    server.fault = lambda batch: None
    assert desk.run() < 120
    assert server.numbers() == list(range(400)) and desk.dispatch.wants()


def test_a_probe_that_breaks_off_as_it_did_before_others_were_taken_is_followed_by_more_probes(desk, server, make):
    breaks = StoreUnavailable("reset", "again", 0.0)
    server.fault = lambda batch: breaks if 1 in numbers_of(batch) else None
    desk.dispatch.offer([make(1)])
    desk.dispatch.turn()
    desk.now += 0.3
    desk.dispatch.turn()
    desk.now += 0.3
    desk.dispatch.offer([make(2)])
    desk.dispatch.turn()
    assert server.requests == [[1], [1], [2]]
    server.fault = lambda batch: StoreDenied("wrong password (401)")
    desk.dispatch.offer([make(3)])
    desk.dispatch.turn()
    server.fault = lambda batch: breaks if 1 in numbers_of(batch) else None
    desk.run(600)
    assert server.numbers() == [2, 3]
    server.fault = lambda batch: None
    desk.run(600)
    assert server.numbers() == [1, 2, 3]


def test_too_many_requests_for_an_hour_cost_nothing_but_the_hour(stage, make):
    desk = stage(events=50)
    server = desk.server
    until = desk.now + 3600
    asked = []

    def busy(batch):
        asked.append(desk.now)
        return StoreUnavailable("too much to do", "slower") if desk.now < until else None

    server.fault = busy
    desk.dispatch.offer([make(n) for n in range(500)])
    desk.run(4000)
    assert server.numbers() == list(range(500)) and not desk.dead
    assert len(asked) < 3600 / 20
    assert desk.now < until + 120
    assert desk.dispatch.error == ""


def test_a_server_that_names_a_time_is_not_asked_before(desk, server, make):
    answers = [StoreUnavailable("wait", "slower", 100.0)]
    asked = []
    server.fault = lambda batch: (asked.append(desk.now), answers.pop() if answers else None)[1]
    desk.dispatch.offer([make(1)])
    desk.run()
    assert asked[1] - asked[0] >= 100.0


def test_items_that_are_busy_are_sent_again_and_no_others(desk, server, make):
    busy = {1, 3, 5}
    server.verdict = lambda each: Outcome("retry", "queue is full") if each.sequence in busy else None
    desk.dispatch.offer([make(n) for n in range(8)])
    desk.dispatch.turn()
    assert server.requests == [list(range(8))] and desk.dispatch.error == "queue is full"
    assert desk.dispatch.wants()
    server.verdict = lambda each: None
    desk.run()
    assert server.requests[1:] == [[1, 3, 5]] and desk.dispatch.error == ""


def test_one_event_that_is_always_busy_is_never_kept_aside(desk, server, make):
    server.verdict = lambda each: Outcome("retry", "busy") if each.sequence == 1 else None
    desk.dispatch.offer([make(n) for n in range(5)])
    desk.run(24 * 3600)
    assert not desk.dead and len(server.requests) < 24 * 60 * 4
    server.verdict = lambda each: None
    desk.run()
    assert 1 in server.numbers()


def test_what_a_person_must_mend_for_some_events_holds_up_no_others(desk, server, make):
    server.verdict = lambda each: Outcome("blocked", "no right on this stream") if each.sequence % 2 else None
    desk.dispatch.offer([make(n) for n in range(20)])
    desk.dispatch.turn()
    assert server.numbers() == list(range(0, 20, 2)) and desk.dispatch.error == "no right on this stream"
    desk.dispatch.offer([make(n) for n in range(20, 40)])
    desk.run(600)
    assert server.numbers() == list(range(0, 40, 2)) and not desk.dead
    assert len(server.requests) < 2 + 2 * 600 / 30 + 2
    server.verdict = lambda each: None
    desk.run(120)
    assert server.numbers() == list(range(40))


def test_why_events_wait_is_what_was_said_of_them_and_not_what_was_said_before(desk, server, make):
    server.fault = lambda batch: StoreUnavailable("a page of a proxy")
    desk.dispatch.offer([make(1)])
    desk.dispatch.turn()
    assert (desk.dispatch.error, desk.dispatch.told()["store"]) == ("a page of a proxy", "unreachable")
    server.fault = lambda batch: None
    server.verdict = lambda each: Outcome("blocked", "no template")
    desk.run(600)
    assert (desk.dispatch.error, desk.dispatch.told()["store"]) == ("no template", "refusing")
    server.verdict = lambda each: Outcome("retry", "full")
    desk.run(61)
    assert (desk.dispatch.error, desk.dispatch.told()["store"]) == ("full", "refusing")


@pytest.mark.parametrize("error", [StoreDenied("wrong password (401)"), StoreUnavailable("leads elsewhere", "wait")])
def test_who_refuses_us_is_asked_rarely_and_with_little_until_somebody_has_mended_it(desk, server, make, error):
    server.fault = lambda batch: error
    desk.dispatch.offer([make(n) for n in range(300)])
    desk.run(3600)
    assert not desk.dead and desk.dispatch.error == str(error) and desk.dispatch.failure is error
    assert len(server.requests) < 3600 / 30
    assert all(len(request) <= PROBE_EVENTS for request in server.requests[1:])
    server.fault = lambda batch: None
    desk.run(61)
    assert server.numbers() == list(range(300))


def test_what_waits_for_a_person_is_bounded_in_memory(stage, make):
    desk = stage(bytes=10_000)
    server = desk.server
    server.verdict = lambda each: Outcome("blocked", "no right") if each.sequence % 2 else None
    offered = 0
    while desk.dispatch.wants():
        desk.dispatch.offer([make(n, pad=100) for n in range(offered, offered + 10)])
        offered += 10
        desk.dispatch.turn()
    assert sum(len(each.body) for each in desk.dispatch.unsettled()) < 3 * 10_000 + 10 * 400


def test_an_event_that_cannot_be_kept_aside_stays_and_is_tried_again(desk, server, make, refused):
    server.verdict = lambda each: refused() if each.sequence == 1 else None
    desk.unkept = True
    desk.dispatch.offer([make(n) for n in range(3)])
    desk.dispatch.turn()
    assert numbers_of(desk.dispatch.unsettled()) == {1}
    desk.unkept = False
    desk.run()
    assert [number for number, _, _ in desk.dead] == [1]


# One repair


def test_a_field_that_is_refused_is_moved_once_and_the_event_stored_under_its_id(desk, server, make, refused):
    reason = "failed to parse field [a.b] of type [long]"
    server.verdict = lambda each: refused(reason) if "a" in json.loads(each.body) else None
    desk.dispatch.offer([make(1, a={"b": "x"}), make(2)])
    desk.run()
    assert server.numbers() == [1, 2] and not desk.dead
    assert json.loads(server.stored[make(1).id])["labels"] == {"a.b": "x"}
    assert desk.dispatch.figures.repaired == 1 and sorted(desk.safe) == [1, 2]


def test_what_is_refused_even_so_is_kept_aside_after_two_sendings(desk, server, make, refused):
    server.verdict = lambda each: refused("failed to parse field [a] of type [long]")
    desk.dispatch.offer([make(1, a="x")])
    desk.run()
    assert len(server.requests) == 2
    assert desk.letters == [make(1, a="x")]  # as it was said, for the day when somebody has mended the mapping


# Several at once


class Slow:
    """A server whose answers come when the test lets them, in any order."""

    def __init__(self, server):
        self.server = server
        self.lock = threading.Condition()
        self.under_way = self.most = 0
        self.gates = {}

    def deliver(self, batch):
        gate = threading.Event()
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.gates[batch[0].sequence] = gate
            self.lock.notify()
        gate.wait(30)
        with self.lock:
            self.under_way -= 1
            return self.server.deliver(batch)

    def wait_for(self, count):
        with self.lock:
            assert self.lock.wait_for(lambda: len(self.gates) >= count, 20)
            return sorted(self.gates)

    def open(self, *first):
        for number in first:
            with self.lock:
                gate = self.gates.pop(number)
            gate.set()


def test_as_many_batches_are_under_way_as_the_server_bears_and_eight_at_most(stage, make):
    desk = stage(Slow, events=1, at_once=8)
    slow, server = desk.sink, desk.server
    desk.dispatch.offer([make(n) for n in range(200)])
    seen = []
    while server.numbers() != list(range(200)):
        desk.dispatch.turn()
        count = desk.dispatch.in_flight
        seen.append(count)
        slow.open(*slow.wait_for(count))
        while desk.dispatch.in_flight:
            desk.dispatch.collect(1.0)
    assert slow.most == 8 and seen[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(seen))


def test_answers_may_come_in_any_order_and_each_settles_its_own_events(stage, make):
    desk = stage(Slow, events=2, at_once=4)
    slow = desk.sink
    desk.dispatch.many.limit = 4
    desk.dispatch.offer([make(n) for n in range(9)])
    desk.dispatch.turn()
    assert slow.wait_for(4) == [0, 2, 4, 6]
    slow.open(4)
    while len(desk.safe) < 2:
        desk.dispatch.collect(1.0)
    assert desk.safe == [4, 5] and numbers_of(desk.dispatch.unsettled()) == {0, 1, 2, 3, 6, 7, 8}
    slow.open(0, 2, 6)
    while desk.dispatch.in_flight:
        desk.dispatch.collect(1.0)
    assert sorted(desk.safe) == list(range(8))


def test_a_server_that_has_too_much_to_do_gets_half_of_it(stage, make):
    desk = stage(events=1, at_once=8)
    desk.dispatch.many.limit = 8
    desk.server.fault = lambda batch: StoreUnavailable("429", "slower")
    desk.dispatch.offer([make(n) for n in range(30)])
    desk.dispatch.turn()
    while desk.dispatch.in_flight:
        desk.dispatch.collect(1.0)
    assert desk.dispatch.many.limit == 4


def test_a_defect_in_a_thread_that_delivers_is_met_by_the_shipper(stage, make):
    def broken(batch):
        raise RuntimeError("a defect")

    desk = stage(at_once=2)
    desk.server.fault = broken
    desk.dispatch.offer([make(1)])
    desk.dispatch.turn()
    with pytest.raises(RuntimeError, match="a defect"):
        desk.dispatch.collect(5.0)


# Everything at once

FAULTS = ["bisect", "again", "slower", "wait", "halve", "lost", "some busy", "some blocked", ""]


class AnyOrder:
    """Several hands whose requests arrive when they are sent, and whose answers come one at a time, in any order."""

    def __init__(self, sink, chance):
        self.in_flight = {}
        self._sink, self._chance = sink, chance
        self._answers = {}

    def give(self, errand):
        self.in_flight[id(errand)] = errand
        self._answers[id(errand)] = deliver(self._sink, errand)

    def answers(self, wait_s=0.0):
        if not self.in_flight or (wait_s == 0.0 and self._chance.random() < 0.7):
            return []
        first = self._chance.choice(list(self.in_flight))
        del self.in_flight[first]
        return [self._answers.pop(first)]

    def close(self):
        pass


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(FAULTS), max_size=60),
    st.sets(st.integers(0, 79), max_size=3),
    st.lists(st.integers(1, 20), min_size=1, max_size=8),
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(0, 1 << 32),
)
def test_the_good_are_stored_once_and_only_the_bad_are_kept_aside(
    stage, make, faults, bad, portions, most, at_once, seed
):
    desk, script = stage(events=most), iter(faults)
    server = desk.server
    if at_once > 1:
        desk.dispatch._crew = AnyOrder(desk.sink, random.Random(seed))
        desk.dispatch.many.most = desk.dispatch.many.limit = at_once
    state = {"now": ""}

    def fault(batch):
        if numbers_of(batch) & bad:
            return StoreUnavailable("cannot read it", "bisect")
        state["now"] = next(script, "")
        if state["now"] in ("again", "slower", "wait"):
            return StoreUnavailable(state["now"], state["now"])
        if state["now"] in ("bisect", "halve") and len(batch) > 1:
            return StoreUnavailable(state["now"], state["now"])
        return None

    def verdict(delivery):
        if delivery.sequence % 3 == 0 and state["now"].startswith("some"):
            return Outcome("retry" if state["now"] == "some busy" else "blocked", "later")
        return None

    server.fault, server.verdict = fault, verdict
    server.lose_answer = lambda batch: state["now"] == "lost"
    n = 0
    for portion in portions:
        desk.dispatch.offer([make(k) for k in range(n, n + portion)])
        n += portion
        desk.run(1.0)
    desk.dispatch.offer([make(1000)])  # something that shows that the server takes events
    desk.run(24 * 3600)
    desk.dispatch.offer([make(1001)])
    desk.run(24 * 3600)
    good = {*range(n), 1000, 1001} - bad
    assert set(server.numbers()) == good
    assert sorted(desk.safe) == sorted(good)
    assert sorted(number for number, _, _ in desk.dead) == sorted(bad & set(range(n)))
    assert desk.dispatch.is_empty() and desk.dispatch.error == ""
