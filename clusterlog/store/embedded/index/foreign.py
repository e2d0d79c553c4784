"""Ids that are not of our own form: whether they are stored is looked up in the index."""

from __future__ import annotations

from pathlib import Path

import tantivy

from clusterlog.store.embedded.index import schema
from clusterlog.store.embedded.index.documents import id_token
from clusterlog.store.embedded.index.failure import ViewBroken, mended
from clusterlog.store.embedded.raw import partition
from clusterlog.store.embedded.raw.partition import directories


class ForeignIds:
    """Which ids that are not of our own form are stored: those not yet committed, and a look-up in every index."""

    def __init__(self) -> None:
        self.uncommitted: set[str] = set()
        self._indexes: dict[Path, tantivy.Index] = {}

    def commit(self, directory: Path) -> None:
        """The newest partition's index, in ``directory``, now knows everything that was not committed."""
        self.uncommitted.clear()
        self._indexes.pop(directory, None)

    def holds(self, id: str, store: Path) -> bool | None:
        """Whether an id is stored; ``None`` when an index cannot be asked."""
        if id in self.uncommitted:
            return True
        token = id_token(id)
        try:
            with mended():
                return any(self._index(each).searcher().doc_freq("leaf", token) for each in directories(store))
        except ViewBroken:
            return None

    def _index(self, directory: Path) -> tantivy.Index:
        index = self._indexes.get(directory)
        if index is None:
            index = self._indexes[directory] = schema.open_index(directory / partition.INDEX)
            index.reload()
        return index
