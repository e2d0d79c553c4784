"""Hosts of a cluster over real servers and a path on which everything can happen; the invariants afterwards.

I1: all end on the store's document. I2: nobody is more verbose than the base after a rule's time. I3: nobody applies
what is to be rejected. I4: proofs claim what is in force. I6: when all rules are over every level is the base.
"""

import logging
import secrets

import pytest
from bus_sites import SITES

from clusterlog.control.bus import base

pytestmark = pytest.mark.engines


@pytest.fixture(params=SITES, scope="module")
def shared_site(request):
    with SITES[request.param]() as site:
        yield site


@pytest.fixture
def site(shared_site):
    yield shared_site
    shared_site.path.thaw()
    shared_site.path.cut()
    shared_site.path.accept()


@pytest.fixture
def cluster():
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def network(site, cluster):
    return site.bus(cluster)


@pytest.fixture
def straight(site, cluster):
    """The bus past everything that befalls the path: the operator's way."""
    return site.straight(cluster)


@pytest.fixture
def hasty(monkeypatch):
    def shorten():
        monkeypatch.setattr(base, "PATIENCE_S", 1.0)
        monkeypatch.setattr(base, "SILENCE_S", 2.0)

    return shorten


@pytest.fixture
def hosts(host, operator, straight, until):
    """Two hosts with three workers, joined."""

    def joined():
        workers = [host("a", "n1"), host("a", "n1"), host("b", "n2")]
        until(lambda: [(node.node, len(node.workers)) for node in operator.nodes(straight)] == [("n1", 2), ("n2", 1)])
        return workers

    return joined


def level(logger):
    return logging.getLevelName(logger.getEffectiveLevel())


@pytest.fixture
def whole(operator, straight, until, logger):
    """Everything is as it should be: a change reaches all and is proven, and taking it back restores the base."""

    def check(workers):
        change = operator.put(logger.name, logging.DEBUG, over=straight)
        until(lambda: operator.leased(change.document.version, straight) == 2, "the proof of all nodes")
        assert level(logger) == "DEBUG"
        assert {worker.hand.desired.version for worker in workers} == {str(change.document.version)}
        over = operator.reset(over=straight)
        until(lambda: operator.leased(over.document.version, straight) == 2)
        assert (logger.level, type(logger.level)) == (logging.INFO, int)

    return check


def test_f01_a_server_that_is_not_there_yet_is_found_when_it_is(host, site, operator, straight, logger, until, whole):
    site.path.refuse()
    site.path.cut()
    workers = [host("a", "n1"), host("b", "n2")]
    until(lambda: all(worker.agent and worker.agent.faults["BusUnreachable"] for worker in workers))
    change = operator.put(logger.name, logging.DEBUG, over=straight)
    assert level(logger) == "INFO"
    site.path.accept()
    until(lambda: operator.leased(change.document.version, straight) == 2)
    assert level(logger) == "DEBUG"
    operator.reset(over=straight)
    whole(workers)


def test_f03_what_changed_while_the_connection_was_cut_is_caught_up(
    hosts, site, operator, straight, logger, until, whole
):
    workers = hosts()
    site.path.refuse()
    site.path.cut()
    change = operator.put(logger.name, logging.DEBUG, over=straight)
    site.path.accept()
    until(lambda: operator.leased(change.document.version, straight) == 2)
    assert level(logger) == "DEBUG"
    operator.reset(over=straight)
    whole(workers)


def test_f04_a_path_that_goes_silent_is_noticed_and_left(hosts, site, operator, straight, logger, until, whole, hasty):
    workers = hosts()
    hasty()
    connections = site.path.connections
    site.path.freeze()
    change = operator.put(logger.name, logging.DEBUG, over=straight)
    until(lambda: site.path.connections > connections)
    assert level(logger) == "INFO"
    site.path.thaw()
    until(lambda: operator.leased(change.document.version, straight) == 2)
    operator.reset(over=straight)
    whole(workers)


def test_f05_f09_rules_end_on_time_while_nobody_can_be_asked_and_are_reported_as_ended_afterwards(
    hosts, site, operator, straight, logger, until, whole, hasty
):
    workers = hosts()
    change = operator.put(logger.name, logging.DEBUG, 2, over=straight)
    until(lambda: level(logger) == "DEBUG")
    hasty()
    site.server.freeze()
    try:
        until(lambda: level(logger) == "INFO", "the end of the rule")
    finally:
        site.server.thaw()
    rule = change.rules[0].id

    def reported():
        told = [w.status.rules.get(rule) for node in operator.nodes(straight) for w in node.workers]
        return len(told) == 3 and all(each is not None and each.state == "expired" for each in told)

    until(reported)
    whole(workers)


def test_f02_a_server_that_is_killed_during_a_change_and_started_again_has_all_follow(
    hosts, site, operator, straight, logger, until, whole
):
    workers = hosts()
    operator.put(logger.name, logging.DEBUG, over=straight)
    site.server.kill()
    site.server.start()
    change = operator.put(logger.name, logging.WARNING, over=straight)
    until(lambda: operator.leased(change.document.version, straight) == 2)
    assert level(logger) == "WARNING"
    operator.reset(over=straight)
    whole(workers)


def test_f12_a_server_that_lost_its_data_takes_nothing_away_and_the_next_change_holds_again(
    hosts, site, operator, straight, logger, until, whole
):
    workers = hosts()
    before = operator.put(logger.name, logging.DEBUG, over=straight)
    until(lambda: operator.leased(before.document.version, straight) == 2)
    site.lose()
    site.path.cut()
    until(lambda: [(node.node, len(node.workers)) for node in operator.nodes(straight)] == [("n1", 2), ("n2", 1)])
    assert level(logger) == "DEBUG"
    after = operator.put(logger.name, logging.WARNING, over=straight)
    until(lambda: operator.leased(after.document.version, straight) == 2)
    assert level(logger) == "WARNING" and after.document.version > before.document.version
    operator.reset(over=straight)
    whole(workers)


def test_f15_what_somebody_else_has_written_is_followed_by_nobody(
    hosts, straight, operator, logger, until, whole, signed
):
    workers = hosts()
    link = straight.open()
    link.write(b'{"schema":"clusterlog.control/1","rules":[]}', link.read().document)
    until(lambda: all(worker.agent.faults["signature"] for worker in workers if worker.agent))
    link.close()
    assert level(logger) == "INFO"
    assert operator.reset(over=straight)
    whole(workers)


def test_messages_pass_between_hosts_over_it(hosts, until):
    first, _, third = hosts()
    heard = []
    third.board.subscribe("cache", "flush", heard.append)
    until(lambda: first.board.send("cache", "flush", {"key": 7}) and heard)
    assert heard[0] == {"key": 7}
