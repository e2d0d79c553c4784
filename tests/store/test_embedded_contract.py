"""The embedded store does what every store does."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path

from clusterlog.store.embedded import EmbeddedStore
from clusterlog.testing.contracts import StoreContract


class TestEmbeddedStore(StoreContract):
    @contextmanager
    def new_store(self):
        with tempfile.TemporaryDirectory() as directory:
            store = EmbeddedStore.open(Path(directory) / "store", "write")
            try:
                yield store
            finally:
                store.close()
