"""Which certificates are believed, shown by servers that present them."""

from __future__ import annotations

import pytest

from clusterlog.errors import NotAllowed, SettingError, StoreUnavailable


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


def test_a_server_that_wants_a_certificate_of_ours_is_told_from_others(client, secure, certificates):
    server = secure(certificates.server())
    server.tls.verify_mode = 2
    server.tls.load_verify_locations(certificates.authority())
    with pytest.raises(StoreUnavailable, match="wants a certificate of ours"):
        client(f"https://localhost:{server.port}", ca_file=str(certificates.authority())).call("GET", "/")


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
