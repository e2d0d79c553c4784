"""The agent of a home: the document comes down, one proof for each node goes up, messages pass once."""

import logging
import time
from itertools import count

import pytest


@pytest.fixture
def network(bus):
    """What stands for the bus between hosts."""
    bus.local = False
    return bus


def level(logger):
    return logging.getLevelName(logger.getEffectiveLevel())


def shape(nodes):
    return [(node.node, node.state, len(node.workers)) for node in nodes]


def test_a_change_reaches_all_workers_of_all_hosts_and_each_node_proves_it_once(host, operator, logger, until):
    host("a", "n1")
    host("a", "n1")
    host("b", "n2")
    until(lambda: shape(operator.nodes()) == [("n1", "up", 2), ("n2", "up", 1)])
    change = operator.put(logger.name, logging.DEBUG)
    until(lambda: operator.leased(change.document.version) == 2)
    assert level(logger) == "DEBUG"
    applied = {w.status.applied for node in operator.nodes() for w in node.workers}
    assert applied == {str(change.document.version)}


def test_a_change_is_proven_when_workers_have_it_and_not_with_the_next_heartbeat(
    host, operator, logger, until, monkeypatch
):
    worker = host("a", "n1", heartbeat_s=3600.0)
    until(lambda: worker.agent is not None and worker.agent.attached.is_set())
    first = operator.put(logger.name, logging.DEBUG)
    until(lambda: operator.leased(first.document.version) == 1)
    for name in ("handed", "looked"):
        take = getattr(worker.hand, name)
        monkeypatch.setattr(worker.hand, name, lambda *told, take=take: (time.sleep(0.1), take(*told))[1])
    second = operator.put(logger.name, logging.WARNING)
    until(lambda: operator.leased(second.document.version) == 1)
    assert level(logger) == "WARNING"


def test_a_node_counts_as_having_it_only_when_all_its_workers_do(host, operator, logger, until):
    """I4: acks never claim more than is in force."""
    first = host("a", "n1")
    until(lambda: first.agent is not None)
    second = host("a", "n1")
    until(lambda: shape(operator.nodes()) == [("n1", "up", 2)])
    second.hand.looked = second.hand.handed = lambda *_: False  # it does not follow
    change = operator.put(logger.name, logging.DEBUG)
    until(lambda: operator.nodes()[0].workers[0].status.applied == str(change.document.version))
    assert operator.leased(change.document.version) == 0
    assert operator.nodes()[0].workers[1].status.applied == ""


def test_when_the_keeper_is_gone_another_worker_speaks_for_the_home(host, operator, logger, until):
    """F20."""
    first = host("a", "n1")
    until(lambda: first.agent is not None and first.agent.attached.is_set())
    second = host("a", "n1")
    until(lambda: shape(operator.nodes()) == [("n1", "up", 2)])
    first.stop(30)
    until(lambda: second.agent is not None and second.agent.attached.is_set())
    change = operator.put(logger.name, logging.DEBUG)
    until(lambda: operator.leased(change.document.version) == 1)
    until(lambda: shape(operator.nodes()) == [("n1", "up", 1)])


def test_rules_end_on_time_while_the_host_is_cut_off_and_it_catches_up_afterwards(
    host, operator, network, logger, until
):
    """F09, F02: the network away for longer than the rule lives, and a change meanwhile."""
    worker = host("a", "n1")
    until(operator.nodes)
    operator.put(logger.name, logging.DEBUG, 2.0)
    until(lambda: level(logger) == "DEBUG")
    network.gone = True
    until(lambda: level(logger) == "INFO")
    change = operator.put(logger.name, logging.ERROR, over=network.bus)
    until(lambda: worker.agent.faults["BusUnreachable"])
    network.gone = False
    until(lambda: operator.leased(change.document.version) == 1)
    assert level(logger) == "ERROR"


def test_what_the_home_was_told_last_holds_while_the_network_is_away_at_the_start(
    host, operator, network, logger, until
):
    first = host("a", "n1")
    until(operator.nodes)
    operator.put(logger.name, logging.DEBUG)
    until(lambda: level(logger) == "DEBUG")
    until(lambda: (first.hand._state.read() or (b"", None))[0])
    network.gone = True
    first.stop(30)
    first.hand.end()
    assert level(logger) == "INFO"
    host("a", "n1")
    until(lambda: level(logger) == "DEBUG")


def test_a_forged_document_goes_no_further_than_the_agent(host, operator, network, logger, until, signed):
    """F15, I3."""
    worker = host("a", "n1")
    until(operator.nodes)
    link = network.bus.open()
    link.write(b'{"rules":[]}', None)
    until(lambda: worker.agent.faults["signature"])
    assert level(logger) == "INFO" and worker.hand.desired.document is None
    link.close()


def test_a_store_that_lost_everything_takes_no_rule_away_before_its_end(host, operator, network, logger, until, signed):
    """F12: nodes keep what they have until it ends, and the next change repairs the order."""
    host("a", "n1")
    until(operator.nodes)
    before = operator.put(logger.name, logging.DEBUG)
    until(lambda: operator.leased(before.document.version) == 1)
    link = network.bus.open()
    link._kept.document = None
    after = operator.put(logger.name, logging.WARNING)
    assert after.document.version > before.document.version
    until(lambda: operator.leased(after.document.version) == 1)
    assert level(logger) == "WARNING"
    link.close()


def test_messages_pass_between_hosts_once_and_never_come_back(host, until):
    first, second, third = host("a", "n1"), host("a", "n1"), host("b", "n2")
    for worker in (first, second, third):
        worker.heard = []
        worker.board.subscribe("cache", "flush", worker.heard.append)
    until(lambda: any(w.agent is not None and w.agent.attached.is_set() for w in (first, second)))
    until(lambda: third.agent is not None and third.agent.attached.is_set())
    number = count()

    def sent():
        first.board.send("cache", "flush", next(number))
        return third.heard

    until(sent)
    last = next(number)
    first.board.send("cache", "flush", last)
    until(lambda: last in third.heard and last in second.heard)
    assert not first.heard
    for worker in (second, third):
        assert len(worker.heard) == len(set(worker.heard))


def test_the_first_of_those_who_watch_tells_everybody_of_a_new_host(host, operator, until):
    first = host("a", "n1")
    until(lambda: shape(operator.nodes()) == [("n1", "up", 1)])
    until(lambda: first.agent._watch.nodes)
    host("b", "n2")
    until(lambda: shape(operator.nodes()) == [("n1", "up", 1), ("n2", "up", 1)])


def test_two_hosts_with_nodes_of_one_name_both_work_and_are_told_apart(host, operator, logger, until):
    """F30: a cloned image."""
    host("a", "n1", machine="host-a")
    host("b", "n1", machine="host-b")
    until(lambda: [(node.host, node.conflict) for node in operator.nodes()] == [("host-a", True), ("host-b", True)])
    change = operator.put(logger.name, logging.DEBUG)
    until(lambda: operator.leased(change.document.version) == 2)
    assert level(logger) == "DEBUG"
