"""A store behind a server does what every store does: events go in by the sink for Elasticsearch, and out by HTTP."""

from __future__ import annotations

import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from clusterlog.settings import load
from clusterlog.store.elasticsearch.bulk import ElasticsearchSink
from clusterlog.store.elasticsearch.transport import Client
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.remote import RemoteStore
from clusterlog.testing.contracts import StoreContract


class Both:
    """What takes events with one token, and what finds them with the other."""

    def __init__(self, url, tokens):
        settings = {right: load({"store": url, "token": getattr(tokens, right)}) for right in ("write", "read")}
        self.sink = ElasticsearchSink(Client.of(settings["write"]), settings["write"])
        self.store = RemoteStore(Client.of(settings["read"]))
        self.deliver, self.flush = self.sink.deliver, self.sink.flush
        self.find, self.count = self.store.find, self.store.count
        self.sequences, self.audit = self.store.sequences, self.store.audit

    def close(self):
        self.sink.close()
        self.store.close()


class TestRemoteStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _server(self, running):
        self.running = running

    @contextmanager
    def new_store(self):
        with tempfile.TemporaryDirectory() as directory:
            home = Path(directory)
            with (
                closing(EmbeddedStore.open(home / "store", "write")) as embedded,
                self.running.serving(embedded, home) as asked,
                closing(Both(asked.url, asked.tokens)) as both,
            ):
                yield both
