"""Hosts that are spoken to over plain connections: what is said of those that cannot be."""

import socket
import ssl
import threading
from contextlib import closing, suppress

import pytest
from logstash_inputs import LinesInput

from clusterlog.errors import NotAllowed, SettingError, StoreUnavailable
from clusterlog.settings.servers.hosts import Host
from clusterlog.ship.sinks.endpoint import Certificates, Endpoint, is_alive


def endpoint(port, scheme="jsonlines+tcp", name="localhost", **certificates):
    return Endpoint(Host(scheme, name, port), Certificates(**certificates))


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def test_a_name_that_is_no_host_is_told():
    with pytest.raises(StoreUnavailable, match=r"no host of that name is known|name server does not answer"):
        endpoint(1, name="nowhere.invalid").connect()


def test_who_keeps_silent_where_tls_is_expected_is_not_waited_for_for_ever(listener, monkeypatch):
    monkeypatch.setattr("clusterlog.ship.sinks.endpoint.CONNECT_S", 0.2)
    port = listener.getsockname()[1]
    with pytest.raises(StoreUnavailable, match=r"no TLS handshake within 0.2 s: does it speak TLS"):
        endpoint(port, "jsonlines+tls", fingerprint="0" * 64).connect()


def test_who_answers_without_tls_is_named_with_the_scheme_to_write(listener):
    def answer():
        connection, _ = listener.accept()
        with connection:
            connection.recv(1)
            connection.sendall(b"220 hello\r\n")
            connection.recv(4096)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    with pytest.raises(StoreUnavailable, match=f"does not speak TLS: write jsonlines\\+tcp://localhost:{port}"):
        endpoint(port, "jsonlines+tls", fingerprint="0" * 64).connect()
    thread.join(10)


def test_a_connection_is_alive_until_the_other_side_has_left():
    with LinesInput() as lines, closing(endpoint(lines.port, name="127.0.0.1").connect()) as connection:
        assert is_alive(connection)
        while not lines._open:
            pass
        lines.cut()
        connection.settimeout(10)
        with suppress(ConnectionError):
            assert connection.recv(1, socket.MSG_PEEK) == b""
        assert not is_alive(connection)


def test_what_comes_unasked_ends_a_connection(listener):
    with closing(endpoint(listener.getsockname()[1], name="127.0.0.1").connect()) as connection:
        other, _ = listener.accept()
        with other:
            other.sendall(b"?")
            while connection.recv(1, socket.MSG_PEEK) != b"?":
                pass
            assert not is_alive(connection)


def test_to_touch_a_host_sends_it_nothing(certificates):
    with LinesInput() as lines:
        endpoint(lines.port).touch()
        assert lines.queue.events == []
    context = certificates.context(certificates.server())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority())
    with LinesInput(tls=context) as lines, pytest.raises(StoreUnavailable, match="certificate of ours"):
        endpoint(lines.port, "jsonlines+tls", ca_file=str(certificates.authority())).touch()


@pytest.fixture
def encrypted(certificates):
    """A certificate whose key has a password."""
    made = certificates.server("encrypted")
    key = made.with_suffix(".encrypted")
    certificates._run("ec", "-in", "encrypted.key", "-aes256", "-passout", "pass:secret", "-out", key.name)
    return made, key


def test_a_certificate_of_ours_that_cannot_be_used_is_told_and_nobody_is_asked_for_a_password(certificates, encrypted):
    mine = certificates.server("mine")
    others_key = certificates.server("other-one").with_suffix(".key")
    wrong = [
        ({"cert_file": str(encrypted[0]), "key_file": str(encrypted[1])}, "the key is encrypted"),
        ({"cert_file": str(mine), "key_file": str(others_key)}, "the key is not that of the certificate"),
        ({"cert_file": str(mine)}, "no certificate with its key in"),
        ({"cert_file": "/nowhere.pem"}, "cert_file: cannot read /nowhere.pem: No such file"),
        ({"key_file": "/nowhere.pem"}, "key_file is set, and cert_file is not"),
    ]
    for given, told in wrong:
        with pytest.raises(SettingError, match=told):
            endpoint(1, "jsonlines+tls", **given)


def test_a_key_in_the_file_of_the_certificate_is_found_there(certificates):
    mine = certificates.server("mine")
    both = mine.with_suffix(".both.pem")
    both.write_bytes(mine.read_bytes() + mine.with_suffix(".key").read_bytes())
    context = certificates.context(certificates.server(), certificates.authority())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates.authority())
    with LinesInput(tls=context) as lines:
        ours = {"cert_file": str(both), "ca_file": str(certificates.authority())}
        with closing(endpoint(lines.port, "jsonlines+tls", **ours).connect()) as connection:
            assert is_alive(connection)


def test_a_key_that_we_may_not_read_is_told(monkeypatch, certificates):
    def refuse(path, mode):
        raise PermissionError(13, "Permission denied")

    mine = certificates.server("mine")
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(NotAllowed, match=r"cert_file: cannot read .*mine.pem: permission denied"):
        endpoint(1, "jsonlines+tls", cert_file=str(mine), ca_file=str(certificates.authority()))
