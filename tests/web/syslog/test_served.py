"""``serve --syslog`` as it runs: what comes in by TCP, UDP and TLS is found, and nothing that comes in ends it."""

import http.client
import json
import socket
import ssl
from contextlib import ExitStack, closing

import pytest
from certificates import Certificates
from edge_servers import EXAMPLES, Backend, haproxy
from syslog_server import Rsyslog, SyslogNg

from clusterlog.settings import load
from clusterlog.ship.sinks import open_sink
from clusterlog.store.base import Delivery
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Query

PATIENCE = 30.0
HEAD = b"<13>1 2026-11-03T12:00:00Z edge shop 1 - - "


def until(condition):
    import time

    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def counted(message):
    return b"%d %b" % (len(message), message)


def port(process, scheme="tcp"):
    return next(int(url.rpartition(":")[2]) for url in process.told["syslog"] if url.startswith(f"syslog+{scheme}"))


def connected(process):
    return socket.create_connection(("127.0.0.1", port(process)), PATIENCE)


def found(process, count):
    return until(lambda: len(all := process.ask.found()) >= count and all)


@pytest.fixture
def process(serve):
    return serve("--syslog", "127.0.0.1:0")


def test_lines_by_tcp_and_udp_join_their_request(process):
    with connected(process) as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        stream.sendall(counted(HEAD + b'{"message":"json","http":{"request":{"id":"r1"}}}'))
        stream.sendall(HEAD + b"GET / 200 request_id=r1\n")
        datagrams.sendto(
            b"<190>Nov  3 12:00:00 edge nginx: GET / x-request-id: r1", ("127.0.0.1", port(process, "udp"))
        )
        events = found(process, 3)
    assert {each["http"]["request"]["id"] for each in events} == {"r1"}
    assert {each["service"]["name"] for each in events} == {"shop", "nginx"}
    assert {each["clusterlog"]["ingest"]["format"] for each in events} == {"syslog"}


def test_nothing_that_comes_ends_it_and_what_can_be_read_of_it_is_kept(process):
    awkward = [
        HEAD + b"x" * (2 << 20) + b"\n",
        counted(HEAD + b"half of it")[:-4],
        b"3 " + HEAD + b"wrong\n" + counted(HEAD + b"behind a wrong count"),
        b"99999999999999999999 " + HEAD + b"\n",
        b"\0\0\0\0" + HEAD + b"n\0u\0l\n",
        HEAD + b"\xff\xfe\xed\xa0\x80\n",
        HEAD + b'{"a":' * 100_000 + b"\n",
        b"<>\n<1\n[\n{}\n{\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    for data in awkward:
        with connected(process) as stream:
            stream.sendall(data)
    with connected(process) as stream:
        stream.sendall(HEAD + b"the last one\n")
        messages = until(
            lambda: any(each["message"] == "the last one" for each in process.ask.found()) and process.ask.found()
        )
    told = " ".join(each.get("message", "") for each in messages)
    assert "half" in told and "behind a wrong count" in told and "xxxx" in told
    assert process.end() == 0
    said = process.console.read_text()
    assert "syslog: " in said and "cut" in said and "out of frame" in said and "internal error" not in said


def test_a_thousand_connections_are_served_and_one_more_ends_the_one_that_was_silent_longest(process):
    with ExitStack() as stack:
        first = stack.enter_context(connected(process))
        first.sendall(HEAD + b"first\n")
        found(process, 1)
        streams = [stack.enter_context(connected(process)) for _ in range(1000)]
        for number, stream in enumerate(streams):
            stream.sendall(counted(HEAD + b'{"message":"%d"}' % number))
        assert len({each["message"] for each in found(process, 1001)}) == 1001
        assert is_ended(first) and not is_ended(streams[-1], 0.1)


def is_ended(connection, patience=PATIENCE):
    connection.settimeout(patience)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def test_what_came_in_before_it_ends_is_stored(process, tmp_path):
    with connected(process) as stream:
        stream.sendall(b"".join(HEAD + b"line %d\n" % number for number in range(5000)))
        found(process, 1)
    process.end()
    with closing(EmbeddedStore.open(tmp_path / "served" / "store", "read")) as store:
        messages = [json.loads(each.body)["message"] for each in store.find(Query(limit=None, order="oldest"))]
    assert sorted(messages) == sorted(f"line {number}" for number in range(len(messages))) and messages


def test_our_own_events_arrive_byte_for_byte_in_meaning_and_once_however_often_they_are_sent(process):
    instance = "0190aaaa0000700080000000000000c7"
    batch = []
    for number in range(1, 51):
        id = f"{instance}-{number:011x}"
        told = {
            "@timestamp": "2026-11-03T12:00:00.123456789Z",
            "process": {"entity_id": instance},
            "event": {"id": id, "sequence": number, "kind": "event", "dataset": "clusterlog.app"},
            "log": {"level": "info"},
            "message": f"grün {number}",
        }
        batch.append(Delivery(id, instance, number, json.dumps(told).encode()))
    for _ in range(2):
        sink, _, _ = open_sink(
            load({"home": "/nowhere", "sink": f"syslog+tcp://127.0.0.1:{port(process)}"}, environ={})
        )
        with closing(sink):
            sink.deliver(batch)
    events = found(process, 50)
    with connected(process) as stream:
        stream.sendall(HEAD + b"behind them\n")
        events = found(process, 51)
    assert sorted(
        (each for each in events if each["message"] != "behind them"), key=lambda e: e["event"]["sequence"]
    ) == [json.loads(each.body) for each in batch]


def test_by_tls_with_the_certificate_of_serve_and_only_from_those_it_knows(serve, tmp_path):
    made = Certificates(tmp_path)
    server, client = made.server(), made.server("client")
    options = ("--tls-cert", str(server), "--tls-key", str(server.with_suffix(".key")))
    process = serve(*options, "--syslog", "127.0.0.1:0", "--syslog-clients", str(made.authority()))
    assert [url.partition("://")[0] for url in process.told["syslog"]] == ["syslog+tls"]
    context = ssl.create_default_context(cafile=str(made.authority()))
    where = ("127.0.0.1", port(process, "tls"))
    assert is_refused(context, where)
    context.load_cert_chain(client, client.with_suffix(".key"))
    with context.wrap_socket(socket.create_connection(where), server_hostname="localhost") as stream:
        stream.sendall(HEAD + b"known\n")
    assert process.end() == 0
    with closing(EmbeddedStore.open(tmp_path / "served" / "store", "read")) as store:
        assert [json.loads(each.body)["message"] for each in store.find(Query(limit=None))] == ["known"]


def is_refused(context, where):
    """Whether a server ends a connection without a certificate of ours; by TLS 1.3 that is told after the handshake."""
    try:
        with context.wrap_socket(socket.create_connection(where), server_hostname="localhost") as refused:
            refused.settimeout(PATIENCE)
            refused.sendall(HEAD + b"unknown\n")
            return refused.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.fixture
def secured(serve, tmp_path):
    """A server that speaks TLS with those it knows, and what to know it by."""
    made = Certificates(tmp_path)
    server, client = made.server(), made.server("client")
    options = ("--tls-cert", str(server), "--tls-key", str(server.with_suffix(".key")))
    process = serve(*options, "--syslog", "127.0.0.1:0", "--syslog-clients", str(made.authority()))
    context = ssl.create_default_context(cafile=str(made.authority()))
    context.load_cert_chain(client, client.with_suffix(".key"))
    process.files = {"ca": made.authority(), "cert": client, "key": client.with_suffix(".key")}
    return process, context


def by_tls(process, context):
    stream = socket.create_connection(("127.0.0.1", port(process, "tls")), PATIENCE)
    return context.wrap_socket(stream, server_hostname="localhost")


def asked(process, context, count):
    """All that is stored, once it is so much."""
    return until(lambda: len(found := _asked_by_tls(process, context)) >= count and found)


def said_last(process):
    assert process.end() == 0
    return process.console.read_text().splitlines()[-1]


def status(process):
    """What `clusterlog status` says of syslog."""
    from clusterlog.ship.status import status

    return status(load({"home": str(process.home)}, environ={}))["syslog"]


def test_handshakes_that_fail_are_counted_and_told_with_the_last_ones_reason(secured):
    process, context = secured
    for data in (HEAD + b"not by TLS\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello"):
        with socket.create_connection(("127.0.0.1", port(process, "tls")), PATIENCE) as stream:
            stream.sendall(data)
            assert is_ended(stream)
    with by_tls(process, context) as stream:
        stream.sendall(HEAD + b"by TLS\n")
        asked(process, context, 1)
    assert process.end() == 0
    said = process.console.read_text()
    assert "syslog: 3 TLS handshakes failed, the last from 127.0.0.1: " in said
    assert "syslog: 1 line, 1 stored; 3 TLS handshakes failed" in said.splitlines()[-1]


def test_whoever_looks_whether_somebody_listens_is_no_handshake_that_failed(secured):
    process, context = secured
    for _ in range(20):
        socket.create_connection(("127.0.0.1", port(process, "tls")), PATIENCE).close()
    with by_tls(process, context) as stream:
        stream.sendall(HEAD + b"by TLS\n")
        asked(process, context, 1)
    assert said_last(process) == "syslog: 1 line, 1 stored"


def test_what_comes_at_once_with_the_end_of_a_handshake_is_read(secured):
    process, context = secured
    for number in range(50):
        with by_tls(process, context) as stream:
            stream.sendall(b"".join(counted(HEAD + b"%d of %d" % (line, number)) for line in range(20)))
    asked(process, context, 1000)
    assert said_last(process) == "syslog: 1,000 lines, 1,000 stored"


def test_a_handshake_that_never_ends_makes_room_as_any_silent_connection_does_and_ends_with_the_server(secured):
    process, _ = secured
    with socket.create_connection(("127.0.0.1", port(process, "tls")), PATIENCE) as stream:
        stream.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert process.end() == 0
        assert is_ended(stream)
    assert "internal error" not in process.console.read_text()


def test_what_came_in_is_said_at_the_end_and_by_status(process):
    with connected(process) as stream:
        stream.sendall(HEAD + b"text\n" + HEAD + b'{"half\n' + b"nothing\n")
        until(lambda: (status(process) or {}).get("stored") == 3)
    assert status(process) == {"received": 3, "stored": 3, "known": 0, "unparsed": 2, "losses": {}}
    assert said_last(process) == "syslog: 3 lines, 3 stored; 2 only as text"
    assert status(process) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--syslog", "0.0.0.0:0"), "open to other machines"),
        (("--syslog", "relp://h:1"), "expected HOST:PORT"),
        (("--syslog", "tls://127.0.0.1:0"), "takes a certificate"),
        (("--syslog", "nowhere"), "no address to listen on"),
    ],
)
def test_what_cannot_be_listened_to_is_told_in_a_line(serve, options, said):
    with pytest.raises(AssertionError, match=said):
        serve(*options)


@pytest.mark.skipif(Rsyslog.binary is None, reason="rsyslogd is not installed")
@pytest.mark.parametrize("framing", ["octet-counted", "traditional"])
def test_rsyslogd_sends_here(process, tmp_path, framing):
    source = tmp_path / "lines.log"
    source.write_text("".join(f"line {number} request_id=r{number}\n" for number in range(200)))
    configuration = f"""
        module(load="imfile" mode="polling" pollingInterval="1")
        input(type="imfile" file="{source}" tag="shop" severity="warning")
        action(type="omfwd" target="127.0.0.1" port="{port(process)}" protocol="tcp" TCP_Framing="{framing}"
               template="RSYSLOG_SyslogProtocol23Format")
    """
    with Rsyslog(tmp_path, configuration):
        events = found(process, 200)
    ids = {each["http"]["request"]["id"] for each in events if "http" in each}
    assert ids == {f"r{number}" for number in range(200)}
    assert {each["log"]["level"] for each in events if "http" in each} == {"warning"}


@pytest.mark.skipif(not Rsyslog.speaks_tls(), reason="rsyslogd is not installed, or without TLS")
def test_rsyslogd_sends_here_by_tls(serve, tmp_path):
    made = Certificates(tmp_path)
    server, client = made.server(), made.server("client")
    options = ("--tls-cert", str(server), "--tls-key", str(server.with_suffix(".key")))
    process = serve(*options, "--syslog", "127.0.0.1:0", "--syslog-clients", str(made.authority()))
    source = tmp_path / "lines.log"
    source.write_text("".join(f"line {number}\n" for number in range(100)))
    configuration = f"""
        global(defaultNetstreamDriverCAFile="{made.authority()}" defaultNetstreamDriverCertFile="{client}"
               defaultNetstreamDriverKeyFile="{client.with_suffix(".key")}")
        module(load="imfile" mode="polling" pollingInterval="1")
        input(type="imfile" file="{source}" tag="shop")
        action(type="omfwd" target="127.0.0.1" port="{port(process, "tls")}" protocol="tcp" TCP_Framing="octet-counted"
               template="RSYSLOG_SyslogProtocol23Format" StreamDriver="ossl" StreamDriverMode="1"
               StreamDriverAuthMode="x509/certvalid")
    """
    context = ssl.create_default_context(cafile=str(made.authority()))
    with Rsyslog(tmp_path, configuration):
        until(lambda: len(_asked_by_tls(process, context)) >= 100)
    messages = {each["message"] for each in _asked_by_tls(process, context)}
    assert messages >= {f"line {number}" for number in range(100)}


def test_syslog_ng_sends_here_by_tls(secured, tmp_path):
    process, context = secured
    files = process.files
    source = tmp_path / "lines.log"
    source.write_text("".join(f"line {number} request_id=r{number}\n" for number in range(200)))
    configuration = f"""
        source lines {{ file("{source}" flags(no-parse) program-override("shop")); }};
        destination here {{
            syslog("localhost" port({port(process, "tls")}) transport("tls") tls(
                ca-file("{files["ca"]}") cert-file("{files["cert"]}") key-file("{files["key"]}")
                peer-verify(required-trusted)));
        }};
        log {{ source(lines); destination(here); }};
    """
    with SyslogNg(tmp_path, configuration):
        events = asked(process, context, 200)
    assert {each["http"]["request"]["id"] for each in events} == {f"r{number}" for number in range(200)}
    assert {each["service"]["name"] for each in events} == {"shop"}
    assert said_last(process) == "syslog: 200 lines, 200 stored"


@pytest.mark.engines
def test_haproxy_sends_here_by_tls_where_it_is_told_to_write_into_a_ring(secured, tmp_path):
    """As docs/edge.md says it, with the address of here; our own certificate as this server asks for one."""
    process, context = secured
    files, node = process.files, Backend()
    both = tmp_path / "both.pem"
    both.write_bytes(files["cert"].read_bytes() + files["key"].read_bytes())
    written = (EXAMPLES.parent / "docs" / "edge.md").read_text().partition("```haproxy\n")[2].partition("\nglobal\n")[0]
    ring = written.replace("logs.example.com:6514", f"localhost:{port(process, 'tls')}")
    ring = ring.replace("/etc/ssl/certs/ca.pem", f"{files['ca']} crt {both}")
    changes = {'log "${EDGE_LOG}" len': "log ring@edge len", "\nglobal\n": f"\n{ring}\nglobal\n"}
    nodes = {"shop-1": node.port, "shop-2": node.port}
    with haproxy(tmp_path, EXAMPLES / "edge" / "haproxy.cfg", "unused", nodes, changes) as edge:
        for number in range(20):
            assert b" 200 " in edge.get(f"/ring/{number}")[:20]
        events = asked(process, context, 20)
    node.close()
    assert {each["url"]["path"] for each in events} >= {f"/ring/{number}" for number in range(20)}
    assert {each["event"]["dataset"] for each in events if "url" in each} == {"clusterlog.edge"}


def _asked_by_tls(process, context):
    with closing(
        http.client.HTTPSConnection("localhost", process.port, context=context, timeout=PATIENCE)
    ) as connection:
        headers = {"Authorization": f"Bearer {process.ask.tokens.read}"}
        connection.request("POST", "/api/v1/search", json.dumps({"limit": None}), headers)
        return [json.loads(line) for line in connection.getresponse().read().splitlines()][:-1]
