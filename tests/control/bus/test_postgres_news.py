"""How a link to PostgreSQL hears of what is new: by NOTIFY, by looking, and what it says of what it cannot know."""

import secrets
import socket
import time
from contextlib import closing

import psycopg
import pytest

from clusterlog.control.bus import base
from clusterlog.control.bus.base import Changed, Gap, Message
from clusterlog.control.bus.postgres import link as links
from clusterlog.control.bus.postgres.link import PostgresBus
from clusterlog.control.bus.postgres.tables import BATCH, channel
from clusterlog.errors import BusUnreachable
from clusterlog.testing.buses import PATIENCE_S, changed, heard, messages, subscribed, until


@pytest.fixture
def cluster():
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def opened(postgres_server, cluster):
    """Opens links that are subscribed, and closes them."""
    open_links = []

    def begin(url="", more=""):
        link = PostgresBus(url or postgres_server.url(more=more), cluster).open()
        open_links.append(link)
        return subscribed(link)

    yield begin
    for each in open_links:
        each.close()


def test_a_lease_notifies_nobody_and_a_change_only_of_its_hash(postgres_server, cluster, opened):
    link = opened()
    with psycopg.connect(postgres_server.url(), autocommit=True) as listener:
        listener.execute(f"LISTEN {channel('clusterlog', cluster)}".encode())
        link.lease("a", b"x" * 2000, 30.0, "e/1")
        link.release("a")
        link.write(b"x" * 32768, None)
        link.send(b"y" * 32768)
        told = [each.payload for each in listener.notifies(timeout=PATIENCE_S, stop_after=2)]
    assert [each[0] for each in told] == ["d", "m"]
    assert max(map(len, told)) <= 65


def test_where_nobody_may_listen_a_link_looks(monkeypatch, opened):
    looking, other = opened(more="?listen=off"), opened()
    monkeypatch.setattr(base, "SILENCE_S", PATIENCE_S * 100)
    other.write(b"document", None)
    changed(looking, b"document")
    other.send(b"message")
    assert heard(looking, 1) == [b"message"]


def test_a_change_whose_notification_was_lost_is_found_by_looking_and_soon_it_is_looked_more_often(
    postgres_server, cluster, monkeypatch, opened
):
    link = opened()
    monkeypatch.setattr(base, "SILENCE_S", 1.0)
    for count in range(3):
        body = f"'{count}'::bytea"
        postgres_server.run(
            f"INSERT INTO clusterlog.document VALUES ('{cluster}', {body}, now())"
            f" ON CONFLICT (cluster) DO UPDATE SET body = {body}"
        )
        changed(link, b"%d" % count)
    monkeypatch.setattr(base, "SILENCE_S", PATIENCE_S * 100)
    postgres_server.run(f"UPDATE clusterlog.document SET body = 'last' WHERE cluster = '{cluster}'")
    changed(link, b"last")


def test_a_document_that_is_gone_is_a_change(postgres_server, cluster, opened, monkeypatch):
    link = opened()
    link.write(b"one", None)
    changed(link, b"one")
    monkeypatch.setattr(base, "SILENCE_S", 1.0)
    postgres_server.run(f"DELETE FROM clusterlog.document WHERE cluster = '{cluster}'")
    assert until(link, bool) == [Changed()]
    assert link.read().document is None


def test_f12_tables_that_are_older_than_they_were_are_told_as_a_gap_and_what_comes_is_heard(
    postgres_server, cluster, opened, monkeypatch
):
    link = opened()
    for each in range(5):
        link.send(b"%d" % each)
    assert heard(link, 5) == [b"0", b"1", b"2", b"3", b"4"]
    monkeypatch.setattr(base, "SILENCE_S", 1.0)
    postgres_server.run(
        f"UPDATE clusterlog.sent SET last = 2 WHERE cluster = '{cluster}'",
        f"DELETE FROM clusterlog.message WHERE cluster = '{cluster}' AND id > 2",
    )
    assert until(link, lambda come: Gap() in come) == [Gap()]
    link.send(b"after it")
    assert heard(link, 1) == [b"after it"]


def test_messages_that_were_trimmed_before_they_were_fetched_leave_a_gap(postgres_server, cluster, opened):
    link, other = opened(), opened()
    for each in range(5):
        other.send(b"%d" % each)
    postgres_server.run(f"DELETE FROM clusterlog.message WHERE cluster = '{cluster}' AND id IN (2, 3)")
    come = until(link, lambda come: len(messages(come)) == 3)
    assert come == [Message(b"0"), Gap(), Message(b"3"), Message(b"4")]


def test_old_messages_are_trimmed_by_those_who_send_and_the_newest_stays(postgres_server, cluster, opened):
    link = opened()
    for each in range(20):
        link.send(b"%d" % each)
    postgres_server.run(f"UPDATE clusterlog.message SET at = at - interval '2 min' WHERE cluster = '{cluster}'")
    link.send(b"one")
    link.send(b"two")
    kept = postgres_server.run(f"SELECT id FROM clusterlog.message WHERE cluster = '{cluster}' ORDER BY id")
    assert kept == [(21,), (22,)]


def test_more_messages_than_are_fetched_at_once_come_in_their_order(opened):
    link, other = opened(), opened()
    count = 2 * BATCH + 3
    for each in range(count):
        other.send(b"%d" % each)
    assert heard(link, count) == [b"%d" % each for each in range(count)]


def test_a_lease_that_ran_out_more_than_a_day_ago_is_forgotten(postgres_server, cluster, opened):
    link = opened()
    for key in ("long ago", "today"):
        link.lease(key, b"", 30.0, "e/1")
    postgres_server.run(
        f"UPDATE clusterlog.lease SET said = said - interval '25 h' WHERE cluster = '{cluster}' AND key = 'long ago'"
    )
    assert [each.key for each in link.leases()] == ["today"]
    opened()
    assert postgres_server.run(f"SELECT key FROM clusterlog.lease WHERE cluster = '{cluster}'") == [("today",)]


def test_a_link_whose_server_lost_its_tables_says_so_and_the_next_one_makes_them(postgres_server, cluster):
    bus = PostgresBus(postgres_server.url(more=f"?schema={cluster}"), cluster)
    with closing(bus.open()) as link:
        postgres_server.run(f"DROP SCHEMA {cluster} CASCADE")
        with pytest.raises(BusUnreachable, match=cluster):
            link.read()
    with closing(bus.open()) as link:
        assert link.read().document is None
    postgres_server.run(f"DROP SCHEMA {cluster} CASCADE")


def test_another_thread_ends_a_wait_also_while_a_silent_server_is_asked(postgres_server, cluster, monkeypatch, opened):
    """The look is sent, its answer never comes: the wake does not wait for it, and the next call finds it out."""
    from faulty_path import FaultyPath

    with FaultyPath(postgres_server.port) as path:
        link = opened(postgres_server.url(port=path.port))
        path.freeze()
        monkeypatch.setattr(base, "SILENCE_S", 0.0)
        assert link.wait(0.05) == ()  # the look is under way now
        begin = time.monotonic()
        link.wake()
        assert link.wait(PATIENCE_S) == ()
        assert time.monotonic() - begin < base.PATIENCE_S
        monkeypatch.setattr(base, "PATIENCE_S", 0.5)
        with pytest.raises(BusUnreachable, match="no answer"):
            link.read()


@pytest.mark.engines
def test_behind_a_pooler_that_gives_out_connections_for_a_transaction_a_link_looks_by_itself(
    postgres_server, start_pgbouncer, opened, monkeypatch
):
    pooled, straight = opened(start_pgbouncer(postgres_server).url), opened()
    monkeypatch.setattr(base, "SILENCE_S", PATIENCE_S * 100)
    for count in range(5):
        straight.send(b"%d" % count)
        assert heard(pooled, 1) == [b"%d" % count]
    pooled.write(b"document", None)
    changed(straight, b"document")
    straight.write(b"another", b"document")
    changed(pooled, b"another")


@pytest.mark.engines
def test_behind_a_pooler_for_sessions_a_url_can_say_that_notifications_come(
    postgres_server, start_pgbouncer, opened, monkeypatch
):
    monkeypatch.setattr(links, "POLL_S", PATIENCE_S * 100)
    pooled, straight = opened(f"{start_pgbouncer(postgres_server, 'session').url}?listen=on"), opened()
    monkeypatch.setattr(base, "SILENCE_S", PATIENCE_S * 100)
    straight.send(b"message")
    assert heard(pooled, 1) == [b"message"]


def test_a_port_that_another_protocol_listens_at_is_said_in_one_line(cluster):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"postgresql://app:secret@127.0.0.1:{listener.getsockname()[1]}/shop"
        listener.close()
        with pytest.raises(BusUnreachable) as refused:
            PostgresBus(url, cluster).open()
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)
