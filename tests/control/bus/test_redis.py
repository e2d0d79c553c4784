import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress

import pytest
from bus_servers import RedisServer
from certificates import Certificates
from engine_servers import NOBODY, free_ports
from faulty_path import FaultyPath

from clusterlog.control.bus import base
from clusterlog.control.bus.base import KEPT_S, MOST_MESSAGE, Changed, Gap, Message
from clusterlog.control.bus.redis.address import Place, address
from clusterlog.control.bus.redis.link import MOST_AT_ONCE, PUSHED, RedisBus
from clusterlog.control.bus.redis.scripts import Keys
from clusterlog.errors import BusDenied, BusUnreachable, SettingError
from clusterlog.testing.buses import PATIENCE_S, BusContract, changed, heard, messages, subscribed, until


def until_broken(link):
    """What comes until the link says that it is of no use any more."""
    end = time.monotonic() + PATIENCE_S
    come = []
    while True:
        try:
            come += link.wait(0.2)
        except BusUnreachable:
            return come
        assert time.monotonic() < end


class TestRedisBus(BusContract):
    @pytest.fixture(autouse=True)
    def _server(self, redis_server):
        self.server = redis_server

    def bus(self, cluster):
        return RedisBus(address(self.server.url), cluster)

    def test_a_document_that_is_small_is_pushed_and_a_large_one_is_said_to_be_there(self, link, other):
        small, large = b"s" * PUSHED, b"l" * (PUSHED + 1)
        link.write(small, None)
        assert until(other, bool) == [Changed(small)]
        link.write(large, small)
        assert until(other, bool) == [Changed(None)]
        assert other.read().document == large

    def test_a_second_word_that_one_is_subscribed_is_a_gap(self, link):
        """What stands between may have connected anew without a word: a proxy, or a client library."""
        link._push.say("SUBSCRIBE", link._keys.messages)
        assert until(link, bool) == [Gap()]

    def test_f14_what_strangers_push_is_no_document_and_no_message(self, cluster, link):
        keys = Keys(cluster)
        for size in (MOST_MESSAGE + 1, 10 << 20):
            self.server.ask("PUBLISH", keys.messages, b"x" * size)
            assert until(link, bool) == [Gap()]
        self.server.ask("PUBLISH", keys.changed, b"d" + b"x" * (PUSHED + 1))
        assert until(link, bool) == [Changed(None)]
        self.server.ask("PUBLISH", keys.changed, b"")
        assert until(link, bool) == [Changed(None)]
        self.server.ask("PUBLISH", keys.changed, b"\xff\0garbage")
        assert until(link, bool) == [Changed(None)]

    def test_f14_what_strangers_put_among_the_leases_is_left_out(self, cluster, link):
        keys = Keys(cluster)
        link.lease("a", b"body", 30.0, "e/1")
        self.server.ask("HSET", keys.leases, "b", "nonsense", b"\xff", b"1 2 e/1\nbody")
        assert "a" in [lease.key for lease in link.leases()]
        assert "b" not in [lease.key for lease in link.leases()]
        link.lease("b", b"", 30.0, "e/1")
        assert link.leased("e/1") == 2

    def test_f14_keys_of_another_kind_are_said(self, cluster, link):
        self.server.ask("LPUSH", Keys(cluster).document, "1")
        with pytest.raises(BusUnreachable, match="wrong kind of value"):
            link.read()

    def test_a_lease_that_ran_out_a_day_ago_is_forgotten_with_the_next(self, cluster, link):
        keys = Keys(cluster)
        link.lease("a", b"", 30.0, "e/1")
        now = link.read().now_ns // 1000
        long_ago = now - int((KEPT_S + 60) * 1e6)
        self.server.ask("HSET", keys.leases, "a", f"{long_ago} 30000000 e/1\n")
        self.server.ask("ZADD", keys.ends, long_ago + 30_000_000, "a")
        assert link.leases() == ()
        link.lease("b", b"", 30.0, "e/1")
        assert self.server.ask("HKEYS", keys.leases) == ["b"]
        assert self.server.ask("ZRANGE", f"{keys.version}e/1", 0, -1) == ["b"]

    def test_a_wait_ends_however_much_comes_and_the_next_goes_on(self, link, other):
        for each in range(MOST_AT_ONCE * 2):
            other.send(b"%d" % each)
        batches, end = [], time.monotonic() + PATIENCE_S
        while sum(map(len, batches)) < MOST_AT_ONCE * 2:
            batches.append(link.wait(0.5))
            assert time.monotonic() < end
        assert max(map(len, batches)) <= MOST_AT_ONCE
        assert [notice for batch in batches for notice in batch] == [
            Message(b"%d" % each) for each in range(MOST_AT_ONCE * 2)
        ]

    def test_nothing_is_left_of_versions_that_nobody_has(self, cluster, link):
        keys = Keys(cluster)
        for each in range(5):
            link.lease("a", b"", 30.0, f"e/{each}")
        left = {key.removeprefix(keys.prefix) for key in self.server.ask("KEYS", "*") if key.startswith(keys.prefix)}
        assert left == {"leases", "leases:ends", "leases:version:e/4"}
        assert 0 < self.server.ask("PTTL", f"{keys.version}e/4") <= 30_000
        link.release("a")
        assert not [key for key in self.server.ask("KEYS", "*") if key.startswith(keys.prefix)]


# addresses


@pytest.mark.parametrize(
    ("url", "places", "name"),
    [
        ("redis://cache", (Place("cache", 6379),), "redis://cache:6379"),
        ("redis://u:p%40ss@a:1,b,[::1]:3/2", (Place("a", 1), Place("b", 6379), Place("::1", 3)), None),
        ("rediss://:p@ss@a", (Place("a", 6379),), "rediss://a:6379"),
        ("redis+sentinel://a,b:1/main/3", (Place("a", 26379), Place("b", 1)), "redis+sentinel://a:26379,b:1/main/3"),
        ("redis://a?password_file=/x", (Place("a", 6379),), "redis://a:6379"),
    ],
)
def test_an_address_names_servers_and_shows_no_credentials(url, places, name):
    found = address(url)
    assert found.places == places
    assert found.name == (name or "redis://a:1,b:6379,[::1]:3/2")
    for shown in (found.name, repr(found)):
        assert "p@ss" not in shown and "p%40ss" not in shown


def test_an_address_has_login_database_master_and_certificates(tmp_path):
    file = tmp_path / "password"
    file.write_text("x\n")
    options = f"ca_file=/ca&sentinel_user=w&sentinel_password_file={file}"
    found = address(f"rediss+sentinel://u:p%40s%2Fs@a/main/3?{options}", own="/own")
    assert (found.login.user, found.login.password()) == ("u", "p@s/s")
    assert (found.sentinel_login.user, found.sentinel_login.password()) == ("w", "x")
    assert (found.master, found.number) == ("main", 3)
    assert (found.tls.ca, found.tls.own) == ("/ca", "/own")
    assert address("redis://a", ca="/ca").tls is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://", "host:port"),
        ("redis://a:0", "host:port"),
        ("redis://a:b", "host:port"),
        ("redis://a,,b", "host:port"),
        ("redis://[::1", "host:port"),
        ("redis://sesame@a", "a user without a password"),
        ("redis://:ses,ame@a", "%2C"),
        ("redis://a/sesame", "number"),
        ("redis+sentinel://a", "which master"),
        ("redis://a?pasword_file=sesame", "did you mean password_file"),
    ],
)
def test_an_address_that_cannot_be_right_is_refused_without_a_secret(url, said):
    with pytest.raises(SettingError, match=said) as refused:
        address(url)
    assert "sesame" not in str(refused.value)


def test_without_the_client_library_the_extra_is_named():
    program = (
        "import sys; sys.modules['redis'] = None\n"
        "from clusterlog.control.bus.opening import bus_at\n"
        "from clusterlog.settings import load\n"
        "bus_at('redis://a', load({'home': '/nowhere'}, environ={}))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 'pip install "clusterlog[redis]"' in ran.stderr


# one of several


def replica_of(start_redis, server):
    replica = start_redis(f"replicaof 127.0.0.1 {server.port}")
    end = time.monotonic() + PATIENCE_S
    while replica.ask("ROLE")[3] != "connected":
        assert time.monotonic() < end
        time.sleep(0.02)
    return replica


def several(*ports):
    return RedisBus(address("redis://" + ",".join(f"127.0.0.1:{port}" for port in ports)), "several")


def test_of_several_servers_the_one_that_takes_changes_is_found(redis_server, start_redis):
    replica = replica_of(start_redis, redis_server)
    with pytest.raises(BusUnreachable, match="is a replica"):
        several(replica.port).open()
    with closing(several(*free_ports(1), replica.port, redis_server.port).open()) as link:
        assert link._commands.where == link._push.where == f"127.0.0.1:{redis_server.port}"


def test_f01_a_server_that_says_nothing_leaves_the_others_their_time(redis_server):
    with FaultyPath(redis_server.port) as path:
        path.freeze()
        with closing(several(path.port, redis_server.port).open()) as link:
            assert link.read().now_ns


def test_what_stood_against_each_server_is_said(monkeypatch):
    ports = free_ports(2)
    with pytest.raises(BusUnreachable) as refused:
        several(*ports).open()
    assert all(f"127.0.0.1:{port}: " in str(refused.value) for port in ports)
    assert str(refused.value).lower().count("refused") == 2


def test_a_master_that_became_a_replica_is_noticed_and_left_for_its_successor(start_redis, monkeypatch):
    first = start_redis()
    second = replica_of(start_redis, first)
    bus = several(first.port, second.port)
    with closing(subscribed(bus.open())) as link:
        link.write(b"document", None)
        monkeypatch.setattr(base, "SILENCE_S", 1.0)
        second.ask("REPLICAOF", "NO", "ONE")
        first.ask("REPLICAOF", "127.0.0.1", second.port)
        until_broken(link)
    monkeypatch.undo()
    with closing(subscribed(bus.open())) as link:
        assert link._commands.where == f"127.0.0.1:{second.port}"


# rights and credentials


def test_f16_a_node_that_may_not_change_levels_can_do_all_else(redis_server):
    keys = Keys("rights")
    redis_server.ask("DEL", keys.document)
    redis_server.ask(
        *("ACL", "SETUSER", "node", "reset", "on", ">sesame", "+@all", "-@admin", "-@dangerous"),
        *(f"~{keys.leases}*", f"%R~{keys.document}", f"&{keys.prefix}*"),
    )
    node = RedisBus(address(f"redis://node:sesame@127.0.0.1:{redis_server.port}"), "rights")
    with (
        closing(subscribed(node.open())) as link,
        closing(RedisBus(address(redis_server.url), "rights").open()) as chief,
    ):
        chief.write(b"document", None)
        changed(link, b"document")
        link.lease("a", b"", 30.0, "e/1")
        assert link.leased("e/1") == 1
        assert [lease.key for lease in link.leases()] == ["a"]
        link.release("a")
        link.send(b"message")
        assert heard(link, 1) == [b"message"]
        with pytest.raises(BusDenied) as refused:
            link.write(b"mine", b"document")
        assert "\n" not in str(refused.value) and "sesame" not in str(refused.value)
        assert chief.read().document == b"document"


def test_its_connections_are_two_and_have_our_name(start_redis):
    server = start_redis()
    with closing(RedisBus(address(server.url)).open()):
        assert str(server.ask("CLIENT", "LIST")).count("clusterlog") == 2


@pytest.mark.parametrize("may", ["+role", "-role"])
def test_who_may_not_know_the_role_of_a_server_asks_for_it_once(start_redis, may):
    server = start_redis()
    server.ask("ACL", "SETUSER", "node", "on", ">sesame", "+@all", "~*", "&*", may)
    bus = RedisBus(address(f"redis://node:sesame@127.0.0.1:{server.port}"), "role")
    with closing(subscribed(bus.open())) as link:
        for _ in range(3):
            link._looked_at = 0.0
            assert link.wait(0.0) == ()
        asked = int(server.ask("INFO", "commandstats")["cmdstat_role"]["calls"]) if may == "+role" else 0
        refused = sum(int(entry["count"]) for entry in server.ask("ACL", "LOG"))
        assert asked == 4 if may == "+role" else refused == 2  # when it was opened, and at the first look


def test_f32_credentials_that_were_rotated_are_refused_and_read_again_from_their_file(redis_server, tmp_path):
    def rotate(password):
        redis_server.ask(
            *("ACL", "SETUSER", "rotated", "reset", "on", f">{password}", "+@all", "~*", "&*"),
        )

    file = tmp_path / "password"
    rotate("old")
    file.write_text("old\n")
    written = RedisBus(address(f"redis://rotated:old@127.0.0.1:{redis_server.port}"), "rotated")
    kept = RedisBus(address(f"redis://rotated@127.0.0.1:{redis_server.port}?password_file={file}"), "rotated")
    written.open().close()
    with closing(kept.open()) as link:
        rotate("new")
        redis_server.ask("CLIENT", "KILL", "USER", "rotated")
        with pytest.raises(BusUnreachable):
            link.read()
    for bus in (written, kept):
        with pytest.raises(BusDenied, match="user and password") as refused:
            bus.open()
        assert "old" not in str(refused.value)
    file.write_text("new\n")
    kept.open().close()
    file.unlink()
    with pytest.raises(BusUnreachable, match="password_file"):
        kept.open()


def test_f32_a_server_that_wants_a_password_says_so(redis_server, start_redis):
    server = RedisServer("requirepass sesame")
    server.password = "sesame"
    with closing(server):
        server.start()
        with pytest.raises(BusDenied):
            RedisBus(address(server.url)).open()


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A Redis that speaks TLS on ``tls_port`` and wants a certificate of its clients."""
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.server("client")
    certificate = made.server("redis", names="DNS:localhost")
    with ExitStack() as stack:
        port, plain = free_ports(2)
        server = RedisServer(
            *(f"tls-port {port}", "tls-cert-file redis.pem", "tls-key-file redis.key", "tls-ca-cert-file ca.pem"),
            port=plain,
        )
        for each in (certificate, certificate.with_suffix(".key"), made.authority()):
            copy = server.directory / each.name
            copy.write_bytes(each.read_bytes())
            if os.geteuid() == 0:
                os.chown(copy, NOBODY, NOBODY)
        stack.callback(server.close)
        server.start()
        server.tls_port, server.made = port, made
        yield server


def test_by_tls_both_sides_show_certificates(secured):
    directory = secured.made.directory
    options = f"ca_file={directory}/ca.pem&cert_file={directory}/client.pem&key_file={directory}/client.key"
    bus = RedisBus(address(f"rediss://localhost:{secured.tls_port}?{options}"), "tls")
    with closing(subscribed(bus.open())) as link:
        body = os.urandom(MOST_MESSAGE)
        link.send(body)
        assert heard(link, 1) == [body]
        link.write(b"document", None)
        changed(link, b"document")
    for missing in (options.partition("&")[2], options.partition("&")[0]):
        with pytest.raises(BusUnreachable) as refused:
            RedisBus(address(f"rediss://localhost:{secured.tls_port}?{missing}")).open()
        assert "\n" not in str(refused.value)


def test_by_tls_a_certificate_of_another_name_is_refused(secured):
    directory = secured.made.directory
    options = f"ca_file={directory}/ca.pem&cert_file={directory}/client.pem&key_file={directory}/client.key"
    with pytest.raises(BusUnreachable, match="certificate"):
        RedisBus(address(f"rediss://127.0.0.1:{secured.tls_port}?{options}")).open()


def test_tls_to_a_server_without_it_is_given_up(redis_server, monkeypatch):
    monkeypatch.setattr(base, "PATIENCE_S", 1.0)
    with pytest.raises(BusUnreachable):
        RedisBus(address(f"rediss://127.0.0.1:{redis_server.port}")).open()


# F31


def test_f31_a_listener_too_slow_for_the_server_hears_what_came_and_then_that_it_was_left(start_redis):
    server = start_redis("client-output-buffer-limit pubsub 1mb 1mb 1")
    bus = RedisBus(address(server.url), "slow")
    with closing(subscribed(bus.open())) as link:
        body = b"x" * MOST_MESSAGE
        end = time.monotonic() + PATIENCE_S
        while server.ask("PUBLISH", Keys("slow").messages, body):  # as long as it counts as a listener
            assert time.monotonic() < end
        assert set(messages(until_broken(link))) <= {body}
    with closing(bus.open()) as link:
        assert link.wait(PATIENCE_S) == (Gap(),)
        link.send(b"again")
        assert heard(link, 1) == [b"again"]


def test_a_message_that_arrives_in_pieces_is_heard_whole(redis_server):
    """Each piece of it comes late, and the wait meanwhile neither hangs nor tells of half of it."""
    with FaultyPath(redis_server.port) as path:
        bus = RedisBus(address(f"redis://127.0.0.1:{path.port}"), "pieces")
        with closing(subscribed(bus.open())) as link:
            path.delay_s = 0.1
            body = os.urandom(MOST_MESSAGE)
            redis_server.ask("PUBLISH", Keys("pieces").messages, body)
            assert until(link, bool) == [Message(body)]


@pytest.mark.parametrize("number", [0, 1], ids=["asks", "listens"])
def test_f04_it_is_noticed_when_one_of_the_two_connections_falls_silent(redis_server, monkeypatch, number):
    with ExitStack() as stack:
        path = stack.enter_context(FaultyPath(redis_server.port))
        bus = RedisBus(address(f"redis://127.0.0.1:{path.port}"), "silent")
        link = subscribed(stack.enter_context(closing(bus.open())))
        path.hang(number)
        monkeypatch.setattr(base, "SILENCE_S", 0.9)
        monkeypatch.setattr(base, "PATIENCE_S", 0.5)
        assert until_broken(link) == []


def test_both_connections_are_to_one_server_where_a_name_has_several(start_redis, monkeypatch):
    server = start_redis("bind 127.0.0.1 127.0.0.2")
    turns = iter(["127.0.0.1", "127.0.0.2"] * 10)
    look_up = socket.getaddrinfo

    def in_turn(host, *more, **named):
        return look_up(next(turns) if host == "cache.invalid" else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", in_turn)
    bus = RedisBus(address(f"redis://cache.invalid:{server.port}"), "several")
    for _ in range(2):
        with closing(bus.open()) as link:
            assert link._push.peer == link._commands.peer


def test_a_name_that_nobody_knows_is_said():
    with suppress(OSError):
        socket.getaddrinfo("nobody.invalid", 1)
        pytest.skip("this machine's names answer for everything")
    with pytest.raises(BusUnreachable, match=r"nobody\.invalid:6379"):
        RedisBus(address("redis://nobody.invalid")).open()
