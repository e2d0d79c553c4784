"""Where a server listens, and by which certificate it is known."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import threading
from contextlib import closing

import pytest

from clusterlog.errors import ClusterlogError, NotAllowed, SettingError, StoreUnavailable
from clusterlog.settings import load
from clusterlog.ship.shipper import Shipper
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.web import server
from clusterlog.web.address import Address
from clusterlog.web.server import Server
from clusterlog.web.tokens import Tokens

TOKENS = Tokens("w" * 20, "r" * 20, "c" * 20)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate of ``localhost``, and its key without and with a password."""
    folder = tmp_path_factory.mktemp("certificate")
    cert, key, locked = folder / "cert.pem", folder / "key.pem", folder / "locked.pem"
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert]
    about = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    for command in (
        ["req", "-x509", *made, *about],
        ["pkey", "-aes256", "-passout", "pass:x", "-in", key, "-out", locked],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    return cert, key, locked


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("127.0.0.1:8520", "127.0.0.1", 8520), ("[::1]:0", "::1", 0), ("logs.example.com:443", "logs.example.com", 443)],
)
def test_an_address_is_a_host_and_a_port(listen, host, port):
    address = Address.parse(listen)
    assert (address.host, address.port) == (host, port)


@pytest.mark.parametrize(
    "listen", ["", "8520", ":8520", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "::1:8520", "[a]:1", "a:99999", "a:-1"]
)
def test_anything_else_is_refused_by_its_name(listen):
    with pytest.raises(SettingError) as caught:
        Address.parse(listen)
    assert str(caught.value).startswith(repr(listen))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "[::1]"])
def test_loopback_is_known_and_asked_by_its_own_names_alone(host):
    address = Address.parse(f"{host}:1")
    assert address.is_loopback
    assert {"127.0.0.1", "localhost", "::1", host.strip("[]")} == set(address.names())


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "10.0.0.1", "logs.example.com"])
def test_what_is_open_to_others_is_known_too_and_asked_by_any_name(host):
    address = Address.parse(f"{host}:1")
    assert not address.is_loopback
    assert address.names() == ()


def test_a_url_can_be_used_by_others():
    assert Address.parse("127.0.0.1:0").url(81) == "http://127.0.0.1:81"
    assert Address.parse("[::1]:0").url(81) == "http://[::1]:81"
    assert Address.parse("0.0.0.0:0", "cert", "key").url(81) == f"https://{socket.gethostname()}:81"


def test_a_certificate_and_its_key_go_together():
    with pytest.raises(SettingError, match="go together"):
        Address.parse("127.0.0.1:1", cert="cert.pem")


def test_a_port_that_is_taken_and_one_nobody_has_are_told_apart():
    with closing(Address.parse("127.0.0.1:0").listen()) as first:
        port = first.getsockname()[1]
        with pytest.raises(StoreUnavailable, match=f"cannot listen on 127.0.0.1:{port}: address already in use"):
            Address.parse(f"127.0.0.1:{port}").listen()
    with pytest.raises(SettingError, match=r"cannot listen on 192\.0\.2\.1:1: "):
        Address.parse("192.0.2.1:1").listen()
    with pytest.raises(SettingError, match=r"cannot listen on nowhere\.invalid:1: "):
        Address.parse("nowhere.invalid:1").listen()


def test_a_port_that_takes_rights_is_a_matter_of_rights(monkeypatch):
    def refuse(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(server.socket.socket, "bind", refuse)
    with pytest.raises(NotAllowed, match="permission denied"):
        Address.parse("127.0.0.1:80").listen()


def test_files_that_are_no_certificate_are_told_of_in_one_line(certificate, tmp_path):
    cert, key, locked = map(str, certificate)
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("nonsense")
    for files, reason in (
        ((cert, "absent.pem"), "cannot read absent.pem: No such file or directory"),
        ((str(nonsense), key), "are no certificate and key in PEM"),
        ((cert, str(nonsense)), "are no certificate and key in PEM"),
        ((cert, locked), "the key has a password"),
    ):
        with pytest.raises(SettingError, match=reason) as caught:
            Address.parse("127.0.0.1:0", *files).context()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["store", "sink"])
def test_a_home_whose_events_go_elsewhere_is_not_served(tmp_path, name):
    settings = load({"home": str(tmp_path), name: "https://elsewhere:9200"})
    with pytest.raises(SettingError, match=rf"{name} is set \(argument\)"):
        Server(settings, Address.parse("127.0.0.1:0"), TOKENS)


@pytest.fixture
def serving(tmp_path):
    """Start a server in a thread; it is ended when the test is."""
    stop, ended = threading.Event(), []

    def begin(*address):
        made = Server(load({"home": str(tmp_path / "home")}), Address.parse(*address), TOKENS)
        ready = threading.Event()

        def run():
            try:
                made.run(stop, ready.set)
            except BaseException as error:
                ended.append(error)

        made.thread, made.ended, made.stop = threading.Thread(target=run), ended, stop
        made.thread.start()
        assert ready.wait(30)
        return made

    made = []
    yield lambda *address: made.append(begin(*address)) or made[-1]
    stop.set()
    for each in made:
        each.thread.join()


def test_tls_is_spoken_from_1_2_on_with_the_certificate_that_was_given(serving, certificate):
    cert, key, _ = map(str, certificate)
    made = serving("127.0.0.1:0", cert, key)
    port = int(made.url.rpartition(":")[2])
    assert made.url == f"https://127.0.0.1:{port}"
    context = ssl.create_default_context(cafile=cert)
    with closing(http.client.HTTPSConnection("localhost", port, context=context, timeout=30)) as connection:
        connection.request("GET", "/", headers={"Authorization": f"Bearer {TOKENS.read}"})
        assert connection.getresponse().status == 200
    old = ssl.create_default_context(cafile=cert)
    old.check_hostname = False
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", port)) as plain, old.wrap_socket(plain) as secure:
        assert secure.version() == "TLSv1.2"
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not plain.recv(12).startswith(b"HTTP")


def test_a_shipper_that_ends_by_itself_ends_the_server_and_is_not_hidden(serving, monkeypatch):
    def fail(self):
        raise KeyError("in the shipper")

    monkeypatch.setattr(Shipper, "step", fail)
    made = serving("127.0.0.1:0")
    made.thread.join(30)
    assert [type(error) for error in made.ended] == [KeyError]


def test_it_is_over_only_when_its_shipper_has_ended_and_the_store_is_closed(serving, tmp_path, monkeypatch):
    may_end = threading.Event()
    real = Shipper.finish
    monkeypatch.setattr(Shipper, "finish", lambda shipper: may_end.wait(30) and real(shipper))
    made = serving("127.0.0.1:0")
    made.stop.set()
    made.thread.join(0.5)
    assert made.thread.is_alive()
    may_end.set()
    made.thread.join(30)
    assert not made.thread.is_alive() and not made.ended
    EmbeddedStore.open(tmp_path / "home" / "store", "write").close()


def test_a_server_that_could_not_open_its_store_lets_its_port_go(tmp_path, monkeypatch):
    def fail(settings):
        raise StoreUnavailable("no")

    monkeypatch.setattr(server, "open_sink", fail)
    with closing(Address.parse("127.0.0.1:0").listen()) as free:
        port = free.getsockname()[1]
    with pytest.raises(ClusterlogError):
        Server(load({"home": str(tmp_path)}), Address.parse(f"127.0.0.1:{port}"), TOKENS)
    Address.parse(f"127.0.0.1:{port}").listen().close()
