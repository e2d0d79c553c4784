"""Redis watched by Sentinel: the whole contract, and what happens when another server becomes the master."""

import time
from contextlib import ExitStack, closing

import pytest
from bus_servers import SentinelCluster

from clusterlog.control.bus import base
from clusterlog.control.bus.base import Gap
from clusterlog.control.bus.redis.address import address
from clusterlog.control.bus.redis.link import RedisBus
from clusterlog.errors import BusUnreachable, Conflict
from clusterlog.testing.buses import PATIENCE_S, BusContract, changed, heard, subscribed

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def watched():
    with closing(SentinelCluster()) as cluster:
        yield cluster


class TestSentinelBus(BusContract):
    rounds = 100

    @pytest.fixture(autouse=True)
    def _server(self, watched):
        self.server = watched

    def bus(self, cluster):
        return RedisBus(address(self.server.url), cluster)


def until_broken(link):
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            link.wait(0.2)
        except BusUnreachable:
            return
        assert time.monotonic() < end


def reopened(bus):
    with ExitStack() as stack:
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                link = stack.enter_context(closing(subscribed(bus.open())))
                stack.pop_all()
                return link
            except BusUnreachable:
                assert time.monotonic() < end
                time.sleep(0.05)


def test_a_fail_over_is_noticed_by_who_listens_and_the_next_link_is_to_the_new_master(start_sentinel, monkeypatch):
    cluster = start_sentinel()
    bus = RedisBus(address(cluster.url), "fail-over")
    with closing(reopened(bus)) as link:
        link.write(b"before", None)
        assert link._push.where == f"127.0.0.1:{cluster.first.port}"
        assert cluster.first.ask("WAIT", 1, 10_000) == 1
        cluster.fail_over()
        monkeypatch.setattr(base, "SILENCE_S", 1.0)
        until_broken(link)
    monkeypatch.undo()
    with closing(reopened(bus)) as link:
        assert link._push.where == link._commands.where == f"127.0.0.1:{cluster.second.port}"
        assert link.read().document == b"before"
        link.write(b"after", b"before")
        changed(link, b"after")


def test_f11_a_fail_over_that_loses_the_last_write_gives_the_one_before_and_takes_the_next(start_sentinel):
    cluster = start_sentinel()
    bus = RedisBus(address(cluster.url), "lost")
    with closing(reopened(bus)) as link:
        link.write(b"kept", None)
        assert cluster.first.ask("WAIT", 1, 10_000) == 1
        cluster.second.freeze()
        cluster.first.ask("CLIENT", "KILL", "TYPE", "replica")
        link.write(b"lost", b"kept")
        assert link.read().document == b"lost"
        cluster.first.kill()
        cluster.second.thaw()
        until_broken(link)
    cluster.until_master(cluster.second)
    with closing(reopened(bus)) as link:
        assert link.read().document == b"kept"
        with pytest.raises(Conflict):
            link.write(b"next", b"lost")
        link.write(b"next", b"kept")
        changed(link, b"next")


def test_the_master_is_found_while_one_sentinel_lives(start_sentinel):
    cluster = start_sentinel()
    bus = RedisBus(address(cluster.url), "one")
    cluster.sentinels[0].kill()
    cluster.sentinels[1].freeze()
    try:
        with closing(reopened(bus)) as link:
            link.send(b"message")
            assert heard(link, 1) == [b"message"]
    finally:
        cluster.sentinels[1].thaw()
    cluster.sentinels[1].kill()
    cluster.sentinels[2].kill()
    with pytest.raises(BusUnreachable) as refused:
        bus.open()
    assert all(f"127.0.0.1:{each.port}: " in str(refused.value) for each in cluster.sentinels)


def test_a_master_that_no_sentinel_knows_is_said(watched):
    with pytest.raises(BusUnreachable, match="watches no master called other"):
        RedisBus(address(watched.url.replace(watched.master, "other"))).open()


def test_a_redis_that_is_no_sentinel_is_said(watched):
    with pytest.raises(BusUnreachable, match=f"127.0.0.1:{watched.first.port}: .*SENTINEL"):
        RedisBus(address(f"redis+sentinel://127.0.0.1:{watched.first.port}/{watched.master}")).open()


def test_every_link_begins_with_a_gap(watched):
    with closing(RedisBus(address(watched.url), "gap").open()) as link:
        assert link.wait(PATIENCE_S) == (Gap(),)
