"""Lumberjack spoken to Elastic's own server."""

import json
from collections import Counter

import pytest
from lumberjack_server import LumberjackServer

from clusterlog.errors import StoreUnavailable

pytestmark = pytest.mark.engines


@pytest.mark.parametrize("compression", ["on", "off"])
def test_the_reference_server_reads_every_event_as_it_was(opened, batch, statuses, compression):
    with LumberjackServer() as server:
        sink = opened(f"lumberjack+tcp://127.0.0.1:{server.port}", compression=compression)
        sent = [*batch(1, 1000, pad=300), *batch(1001, 1500)]
        for first in (0, 500, 1000):
            assert statuses(sink.deliver(sent[first : first + 500])) == ["stored"] * 500
        server.ids(least=1500)
        assert server.events == [json.loads(each.body) for each in sent]


def test_its_signs_of_life_are_waited_through(opened, batch, statuses):
    with LumberjackServer(wait="600ms", keepalive="50ms") as server:
        sink = opened(f"lumberjack+tcp://127.0.0.1:{server.port}")
        assert statuses(sink.deliver(batch(1, 10))) == ["stored"] * 10


def test_a_connection_it_closes_in_the_place_of_an_acknowledgement_is_sent_again(opened, batch, statuses, id_of):
    with LumberjackServer(refuse=2) as server:
        sink = opened(f"lumberjack+tcp://127.0.0.1:{server.port}")
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="closed the connection without an ack"):
                sink.deliver(batch(1, 10))
        assert statuses(sink.deliver(batch(1, 10))) == ["stored"] * 10
        copies = Counter(server.copies(30))
        assert copies == {id_of(number): 3 for number in range(1, 11)}


def test_over_tls_with_a_certificate_of_ours(opened, certificates, batch, statuses):
    mine, theirs, authority = (
        certificates.server("client", names="DNS:shop-1"),
        certificates.server(),
        certificates.authority(),
    )
    with LumberjackServer(cert=theirs, key=theirs.with_suffix(".key"), ca=authority) as server:
        url = f"lumberjack+tls://localhost:{server.port}"
        own = {"cert_file": str(mine), "key_file": str(mine.with_suffix(".key"))}
        sink = opened(url, ca_file=str(authority), **own)
        assert statuses(sink.deliver(batch(1, 100))) == ["stored"] * 100
        with pytest.raises(StoreUnavailable, match="certificate of ours"):
            opened(url, ca_file=str(authority)).deliver(batch(1, 1))
        stranger = certificates.server("stranger", authority="other")
        wrong = {"cert_file": str(stranger), "key_file": str(stranger.with_suffix(".key"))}
        with pytest.raises(StoreUnavailable, match=r"does not accept our certificate|certificate of ours"):
            opened(url, ca_file=str(authority), **wrong).deliver(batch(1, 1))
