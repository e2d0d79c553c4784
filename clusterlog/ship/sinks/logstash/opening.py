"""The way into Logstash that a URL names: http input, beats input, or lines over TCP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from clusterlog.settings import Settings
from clusterlog.settings.servers.hosts import hosts
from clusterlog.ship.delivery.batch import Limits
from clusterlog.ship.sinks.endpoint import Certificates, Endpoint, plain, shown
from clusterlog.ship.sinks.logstash.lines import LinesSink
from clusterlog.ship.sinks.logstash.lumberjack import LumberjackSink
from clusterlog.store.base import Sink

_HTTP = {"logstash+http": 8080, "logstash+https": 8080}
_LUMBERJACK = {"lumberjack+tcp": 5044, "lumberjack+tls": 5044}
_LINES = {"jsonlines+tcp": 5000, "jsonlines+tls": 5000}
PORTS = {**_HTTP, **_LUMBERJACK, **_LINES}
"""Schemes, and the ports that Logstash's documentation gives its inputs."""

_Opened = tuple[Sink, str, Limits]


def open_logstash(settings: Settings, url: str) -> _Opened:
    """Sink, name and limits for a URL with one of ``SCHEMES``. Nothing is sent yet.

    Raises SettingError and NotAllowed for settings and files that cannot be used, MissingExtra.
    """
    return SCHEMES[url.partition(":")[0]](settings, url)


def _http(settings: Settings, url: str) -> _Opened:
    from clusterlog.settings.servers.credentials import Credentials
    from clusterlog.ship.sinks.logstash.http import HttpSink
    from clusterlog.store.elasticsearch.transport import Client
    from clusterlog.store.elasticsearch.wire.node import Way

    # The token is the store's, and none of Logstash's business: its input knows user and password only.
    nobody = Credentials("write")
    found = hosts(url, _HTTP, "an http input")
    ways = tuple(
        Way.of(replace(each, scheme=each.scheme.removeprefix("logstash+")), nobody, settings) for each in found
    )
    # It answers 200 to what it cannot read: without being told to, nothing is compressed.
    client = Client(ways, nobody, compresses=settings.compression == "on")
    return HttpSink(client), shown(found), Limits(at_once=8)


def _lumberjack(settings: Settings, url: str) -> _Opened:
    found = plain(hosts(url, _LUMBERJACK, "a beats input"))
    far = not all(host.is_loopback() for host in found)
    compressed = {"on": True, "off": False}.get(settings.compression, far)
    certificates = Certificates.of(settings)
    sink = LumberjackSink([Endpoint(host, certificates) for host in found], compressed=compressed)
    return sink, shown(found), Limits(events=1000, at_once=4)


def _lines(settings: Settings, url: str) -> _Opened:
    found = plain(hosts(url, _LINES, "an input for lines of JSON"))
    certificates = Certificates.of(settings)
    return LinesSink([Endpoint(host, certificates) for host in found]), shown(found), Limits(bytes=1 << 20)


_Open = Callable[[Settings, str], _Opened]
SCHEMES: Mapping[str, _Open] = {
    **dict.fromkeys(_HTTP, _http),
    **dict.fromkeys(_LUMBERJACK, _lumberjack),
    **dict.fromkeys(_LINES, _lines),
}
