"""What every bus of a network does when the way to it, or the server, fails: the rows F01–F14 and F32 of the faults."""

import random
import secrets
import socket
import threading
import time
from contextlib import closing, suppress

import pytest
from bus_sites import SITES

from clusterlog.control.bus import base
from clusterlog.control.bus.base import Message
from clusterlog.errors import BusUnreachable, Conflict
from clusterlog.testing.buses import PATIENCE_S, changed, heard, subscribed, until

pytestmark = pytest.mark.engines


@pytest.fixture(params=SITES, scope="module")
def shared_site(request):
    with SITES[request.param]() as site:
        yield site


@pytest.fixture
def site(shared_site):
    """The site as it should be, whatever the test before did to it."""
    yield shared_site
    shared_site.path.thaw()
    shared_site.path.delay_s = 0.0
    shared_site.path.cut()
    shared_site.path.accept()


@pytest.fixture
def cluster():
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def hasty(monkeypatch):
    """Calling it shortens the time that a bus gives a server: before, a slow machine needs all of it."""

    def shorten():
        monkeypatch.setattr(base, "PATIENCE_S", 0.4)
        monkeypatch.setattr(base, "SILENCE_S", 0.9)

    return shorten


def reopened(bus):
    """A link as soon as there can be one: what every agent does, with pauses."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return subscribed(bus.open())
        except BusUnreachable:
            assert time.monotonic() < end
            time.sleep(0.05)


def broken(link):
    """Wait until the link says that it is of no use any more; what it says."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            link.wait(0.5)
        except BusUnreachable as error:
            return str(error)
        assert time.monotonic() < end, "it went on as if nothing had happened"


def refuses(call, *arguments):
    """Whether a call ends with BusUnreachable, and in time."""
    begin = time.monotonic()
    with pytest.raises(BusUnreachable) as refused:
        call(*arguments)
    assert time.monotonic() - begin < PATIENCE_S / 2
    return str(refused.value)


def test_f01_a_closed_port_is_said_with_its_place_and_without_credentials(site, cluster, hasty, caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    hasty()
    said = refuses(site.at(port, cluster).open)
    assert f"127.0.0.1:{port}" in said
    assert "refused" in said.lower()
    assert site.secret not in said and "\n" not in said
    assert not caplog.records


def test_f01_a_server_that_takes_connections_and_says_nothing_is_given_up(site, cluster, hasty):
    site.path.freeze()
    hasty()
    assert f"127.0.0.1:{site.path.port}" in refuses(site.bus(cluster).open)


def test_f01_a_server_that_hangs_up_is_given_up(site, cluster):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        refuses(site.at(listener.getsockname()[1], cluster).open)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 64, b"$-5\r\n", b"*99999999\r\n"])
def test_f14_a_server_that_speaks_something_else_is_given_up(site, cluster, hasty, answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = []

        def talk():
            while True:
                try:
                    near = listener.accept()[0]
                    taken.append(near)
                    near.recv(1)
                    near.sendall(answer)
                except OSError:
                    return

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        hasty()
        assert "\n" not in refuses(site.at(listener.getsockname()[1], cluster).open)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for near in taken:
            near.close()


def test_f02_what_a_killed_server_was_just_told_is_there_afterwards_or_is_not(site, cluster):
    with closing(reopened(site.bus(cluster))) as link, closing(reopened(site.bus(cluster))) as other:
        link.write(b"old", None)
        changed(other, b"old")
        killer = threading.Timer(0.02, site.server.kill)
        killer.start()
        before, refused = b"old", None
        try:
            for each in range(100_000):
                after = b"%d" % each
                link.write(after, before)
                before = after
        except BusUnreachable as error:
            refused = error
        except Conflict:
            pytest.fail("a write that nobody else made was in its way")
        killer.join()
        assert refused is not None
        broken(other)
        with pytest.raises(BusUnreachable):
            site.bus(cluster).open()
        site.server.start()
    with closing(reopened(site.bus(cluster))) as link, closing(reopened(site.bus(cluster))) as other:
        kept = link.read().document
        link.write(b"new", kept)
        changed(other, b"new")


def test_f03_a_cut_connection_is_told_of_at_once_and_the_next_link_finds_what_was_changed_in_the_gap(site, cluster):
    with closing(reopened(site.bus(cluster))) as link, closing(reopened(site.straight(cluster))) as other:
        other.write(b"before", None)
        changed(link, b"before")
        site.path.refuse()
        site.path.cut()
        broken(link)
        other.write(b"in the gap", b"before")
        other.send(b"in the gap")
        refuses(site.bus(cluster).open)
        site.path.accept()
        with closing(reopened(site.bus(cluster))) as again:
            assert again.read().document == b"in the gap"
            other.send(b"after it")
            assert heard(again, 1) == [b"after it"]


def test_f03_a_cut_ends_a_wait_that_goes_on(site, cluster):
    with closing(reopened(site.bus(cluster))) as link:
        cutter = threading.Timer(0.2, site.path.cut)
        cutter.start()
        refuses(link.wait, PATIENCE_S * 10)
        cutter.join()


def test_f03_a_server_that_says_no_more_ends_the_wait(site, cluster):
    with closing(reopened(site.bus(cluster))) as link:
        site.path.half_close()
        broken(link)


@pytest.mark.parametrize("directions", [(), ("there",), ("back",)], ids=["both", "there", "back"])
def test_f04_a_silent_path_is_noticed_by_who_listens(site, cluster, hasty, directions):
    with closing(reopened(site.bus(cluster))) as link:
        site.path.freeze(*directions)
        hasty()
        assert "127.0.0.1" in broken(link)


@pytest.mark.parametrize("directions", [(), ("there",), ("back",)], ids=["both", "there", "back"])
@pytest.mark.parametrize("call", ["read", "write", "lease", "release", "leases", "leased", "send"])
def test_f10_no_call_waits_for_ever_on_a_silent_path(site, cluster, hasty, directions, call):
    arguments = {
        "write": (b"one", None),
        "lease": ("a", b"", 30.0, "e/1"),
        "release": ("a",),
        "leased": ("e/1",),
        "send": (b"",),
    }
    with closing(reopened(site.bus(cluster))) as link:
        site.path.freeze(*directions)
        hasty()
        refuses(getattr(link, call), *arguments.get(call, ()))


def test_f04_a_link_that_is_used_and_quiet_for_longer_than_the_silence_lives_on(site, cluster, monkeypatch):
    with closing(reopened(site.bus(cluster))) as link, closing(reopened(site.straight(cluster))) as other:
        monkeypatch.setattr(base, "SILENCE_S", 3.0)
        end = time.monotonic() + 7.0
        while time.monotonic() < end:
            assert link.wait(0.7) == ()
        other.send(b"still there")
        assert heard(link, 1) == [b"still there"]


def test_f05_a_paused_server_is_noticed_and_what_it_was_told_meanwhile_happens_once(site, cluster, monkeypatch, hasty):
    with closing(reopened(site.bus(cluster))) as link, closing(reopened(site.bus(cluster))) as listener:
        link.write(b"before", None)
        changed(listener, b"before")
        site.server.freeze()
        try:
            hasty()
            refuses(link.write, b"during", b"before")
            broken(listener)
            refuses(site.bus(cluster).open)
        finally:
            site.server.thaw()
    monkeypatch.undo()
    with closing(reopened(site.bus(cluster))) as link:
        # What was sent before the pause may take effect after it: never twice, and never over something newer.
        if link.read().document == b"before":
            with suppress(Conflict):
                link.write(b"during", b"before")
        assert link.read().document == b"during"
        link.write(b"after", b"during")
        assert link.read().document == b"after"


def test_a_slow_path_is_slow_and_nothing_else(site, cluster):
    site.path.delay_s = 0.05
    with closing(reopened(site.bus(cluster))) as link, closing(reopened(site.straight(cluster))) as other:
        link.write(b"one", None)
        changed(other, b"one")
        other.write(b"two", b"one")
        changed(link, b"two")
        link.send(b"message")
        assert heard(other, 1) == heard(link, 1) == [b"message"]


def test_f12_a_server_that_lost_its_data_has_no_document_and_takes_one(site, cluster):
    with closing(reopened(site.bus(cluster))) as link:
        link.write(b"one", None)
        link.lease("a", b"", 30.0, "e/1")
        site.lose()
    with closing(reopened(site.bus(cluster))) as link, closing(reopened(site.bus(cluster))) as other:
        assert link.read().document is None
        assert link.leases() == ()
        with pytest.raises(Conflict):
            link.write(b"two", b"one")
        link.write(b"two", None)
        changed(other, b"two")
        link.lease("a", b"", 30.0, "e/2")
        assert other.leased("e/2") == 1


def test_what_came_before_a_connection_broke_is_heard(site, cluster):
    with closing(reopened(site.bus(cluster))) as link, closing(reopened(site.straight(cluster))) as other:
        other.send(b"last")
        assert until(link, lambda come: Message(b"last") in come) == [Message(b"last")]
        site.path.cut()
        broken(link)


def test_no_fault_is_told_to_loggers(site, cluster, caplog, hasty):
    with closing(reopened(site.bus(cluster))) as link:
        site.path.cut()
        broken(link)
    site.path.freeze()
    hasty()
    refuses(site.bus(cluster).open)
    assert not caplog.records


def test_f13_operators_whose_ways_break_at_random_lose_no_change_and_make_none_twice(site, cluster, monkeypatch):
    """Each adds one to a number: in the end it is what was confirmed, and at most what was left open besides."""
    monkeypatch.setattr(base, "PATIENCE_S", 1.0)
    monkeypatch.setattr(base, "SILENCE_S", 3.0)
    bus = site.bus(cluster)
    with closing(reopened(site.straight(cluster))) as straight:
        straight.write(b"0", None)
    confirmed, open_ends = [], []
    over = threading.Event()
    failures = []

    def operate():
        link = None
        try:
            while not over.is_set():
                try:
                    link = link or bus.open()
                    before = link.read().document
                except BusUnreachable:
                    link = link and link.close()
                    continue
                try:
                    link.write(b"%d" % (int(before) + 1), before)
                    confirmed.append(int(before) + 1)
                except Conflict:
                    pass
                except BusUnreachable:
                    open_ends.append(int(before) + 1)
                    link = link.close()
        except BaseException as error:
            failures.append(error)
        finally:
            if link is not None:
                link.close()

    operators = [threading.Thread(target=operate) for _ in range(3)]
    for each in operators:
        each.start()
    chance = random.Random(cluster)
    for _ in range(25):
        time.sleep(chance.uniform(0.05, 0.3))
        match chance.choice(["cut", "cut", "freeze", "there", "back", "delay", "half"]):
            case "cut":
                site.path.cut()
            case "half":
                site.path.half_close()
            case "delay":
                site.path.delay_s = 0.02
            case "freeze":
                site.path.freeze()
            case direction:
                site.path.freeze(direction)
        time.sleep(chance.uniform(0.0, 0.2))
        site.path.thaw()
        site.path.delay_s = 0.0
    over.set()
    for each in operators:
        each.join()
    monkeypatch.undo()
    assert not failures
    assert confirmed
    with closing(reopened(site.straight(cluster))) as straight:
        assert len(set(confirmed)) == len(confirmed), "two were told that the same change is theirs"
        assert len(confirmed) <= int(straight.read().document) <= len(confirmed) + len(open_ends)
