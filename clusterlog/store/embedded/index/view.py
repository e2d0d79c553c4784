"""The search index of the partition that is written to: fed, committed, and made again from the frames when it fails.

Nothing is lost when it does: the frames are the truth. A failure is met by opening the index again and feeding it what
it lacks; an index that does not open is thrown away and built anew.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import tantivy

from clusterlog.errors import StoreUnavailable
from clusterlog.store import document
from clusterlog.store.embedded.index import schema
from clusterlog.store.embedded.index.documents import Indexer, id_token, minimal
from clusterlog.store.embedded.index.failure import ViewBroken, mended
from clusterlog.store.embedded.index.heads import Heads
from clusterlog.store.embedded.raw import partition
from clusterlog.store.embedded.raw.files import sync_directory
from clusterlog.store.embedded.raw.live import LivePartition
from clusterlog.store.embedded.raw.partition import directories


class View:
    """The index of ``live``, opened for writing. Raises ``StoreUnavailable`` if another process writes to it."""

    def __init__(self, live: LivePartition) -> None:
        self._live = live
        self._path = live.directory / partition.INDEX
        self._writer: tantivy.IndexWriter | None = None
        self.indexer = Indexer()
        self.heads = Heads(self.indexer)
        self.pending = 0

    @property
    def is_open(self) -> bool:
        """Whether it can be fed."""
        return self._writer is not None

    def open(self) -> None:
        """Open it and feed it what it lacks. Raises ``ViewBroken`` if that cannot be."""
        try:
            with mended():
                index, last = self._inspect()
        except ViewBroken:
            with mended():
                self._rebuild()
                index, last = self._inspect()
        with mended():
            self._writer = self._lock(index)
        try:
            if self._feed(last):
                self.commit()
        except ViewBroken:
            self.abandon()
            raise

    def _lock(self, index: tantivy.Index) -> tantivy.IndexWriter:
        try:
            return index.writer(schema.WRITER_HEAP, num_threads=1)
        except ValueError as error:
            if "lock" in str(error).lower():
                raise StoreUnavailable(f"another process writes to {self._path}: stop it first") from None
            raise

    def _inspect(self) -> tuple[tantivy.Index, int]:
        """The index and the number of its last event, -1 if it is empty. Raises ``ValueError`` for a foreign one."""
        index = schema.open_index(self._path)
        last = last_seq(index)
        if index.searcher().num_docs != self._live.events_through(last):
            raise ValueError("the index does not hold what the frames hold")
        return index, last

    def _rebuild(self) -> None:
        """The index again from the frames, beside the old one: until it takes its place readers search the frames."""
        beside = self._live.directory / f".{partition.INDEX}.new"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(0o700)
        writer = self._writer = self._lock(schema.open_index(beside, create=True))
        try:
            self._feed(-1)
            writer.commit()
            writer.wait_merging_threads()
        finally:
            self.abandon()
        _restrict(beside)
        shutil.rmtree(self._path, ignore_errors=True)
        os.rename(beside, self._path)
        sync_directory(self._live.directory)

    def _feed(self, last: int) -> int:
        """Feed what is numbered above ``last``. Of a damaged frame it is known that there were events, and when."""
        fed = 0
        for entry, arrival, bodies in self._live.read_after(last):
            first = max(entry.first_seq, last + 1)
            if bodies is None:
                lost = range(first, entry.first_seq + entry.count)
                self._feed_documents([minimal("", seq, entry.min_us) for seq in lost])
            else:
                self._feed_events(first, bodies[first - entry.first_seq :], arrival)
            fed += entry.first_seq + entry.count - first
        return fed

    def _feed_events(self, first_seq: int, bodies: Sequence[bytes], arrival: int) -> None:
        documents, times = [], []
        for seq, body in enumerate(bodies, first_seq):
            event = document.parse(body)
            time, believed = document.placed(event, arrival)
            times.append(time // 1_000)
            id = document.id_of(event) or ""
            documents.append(self.indexer.document(event, id, seq, times[-1], believed))
        self.add(documents, bodies, first_seq, times)

    def _feed_documents(self, documents: Sequence[str]) -> None:
        if self._writer is None:
            raise ViewBroken("closed")
        with mended():
            for each in documents:
                self._writer.add_json(each)

    def add(self, documents: Sequence[str], bodies: Sequence[bytes], first_seq: int, times_us: Sequence[int]) -> None:
        """Feed index documents; where tantivy refuses one, a minimal one stands in. Raises ``ViewBroken``."""
        writer = self._writer
        if writer is None:
            raise ViewBroken("closed")
        add = writer.add_json
        with mended():
            for at, full in enumerate(documents):
                try:
                    add(full)
                except ValueError:
                    id = document.id_of(document.parse(bodies[at])) or ""
                    writer.add_json(minimal(id, first_seq + at, times_us[at]))
        self.pending += len(documents)

    def commit(self) -> None:
        """Make everything fed so far findable."""
        if self._writer is None:
            raise ViewBroken("closed")
        with mended():
            self._live.sync()
            self._writer.commit()
        self.pending = 0
        _restrict(self._path)

    def abandon(self) -> None:
        """Let go without a commit: what was fed since the last one is lost to it, not to the store."""
        self._writer = None
        self.pending = 0

    def close(self) -> None:
        """Wait for merges and let go; what was not committed is lost to the index."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with mended():
                writer.wait_merging_threads()
            _restrict(self._path)


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


def last_seq(index: tantivy.Index) -> int:
    """The greatest event number in an index, -1 if it is empty."""
    index.reload()
    searcher = index.searcher()
    hits = searcher.search(tantivy.Query.all_query(), limit=1, order_by_field="seq", count=False).hits
    return int(hits[0][0]) if hits else -1


def is_whole(directory: Path, events: int) -> bool:
    """Whether a finished partition's index says of itself that it holds that many events, and has its files."""
    try:
        meta = json.loads((directory / "meta.json").read_bytes())
        found = sum(segment["max_doc"] - (segment["deletes"] or {"num_deleted_docs": 0})["num_deleted_docs"]
                    for segment in meta["segments"])  # fmt: skip
        stems = {name.partition(".")[0] for name in os.listdir(directory) if name.endswith(".term")}
        return found == events and stems >= {segment["segment_id"].replace("-", "") for segment in meta["segments"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _restrict(directory: Path) -> None:
    """tantivy makes its files with the process's umask; they are as private as the rest."""
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                if entry.stat().st_mode & 0o077:
                    os.chmod(entry.path, 0o600)
            except FileNotFoundError:  # merged away meanwhile
                continue
