"""Ends of the road: chosen by the setting ``sink``, or else the store.

A file and standard output cannot be asked for what they hold; a store can.
"""

from __future__ import annotations

from pathlib import Path

from clusterlog.errors import SettingError
from clusterlog.settings import SINKS, Settings, without_credentials
from clusterlog.ship.delivery.batch import Limits
from clusterlog.store.base import Sink

_LARGE = Limits(events=5000, bytes=8 << 20)
"""For ends on this machine, where a batch costs a sync and no memory of anybody else's."""
_FAR = Limits(events=1000, at_once=8)
"""For a server elsewhere: it answers after a while, and has several hands. Every request costs us half a millisecond:
of batches half as large an event would cost a fifth more, and larger ones keep several hands from working."""


def open_sink(settings: Settings) -> tuple[Sink, str, Limits]:
    """The sink of a home, its name for people and the batches it likes.

    Raises SettingError for a URL that names none, StoreUnavailable where it cannot be opened, MissingExtra where its
    library is not installed.
    """
    url = settings.sink or settings.store
    scheme, _, rest = url.partition(":")
    if scheme == "file":
        from clusterlog.ship.sinks.file import FileSink

        if not rest.strip("/"):
            raise SettingError("sink = 'file:' names no file: write file:PATH")
        return FileSink(Path(rest.removeprefix("//"))), url, _LARGE
    if scheme == "stdout":
        from clusterlog.ship.sinks.file import StandardOutput

        return StandardOutput(), url, _LARGE
    if not url:
        from clusterlog.store.embedded import EmbeddedStore

        path = settings.home_path / "store"
        return EmbeddedStore.open(path, "write"), str(path), _LARGE
    if scheme in ("http", "https"):
        from clusterlog.store.elasticsearch.bulk import ElasticsearchSink
        from clusterlog.store.elasticsearch.transport import Client

        client = Client.of(settings, url=url, kind="write")
        return ElasticsearchSink(client, settings), client.url, _FAR
    if scheme.startswith(("logstash+", "lumberjack+", "jsonlines+")):
        from clusterlog.ship.sinks.logstash.opening import SCHEMES, open_logstash

        if scheme in SCHEMES:
            return open_logstash(settings, url)
    if scheme in ("syslog+tcp", "syslog+tls"):
        from clusterlog.ship.sinks.syslog.opening import open_syslog

        return open_syslog(settings, url)
    if scheme.startswith("otlp"):
        from clusterlog.ship.sinks.otlp.opening import PORTS, open_otlp

        if scheme in PORTS:
            return open_otlp(settings, url)
    raise SettingError(
        f"{without_credentials(url)!r} is no sink to ship to: use {', '.join(f'{each}:' for each in SINKS)} or no sink"
    )
