"""Whether a sink can be reached that cannot be asked anything: whatever is sent there becomes an event."""

from __future__ import annotations

from clusterlog.settings import Settings
from clusterlog.settings.servers.hosts import hosts
from clusterlog.ship.sinks.endpoint import Certificates, Endpoint, shown
from clusterlog.ship.sinks.logstash import opening as logstash
from clusterlog.ship.sinks.otlp import opening as otlp
from clusterlog.ship.sinks.syslog import opening as syslog

_PORTS = {**logstash.PORTS, **syslog.PORTS, **otlp.PORTS}


def touch(settings: Settings) -> str:
    """Connect to each host of ``sink``, TLS included, send nothing and hang up; its name for people.

    A proxy is passed over: what is behind it is not known. Raises StoreUnavailable with what is wrong.
    """
    scheme = settings.sink.partition(":")[0]
    found = hosts(settings.sink, {scheme: _PORTS[scheme]}, "a sink")
    for host in found:
        Endpoint(host, Certificates.of(settings)).touch()
    return shown(found)
