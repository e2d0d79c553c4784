"""The search index of the partition that is written to: fed, committed, and made again from the frames when it fails.

Nothing is lost when it does: the frames are the truth. A failure is met by opening the index again and feeding it what
it lacks; an index that does not open is thrown away and built anew.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tantivy

from clusterlog.errors import StoreUnavailable
from clusterlog.store import document
from clusterlog.store.embedded.index import schema
from clusterlog.store.embedded.index.documents import Indexer, id_token, minimal
from clusterlog.store.embedded.raw import partition
from clusterlog.store.embedded.raw.files import sync_directory
from clusterlog.store.embedded.raw.live import LivePartition
from clusterlog.store.embedded.raw.partition import directories


class ViewBroken(Exception):
    """The index cannot go on; what it lacks is in the frames."""


@contextmanager
def mended() -> Iterator[None]:
    """Everything tantivy fails with, a panic included, as ``ViewBroken``."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ViewBroken(str(error)) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # pyo3's; derives from BaseException and cannot be imported
            raise ViewBroken(str(error)) from error
        raise


class View:
    """The index of ``live``, opened for writing. Raises ``StoreUnavailable`` if another process writes to it."""

    def __init__(self, live: LivePartition) -> None:
        self._live = live
        self._path = live.directory / partition.INDEX
        self._writer: tantivy.IndexWriter | None = None
        self.indexer = Indexer()
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
                self._reset()
                index, last = self._inspect()
        with mended():
            try:
                self._writer = index.writer(schema.WRITER_HEAP, num_threads=1)
            except ValueError as error:
                if "lock" in str(error).lower():
                    raise StoreUnavailable(f"another process writes to {self._path}: stop it first") from None
                raise
        if self._feed(last):
            self.commit()

    def _inspect(self) -> tuple[tantivy.Index, int]:
        """The index and the number of its last event, -1 if it is empty. Raises ``ValueError`` for a foreign one."""
        index = schema.open_index(self._path)
        last = last_seq(index)
        if index.searcher().num_docs != self._live.events_through(last):
            raise ValueError("the index does not hold what the frames hold")
        return index, last

    def _reset(self) -> None:
        self._writer = None
        shutil.rmtree(self._path, ignore_errors=True)
        self._path.mkdir(0o700, exist_ok=True)
        schema.open_index(self._path, create=True)
        sync_directory(self._live.directory)

    def _feed(self, last: int) -> int:
        fed = 0
        for frame, bodies in self._live.read_after(last):
            skipped = max(0, last + 1 - frame.first_seq)
            first, bodies = frame.first_seq + skipped, bodies[skipped:]
            documents, times = [], []
            for seq, body in enumerate(bodies, first):
                event = document.parse(body)
                own = document.own_time(event)
                times.append(document.placed(event, frame.arrival) // 1_000)
                id = document.id_of(event) or ""
                documents.append(
                    self.indexer.document(
                        event, id, seq, times[-1], own_time=own is not None and own <= frame.arrival + document.AHEAD
                    )
                )
            self.add(documents, bodies, first, times)
            fed += len(documents)
        return fed

    def add(self, documents: Sequence[str], bodies: Sequence[bytes], first_seq: int, times_us: Sequence[int]) -> None:
        """Feed index documents; where tantivy refuses one, a minimal one stands in. Raises ``ViewBroken``."""
        writer = self._writer
        if writer is None:
            raise ViewBroken("closed")
        with mended():
            for at, full in enumerate(documents):
                try:
                    writer.add_json(full)
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
