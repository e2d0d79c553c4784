"""Which certificates are believed, shown by servers that present them."""

from __future__ import annotations

import socket
import ssl
import struct
import threading

import pytest
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import SSLError

from clusterlog.errors import NotAllowed, SettingError, StoreUnavailable
from clusterlog.store.elasticsearch.wire.trouble import sentence

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'


@pytest.fixture
def secure(speaker, certificates):
    """Start a server with a certificate and others behind it; its port."""

    def start(certificate, *chain):
        return speaker(tls=certificates.context(certificate, *chain))

    return start


@pytest.fixture
def refused(client):
    """What is said where a server is not believed."""

    def ask(server, host="localhost", **settings):
        with pytest.raises(StoreUnavailable) as told:
            client(f"https://{host}:{server.port}", **settings).call("GET", "/")
        assert not server.requests, "nothing was sent to it"
        return str(told.value)

    return ask


def answers(client, server, host="localhost", **settings):
    asked = client(f"https://{host}:{server.port}", **settings)
    return [asked.call("GET", "/").body for _ in range(2)] == [{"ok": True}] * 2


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_of_an_authority_we_trust_is_believed(client, secure, certificates, host):
    server = secure(certificates.server())
    assert answers(client, server, host, ca_file=str(certificates.authority()))


def test_a_certificate_of_an_authority_nobody_knows_is_not(refused, secure, certificates):
    told = refused(secure(certificates.server()))
    assert "signed by nobody this machine trusts: set ca_file or fingerprint" in told


def test_only_the_authorities_of_the_file_are_trusted(refused, secure, certificates):
    told = refused(secure(certificates.server()), ca_file=str(certificates.authority("other")))
    assert "signed by nobody" in told


def test_a_certificate_that_has_expired_is_not_believed(refused, secure, certificates):
    server = secure(certificates.server("expired", days=-1))
    assert "its certificate has expired" in refused(server, ca_file=str(certificates.authority()))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_for_another_name_is_not_believed(refused, secure, certificates, host):
    server = secure(certificates.server("elsewhere", names="DNS:es.example"))
    assert "for another name" in refused(server, host, ca_file=str(certificates.authority()))


def test_a_certificate_is_believed_by_its_fingerprint_whoever_signed_it(client, secure, certificates):
    server = certificates.server("elsewhere", names="DNS:es.example")
    assert answers(client, secure(server), fingerprint=certificates.fingerprint(server))


def test_a_certificate_with_another_fingerprint_is_not_believed_and_its_own_told(refused, secure, certificates):
    server = certificates.server()
    told = refused(secure(server), fingerprint="ab" * 32)
    assert certificates.fingerprint(server).replace(":", "").lower() in told


def test_the_fingerprint_may_be_that_of_the_authority(client, secure, certificates):
    server = secure(certificates.server(), certificates.authority())
    assert answers(client, server, fingerprint=certificates.fingerprint(certificates.authority()))


def test_with_the_fingerprint_of_an_authority_names_are_verified(refused, secure, certificates):
    server = secure(certificates.server("elsewhere", names="DNS:es.example"), certificates.authority())
    told = refused(server, fingerprint=certificates.fingerprint(certificates.authority()))
    assert "for another name" in told


def test_a_copy_of_the_authority_behind_a_certificate_it_did_not_sign_is_not_believed(refused, secure, certificates):
    forged = certificates.server("forged", authority="other")
    told = refused(
        secure(forged, certificates.authority()), fingerprint=certificates.fingerprint(certificates.authority())
    )
    assert "signed by nobody" in told


@pytest.fixture
def wanting(speaker, certificates):
    """Start a server that wants a certificate of ours, and at the end of the handshake does as it is told; its port."""

    def start(end, version):
        context = certificates.context(certificates.server())
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates.authority())
        context.maximum_version = version
        return speaker(tls=Wanting(context, end)).port

    return start


class Wanting:
    """Shakes hands by its own pace: in the place of a context, whose ``wrap_socket`` would choose it."""

    def __init__(self, context, end):
        self.context, self.end = context, end

    def wrap_socket(self, connection, server_side):
        received, alert = ssl.MemoryBIO(), ssl.MemoryBIO()
        hands = self.context.wrap_bio(received, alert, server_side=server_side)
        while True:
            try:
                hands.do_handshake()
            except ssl.SSLWantReadError:
                connection.sendall(alert.read())
                received.write(connection.recv(65536))
            except ssl.SSLError:
                self.end(connection, alert.read())
                raise


def closes(connection, alert):
    connection.sendall(alert)


def closes_when_it_has_read_all(connection, alert):
    connection.sendall(alert)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass


def resets(connection, alert):
    connection.sendall(alert)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("end", [closes, closes_when_it_has_read_all, resets])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_certificate_of_ours_is_told_from_others(client, wanting, certificates, end, version):
    asked = client(f"https://localhost:{wanting(end, version)}", ca_file=str(certificates.authority()))
    with pytest.raises(
        StoreUnavailable, match="wants a certificate of ours that it trusts: set cert_file and key_file"
    ):
        asked.call("POST", "/_bulk", bytes(8 << 20))


@pytest.mark.parametrize("pace", ["the server is faster", "the client is faster"])
def test_what_a_server_said_is_read_also_where_it_ended_the_connection_before_the_request(
    client, wanting, certificates, monkeypatch, pace
):
    """Both orders by force: the server's end is there before anything is written, or only when all is written."""
    ended, written = threading.Event(), threading.Event()

    def end(connection, alert):
        if pace == "the client is faster":
            assert written.wait(10)
        resets(connection, alert)
        connection.close()
        ended.set()

    def request(connection, *given, _own=HTTPSConnection.request, **more):
        if pace == "the server is faster":
            assert ended.wait(10)
        try:
            _own(connection, *given, **more)
        finally:
            written.set()
            assert ended.wait(10)

    monkeypatch.setattr(HTTPSConnection, "request", request)
    asked = client(f"https://localhost:{wanting(end, ssl.TLSVersion.TLSv1_3)}", ca_file=str(certificates.authority()))
    with pytest.raises(
        StoreUnavailable, match="wants a certificate of ours that it trusts: set cert_file and key_file"
    ):
        asked.call("GET", "/")


def test_of_a_server_that_ends_connections_without_a_word_it_is_asked_whether_it_wants_one(
    client, secure, certificates
):
    server = secure(certificates.server())
    server.answer = None
    asked = client(f"https://localhost:{server.port}", ca_file=str(certificates.authority()))
    with pytest.raises(StoreUnavailable, match="without an answer; does it want a certificate of ours"):
        asked.call("GET", "/")
    server.answer = ANSWER
    asked.call("GET", "/")
    server.answer = None
    with pytest.raises(StoreUnavailable, match=r"without an answer$"):
        asked.call("GET", "/")


def test_a_certificate_that_java_calls_bad_is_the_one_it_wants_of_us():
    error = ssl.SSLError(1, "[SSL: SSLV3_ALERT_BAD_CERTIFICATE] sslv3 alert bad certificate")
    error.reason = "SSLV3_ALERT_BAD_CERTIFICATE"
    told = sentence(SSLError(error), "https://es:9200", "", 1.0)
    assert told == "https://es:9200: wants a certificate of ours that it trusts: set cert_file and key_file"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"", "no certificate"), (b"x", "no certificate")]
)
def test_a_file_without_certificates_is_named(client, tmp_path, content, said):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingError, match=f"^ca_file: .*{said}"):
        client("https://localhost:1", ca_file=str(file))


def test_a_file_that_may_not_be_read_is_named(client, tmp_path, monkeypatch):
    monkeypatch.setattr("ssl.create_default_context", lambda **_: (_ for _ in ()).throw(PermissionError(13, "no")))
    with pytest.raises(NotAllowed, match="ca_file"):
        client("https://localhost:1", ca_file=str(tmp_path / "ca.pem"))


def test_without_a_file_the_authorities_of_this_machine_are_trusted(client, secure, certificates, monkeypatch):
    server = secure(certificates.server())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority()))
    assert answers(client, server)


def test_a_pinned_server_is_believed_through_a_proxy(client, secure, proxy, certificates):
    server = certificates.server("elsewhere", names="DNS:es.example")
    own = secure(server, certificates.authority())
    way = proxy(own.port)
    for pin in (server, certificates.authority()):
        asked = client(
            "https://es.example:9200", proxy=f"http://127.0.0.1:{way.port}", fingerprint=certificates.fingerprint(pin)
        )
        assert asked.call("GET", "/").body == {"ok": True}
    assert way.requests[0].startswith(b"CONNECT es.example:9200 ")
