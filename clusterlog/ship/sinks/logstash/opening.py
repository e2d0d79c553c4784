"""The way into Logstash that a URL names: http input, beats input, or lines over TCP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from clusterlog.errors import SettingError
from clusterlog.settings import Settings
from clusterlog.ship.delivery.batch import Limits
from clusterlog.ship.sinks.endpoint import Certificates, Endpoint
from clusterlog.ship.sinks.logstash.lines import LinesSink
from clusterlog.ship.sinks.logstash.lumberjack import LumberjackSink
from clusterlog.store.base import Sink
from clusterlog.store.elasticsearch.wire.hosts import Host, hosts

_HTTP = {"logstash+http": 8080, "logstash+https": 8080}
_LUMBERJACK = {"lumberjack+tcp": 5044, "lumberjack+tls": 5044}
_LINES = {"jsonlines+tcp": 5000, "jsonlines+tls": 5000}
"""Schemes, and the ports that Logstash's documentation gives its inputs."""

_Opened = tuple[Sink, str, Limits]


def open_logstash(settings: Settings, url: str) -> _Opened:
    """Sink, name and limits for a URL with one of ``SCHEMES``. Nothing is sent yet.

    Raises SettingError and NotAllowed for settings and files that cannot be used, MissingExtra.
    """
    return SCHEMES[url.partition(":")[0]](settings, url)


def touch(settings: Settings) -> str:
    """Connect to each host of ``sink``, TLS included, send nothing and hang up; its name for people.

    A proxy is passed over: what is behind it is not known. Raises StoreUnavailable with what is wrong.
    """
    scheme = settings.sink.partition(":")[0]
    ports = {**_HTTP, **_LUMBERJACK, **_LINES}
    found = hosts(settings.sink, {scheme: ports[scheme]}, "a sink")
    for host in found:
        Endpoint(host, Certificates.of(settings)).touch()
    return _name(found)


def _http(settings: Settings, url: str) -> _Opened:
    from clusterlog.ship.sinks.logstash.http import HttpSink
    from clusterlog.store.elasticsearch.transport import Client
    from clusterlog.store.elasticsearch.wire.credentials import Credentials
    from clusterlog.store.elasticsearch.wire.node import Way

    # The token is the store's, and none of Logstash's business: its input knows user and password only.
    nobody = Credentials("write")
    found = hosts(url, _HTTP, "an http input")
    ways = tuple(
        Way.of(replace(each, scheme=each.scheme.removeprefix("logstash+")), nobody, settings) for each in found
    )
    # It answers 200 to what it cannot read: without being told to, nothing is compressed.
    client = Client(ways, nobody, compresses=settings.compression == "on")
    return HttpSink(client), _name(found), Limits(at_once=8)


def _lumberjack(settings: Settings, url: str) -> _Opened:
    found = _plain(hosts(url, _LUMBERJACK, "a beats input"))
    far = not all(host.is_loopback() for host in found)
    compressed = {"on": True, "off": False}.get(settings.compression, far)
    certificates = Certificates.of(settings)
    sink = LumberjackSink([Endpoint(host, certificates) for host in found], compressed=compressed)
    return sink, _name(found), Limits(events=1000, at_once=4)


def _lines(settings: Settings, url: str) -> _Opened:
    found = _plain(hosts(url, _LINES, "an input for lines of JSON"))
    certificates = Certificates.of(settings)
    return LinesSink([Endpoint(host, certificates) for host in found]), _name(found), Limits(bytes=1 << 20)


def _plain(found: tuple[Host, ...]) -> tuple[Host, ...]:
    """Hosts that are spoken to without HTTP. Raises SettingError for what has no place there."""
    for host in found:
        if host.login is not None:
            raise SettingError(
                f"{host.url}: takes no user and password: write cert_file, if it wants to know who we are"
            )
        if host.path:
            raise SettingError(f"{host.url}: a path means nothing there: leave out {host.path}")
    return found


def _name(found: tuple[Host, ...]) -> str:
    return ",".join(host.url for host in found)


_Open = Callable[[Settings, str], _Opened]
SCHEMES: Mapping[str, _Open] = {
    **dict.fromkeys(_HTTP, _http),
    **dict.fromkeys(_LUMBERJACK, _lumberjack),
    **dict.fromkeys(_LINES, _lines),
}
