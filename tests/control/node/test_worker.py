"""A worker on its bus: it follows, proves, hears, and goes on whatever becomes of the bus."""

import logging
import time

import pytest

from clusterlog.control.bus.memory import MemoryBus
from clusterlog.control.node import worker as module

SHORT_S = 2.0
"""The life of a rule whose end is waited for: long enough to be seen in force on a busy machine."""


def level(logger):
    return logging.getLevelName(logger.getEffectiveLevel())


def test_a_change_is_in_force_and_proven(make_worker, operator, logger, until):
    """I1, I4: what a lease says is in force when it says so."""
    make_worker(heartbeat_s=60)
    until(operator.nodes)
    change = operator.put(logger.name, logging.DEBUG)
    until(lambda: operator.leased(change.document.version) == 1)
    assert level(logger) == "DEBUG"
    ((node,), (worker,)) = (operator.nodes(), operator.nodes()[0].workers)
    assert (node.node, node.service, node.state) == ("n1", "shop", "up")
    assert worker.status.applied == str(change.document.version)
    assert worker.status.loggers[logger.name] == "DEBUG"
    assert worker.status.rules[change.rules[0].id].state == "applied"


def test_after_the_end_of_a_rule_all_report_the_base_again(make_worker, operator, logger, until):
    make_worker(heartbeat_s=60)
    until(operator.nodes)
    operator.put(logger.name, logging.DEBUG, SHORT_S)
    until(lambda: level(logger) == "DEBUG")
    rule = until(lambda: operator.nodes()[0].workers[0].status.rules)
    until(lambda: operator.nodes()[0].workers[0].status.rules[next(iter(rule))].state == "expired")
    status = operator.nodes()[0].workers[0].status
    assert status.loggers.get(logger.name) == "INFO" and level(logger) == "INFO"


def test_a_bus_that_is_down_before_the_start_is_found_when_it_is_there(make_worker, operator, bus, logger, until):
    """F01."""
    bus.gone = True
    worker = make_worker()
    until(lambda: worker.faults["BusUnreachable"])
    operator.put(logger.name, logging.DEBUG)
    assert level(logger) == "INFO"
    bus.gone = False
    until(lambda: level(logger) == "DEBUG")


def test_a_connection_that_was_cut_during_a_change_is_caught_up(make_worker, operator, bus, logger, until):
    """F03: whatever was missed is read after the next subscription."""
    worker = make_worker()
    until(operator.nodes)
    bus.gone = True
    change = operator.put(logger.name, logging.DEBUG)
    until(lambda: worker.faults["BusUnreachable"])
    bus.gone = False
    until(lambda: operator.leased(change.document.version) == 1)
    assert level(logger) == "DEBUG" and bus.opened >= 2


def test_while_the_bus_is_away_rules_end_on_time_and_are_reported_later(make_worker, operator, bus, logger, until):
    """F09, I2."""
    worker = make_worker()
    until(operator.nodes)
    change = operator.put(logger.name, logging.DEBUG, SHORT_S)
    until(lambda: level(logger) == "DEBUG")
    bus.gone = True
    until(lambda: level(logger) == "INFO")
    until(lambda: worker.faults["BusUnreachable"])
    bus.gone = False

    def reported():
        told = operator.nodes()[0].workers[0].status.rules.get(change.rules[0].id)
        return told is not None and told.state == "expired"

    until(reported)


class Frozen(MemoryBus):
    """A bus whose answers do not come: a lock that somebody holds, a server that was stopped."""

    frozen = False

    def open(self):
        link = super().open()
        waited = link.wait

        def wait(timeout_s):
            found = waited(timeout_s)
            while self.frozen:
                time.sleep(0.01)
            return found

        link.wait = wait
        return link


def test_rules_end_on_time_also_while_an_answer_of_the_bus_does_not_come(
    make_worker, operator, logger, until, tmp_path
):
    """F22, F05: expiry waits for nobody."""
    bus = Frozen(str(tmp_path), "test")
    make_worker(near=bus)
    until(lambda: operator.nodes(bus))
    operator.put(logger.name, logging.DEBUG, SHORT_S, over=bus)
    until(lambda: level(logger) == "DEBUG")
    bus.frozen = True
    try:
        until(lambda: level(logger) == "INFO")
        assert bus.frozen
    finally:
        bus.frozen = False


def test_the_document_is_read_again_when_the_wall_clock_was_set(make_worker, operator, until, monkeypatch):
    """4.3: after resume and after a clock jump."""
    worker = make_worker(heartbeat_s=60)
    until(operator.nodes)
    looks, set_forward = [], [0]
    skew = worker._skew
    monkeypatch.setattr(worker, "_skew", lambda: skew() + set_forward[0])
    monkeypatch.setattr(worker.hand, "looked", lambda *_: looks.append(1))

    def read_again():
        set_forward[0] += 3600 * 10**9
        worker.wake()
        return looks

    until(read_again)


def test_leaving_gives_the_lease_back(make_worker, operator, until):
    worker = make_worker()
    until(operator.nodes)
    worker.stop(30)
    assert operator.nodes() == ()


def test_a_worker_that_stopped_has_no_thread_left(make_worker, operator, until):
    worker = make_worker()
    until(operator.nodes)
    worker.stop(30)
    assert not worker._thread.is_alive()


def test_all_workers_of_all_nodes_prove_a_change(make_worker, operator, logger, until):
    for node in ("n1", "n1", "n2"):
        make_worker(node=node)
    until(lambda: sum(len(each.workers) for each in operator.nodes()) == 3)
    change = operator.put(logger.name, logging.DEBUG)
    until(lambda: operator.leased(change.document.version) == 3)
    assert [(node.node, [w.status.number for w in node.workers]) for node in operator.nodes()] == [
        ("n1", [1, 2]),
        ("n2", [1]),
    ]


def test_who_comes_and_who_goes_is_told_to_those_who_listen(make_worker, operator, until):
    first = make_worker(node="n1")
    until(lambda: first._watch.nodes)  # those it finds at its first look have not come, they are there
    second = make_worker(node="n2")
    until(lambda: ("join", "n2") in [(each.what, each.node) for each in first.changes])
    second.stop(30)
    until(lambda: ("leave", "n2") in [(each.what, each.node) for each in first.changes])


def test_a_killed_node_is_silent_at_once_and_said_to_be(make_worker, operator, until, told):
    """Silence: its lock is free, though its lease has not run out."""
    first = make_worker(node="n1")
    until(lambda: first._watch.nodes)  # those it finds at its first look have not come, they are there
    second = make_worker(node="n2")
    until(lambda: ("join", "n2") in [(each.what, each.node) for each in first.changes])
    second.seat.leave()  # as the kernel does
    until(lambda: ("silence", "n2") in [(each.what, each.node) for each in first.changes])
    silences = until(lambda: [said for said in told if said[0] == "silence"])
    assert silences[0][1].startswith("n2 of shop is silent: no word for ")
    assert silences[0][3] == {"service": "shop", "node": "n2", "host": "host"}


def test_of_a_node_that_lives_on_the_leases_of_killed_workers_are_taken_back(make_worker, operator, until):
    """F19: a recycled worker is replaced, not missed."""
    first = make_worker(node="n1")
    until(lambda: first.seat is not None and first.seat.keeper)
    second = make_worker(node="n1")
    until(lambda: [len(node.workers) for node in operator.nodes()] == [2])
    second._lease = lambda link: None
    second.seat.leave()
    until(lambda: [len(node.workers) for node in operator.nodes()] == [1])


def test_messages_are_heard_by_the_others_and_not_by_oneself(make_worker, until):
    first, second = make_worker(), make_worker()
    heard, own = [], []
    second.board.subscribe("cache", "flush", heard.append)
    first.board.subscribe("cache", "flush", own.append)
    until(lambda: first.attached.is_set() and second.attached.is_set())

    def sent():
        first.board.send("cache", "flush", {"key": 1})
        return heard

    until(sent)
    assert heard[0] == {"key": 1} and not own


def test_a_gap_is_told_after_every_connection(make_worker, bus, until):
    worker = make_worker()
    gaps = []
    worker.board.subscribe("cache", "flush", lambda data: None, on_gap=lambda: gaps.append(1))
    until(worker.attached.is_set)
    before = len(gaps)
    bus.gone = True
    worker.wake()
    until(lambda: worker.faults["BusUnreachable"])
    bus.gone = False
    until(lambda: len(gaps) > before)


def test_a_fault_of_ours_is_counted_and_the_worker_goes_on(make_worker, operator, logger, until, monkeypatch):
    worker = make_worker(start=False)
    monkeypatch.setattr(module, "LOOK_S", 0.1)
    looked = worker.hand.looked
    faults = iter([RuntimeError("ours")] * 2)

    def faulty(*arguments):
        for fault in faults:
            raise fault
        return looked(*arguments)

    monkeypatch.setattr(worker.hand, "looked", faulty)
    worker.start()
    operator.put(logger.name, logging.DEBUG)
    until(lambda: level(logger) == "DEBUG")
    assert worker.faults["internal_error"] == 2


@pytest.mark.parametrize("role", ["apply", "send"])
def test_where_there_is_no_seat_to_be_had_levels_are_followed_all_the_same(
    make_worker, operator, logger, until, role, monkeypatch
):
    """F21: a home that cannot be written."""
    worker = make_worker(role=role, start=False)

    def refused():
        raise PermissionError("no")

    worker._seated = refused
    worker.start()
    until(operator.nodes)
    operator.put(logger.name, logging.DEBUG)
    until(lambda: level(logger) == "DEBUG")
    assert worker.faults["no_seat"] == 1
