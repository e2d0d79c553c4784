"""The syslog server that a URL names."""

from __future__ import annotations

from clusterlog.settings import Settings
from clusterlog.settings.servers.hosts import hosts
from clusterlog.ship.delivery.batch import Limits
from clusterlog.ship.sinks.endpoint import Certificates, Endpoint, plain, shown
from clusterlog.ship.sinks.logstash.lines import LinesSink
from clusterlog.ship.sinks.syslog.message import framed
from clusterlog.store.base import Sink

PORTS = {"syslog+tcp": 514, "syslog+tls": 6514}
"""Schemes and their ports: what is used without TLS (RFC 6587, 3.2 names none), and that of RFC 5425."""
WHAT = "a syslog server"


def open_syslog(settings: Settings, url: str) -> tuple[Sink, str, Limits]:
    """Sink, name and limits for a URL with one of these schemes. Nothing is sent yet.

    Raises SettingError and NotAllowed for settings and files that cannot be used.
    """
    found = plain(hosts(url, PORTS, WHAT))
    certificates = Certificates.of(settings)
    sink = LinesSink([Endpoint(host, certificates) for host in found], framed)
    return sink, shown(found), Limits(bytes=1 << 20)
