"""The receiver of OTLP that a URL names."""

from __future__ import annotations

from dataclasses import replace

from clusterlog.errors import SettingError
from clusterlog.settings import Settings
from clusterlog.settings.servers.credentials import Credentials
from clusterlog.settings.servers.hosts import hosts
from clusterlog.ship.delivery.batch import Limits
from clusterlog.ship.sinks.endpoint import shown
from clusterlog.ship.sinks.otlp.http import JSON, PATHS, PROTOBUF, OtlpSink
from clusterlog.store.base import Sink
from clusterlog.store.elasticsearch.transport import Client
from clusterlog.store.elasticsearch.wire.node import Way

PORTS = {"otlp+http": 4318, "otlp-json+http": 4318, "otlp-json+https": 4318, "otlp+https": 4318}
"""Schemes, and the port that OTLP over HTTP has by its specification."""


def open_otlp(settings: Settings, url: str) -> tuple[Sink, str, Limits]:
    """Sink, name and limits for a URL with one of these schemes. Nothing is sent yet.

    Raises SettingError and NotAllowed for settings and files that cannot be used.
    """
    found = hosts(url, PORTS, "a receiver of OTLP")
    for host in found:
        for path in PATHS:
            if host.path.endswith(path):
                raise SettingError(f"{host.url}: leave out {path}: spans go to one path, all else to another")
    # The token is the store's; where the store is at no URL, it can only be meant for where events are shipped.
    credentials = Credentials("write") if "://" in settings.store else Credentials.of(settings, "write")
    ways = tuple(Way.of(replace(each, scheme=each.scheme.partition("+")[2]), credentials, settings) for each in found)
    far = not all(host.is_loopback() for host in found)
    compressed = {"on": True, "off": False}.get(settings.compression, far)
    form = JSON if found[0].scheme.startswith("otlp-json") else PROTOBUF
    sink = OtlpSink(Client(ways, credentials, compresses=False), form, compressed=compressed)
    return sink, shown(found), Limits(events=1000, at_once=4)
