"""Hubs that speak TLS, and hubs that take over from one another."""

import threading
from contextlib import closing

import pytest
from certificates import Certificates

from clusterlog.control.bus.hub.link import HubBus
from clusterlog.errors import BusUnreachable
from clusterlog.settings import load
from clusterlog.testing.buses import changed, heard, subscribed


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure(process, certificates, tmp_path_factory):
    """A server with a certificate."""
    made = certificates.server()
    options = ("--tls-cert", str(made), "--tls-key", str(made.with_suffix(".key")))
    served = process(tmp_path_factory.mktemp("secure") / "home", *options)
    yield served
    served.end()


def bus(*servers, scheme="hub+https", **settings):
    hosts = ",".join(f"localhost:{each.port}" for each in servers)
    given = {"home": "/nowhere", "token_file": str(servers[0].home / "run" / "serve.json"), **settings}
    return HubBus(f"{scheme}://{hosts}", "test", load(given, environ={}))


@pytest.mark.parametrize("known_by", ["authority", "fingerprint"])
def test_a_hub_is_known_by_its_authority_or_by_its_fingerprint(secure, certificates, known_by):
    fingerprint = certificates.fingerprint(certificates.server())
    known = {"authority": {"ca_file": str(certificates.authority())}, "fingerprint": {"fingerprint": fingerprint}}
    with closing(subscribed(bus(secure, **known[known_by]).open())) as link:
        document = link.read().document
        link.write(known_by.encode(), document)
        changed(link, known_by.encode())
        link.send(b"x" * 100_000)
        assert heard(link, 1) == [b"x" * 100_000]
        waker = threading.Timer(0.1, link.wake)
        waker.start()
        assert link.wait(600) == (), "what TLS has to say for itself is no answer"
        waker.join()


def test_a_certificate_that_nobody_trusts_is_not_spoken_to(secure, certificates):
    with pytest.raises(BusUnreachable, match="ca_file or fingerprint"):
        bus(secure).open()
    with pytest.raises(BusUnreachable, match="not trusted"):
        bus(secure, ca_file=str(certificates.authority("stranger"))).open()
    with pytest.raises(BusUnreachable, match="another one is set"):
        bus(secure, fingerprint="0" * 64).open()


def test_who_speaks_plain_http_to_tls_and_the_other_way_round_is_told_so(secure, hub_server, certificates):
    with pytest.raises(BusUnreachable, match=r"hub\+https://"):
        bus(secure, scheme="hub+http").open()
    with pytest.raises(BusUnreachable, match=r"hub\+http://"):
        bus(hub_server, ca_file=str(certificates.authority())).open()


@pytest.mark.engines
def test_when_a_hub_is_gone_the_next_of_its_url_takes_over_and_the_first_again_when_it_is_back(process, tmp_path):
    first, second = process(tmp_path / "first"), process(tmp_path / "second")
    try:
        tokens = (first.home / "run" / "serve.json").read_text()
        port = second.port
        second.end()
        (second.home / "run" / "serve.json").write_text(tokens)  # one token for both, as an operator would
        second.begin()
        assert second.port == port
        both = bus(first, second, scheme="hub+http")
        with closing(both.open()) as link:
            link.write(b"first", None)
        first.kill()
        with closing(subscribed(both.open())) as link:
            assert link.read().document is None, "it is another bus: whoever writes there begins another epoch"
            link.write(b"second", None)
            changed(link, b"second")
        first.begin()
        with closing(both.open()) as link:
            assert link.read().document == b"first"
    finally:
        first.end()
        second.end()
