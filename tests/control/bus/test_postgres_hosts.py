"""A URL of several servers, and servers that speak TLS."""

from contextlib import closing
from urllib.parse import quote

import pytest
from certificates import Certificates
from engine_servers import free_ports
from postgres_server import OWNER

from clusterlog.control.bus.postgres.link import PostgresBus
from clusterlog.errors import BusUnreachable

pytestmark = pytest.mark.engines


def url(*servers, dead=0, more=""):
    """One URL for several servers (of one password), so many ports nobody listens at before them."""
    ports = [*free_ports(dead), *(each.port for each in servers)]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://{OWNER}:{quote(servers[0].password)}@{hosts}/postgres{more}"


def test_of_several_hosts_the_first_that_can_be_written_is_the_bus_and_the_next_one_when_it_is_gone(start_postgres):
    replica, first, second = start_postgres("default_transaction_read_only=on"), start_postgres(), start_postgres()
    for each in (first, second):
        each.run(f"ALTER ROLE \"{OWNER}\" PASSWORD '{replica.password}'")
        each.password = replica.password
    bus = PostgresBus(url(replica, first, second, dead=1), "test")
    with closing(bus.open()) as link:
        link.write(b"one", None)
    assert first.run("SELECT body FROM clusterlog.document") == [(b"one",)]
    first.kill()
    with closing(bus.open()) as link:
        assert link.read().document is None, "another server is another bus, unless somebody replicates"
        link.write(b"two", None)
    assert second.run("SELECT body FROM clusterlog.document") == [(b"two",)]
    second.kill()
    with pytest.raises(BusUnreachable) as refused:
        bus.open()
    said = str(refused.value)
    assert said.count("refused") >= 1
    assert "read-only" in said
    assert replica.password not in said
    assert "\n" not in said


def test_a_certificate_is_verified_by_the_authorities_of_the_settings(start_postgres, tmp_path):
    certificates = Certificates(tmp_path)
    made = certificates.server()
    server = start_postgres(
        *("ssl=on", "ssl_cert_file=server.crt", "ssl_key_file=server.key"),
        files={"server.crt": made.read_bytes(), "server.key": made.with_suffix(".key").read_bytes()},
    )
    verified = url(server, more="?sslmode=verify-full")
    with closing(PostgresBus(verified, "test", str(certificates.authority())).open()) as link:
        link.write(b"one", None)
        assert link.read().document == b"one"
    with pytest.raises(BusUnreachable, match="certificate"):
        PostgresBus(verified, "test", str(certificates.authority("stranger"))).open()


def test_a_server_without_tls_is_not_spoken_to_where_the_url_wants_it(postgres_server):
    with pytest.raises(BusUnreachable, match="SSL"):
        PostgresBus(url(postgres_server, more="?sslmode=require"), "test").open()
