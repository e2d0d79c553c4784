"""The search index of the partition that is written to: fed, committed, and made again from the frames when it fails.

Nothing is lost when it does: the frames are the truth. A failure is met by opening the index again and feeding it what
it lacks; an index that does not open is thrown away and built anew.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tantivy

from clusterlog.errors import StoreUnavailable
from clusterlog.store import document
from clusterlog.store.embedded.index import schema
from clusterlog.store.embedded.index.documents import Indexer, minimal
from clusterlog.store.embedded.index.failure import ViewBroken, mended
from clusterlog.store.embedded.index.heads import Heads
from clusterlog.store.embedded.raw import partition
from clusterlog.store.embedded.raw.files import sync_directory
from clusterlog.store.embedded.raw.live import LivePartition
from clusterlog.store.embedded.raw.partition import Entry

_Frame = tuple[Entry, int, list[bytes] | None]
_Making = Callable[[bytes, int, int], str]
_STRETCH = 20_000


class View:
    """The index of ``live``, opened for writing. Raises ``StoreUnavailable`` if another process writes to it."""

    def __init__(self, live: LivePartition) -> None:
        self._live = live
        self._path = live.directory / partition.INDEX
        self._beside = live.directory / f".{partition.INDEX}.new"
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
        shutil.rmtree(self._beside, ignore_errors=True)  # of a rebuilding that was killed
        try:
            with mended():
                index, last = self._inspect()
        except ViewBroken:
            with mended():
                self._rebuild()
                index, last = self._inspect()
        try:
            self._feed(index, last)
        except ViewBroken:
            self.abandon()
            raise

    def _lock(self, index: tantivy.Index) -> None:
        """Become the writer of an index, as of its last commit."""
        self._writer = None  # the one before holds the lock as long as it is there
        try:
            with mended():
                self._writer = index.writer(schema.WRITER_HEAP, num_threads=1)
        except ViewBroken as error:
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
        self._beside.mkdir(0o700)
        try:
            self._feed(schema.open_index(self._beside, create=True), -1)
            if self._writer is not None:
                self._writer.wait_merging_threads()
        finally:
            self.abandon()
        _restrict(self._beside)
        shutil.rmtree(self._path, ignore_errors=True)
        os.rename(self._beside, self._path)
        sync_directory(self._live.directory)

    def _feed(self, index: tantivy.Index, last: int) -> None:
        """Feed what is numbered above ``last``, in stretches.

        A stretch that kills tantivy's writer, be it by one document, is fed as minimal documents: its events are then
        judged by their bytes, and found.
        """
        self._lock(index)
        for stretch in _stretches(self._live.read_after(last)):
            if not self._is_fed(stretch, last):
                # Not where the exception is handled: its traceback holds the dead writer, and that the lock.
                self._lock(index)
                self._feed_stretch(stretch, last, _minimal)

    def _is_fed(self, stretch: list[_Frame], last: int) -> bool:
        try:
            self._feed_stretch(stretch, last, self._full)
        except ViewBroken:
            return False
        return True

    def _feed_stretch(self, stretch: list[_Frame], last: int, made: _Making) -> None:
        for entry, arrival, bodies in stretch:
            skipped = max(0, last + 1 - entry.first_seq)
            first = entry.first_seq + skipped
            if bodies is None:  # it is known that there were events, and when
                lost = range(first, entry.first_seq + entry.count)
                self._feed_documents([minimal("", seq, entry.min_us) for seq in lost])
            else:
                self._feed_documents([made(body, seq, arrival) for seq, body in enumerate(bodies[skipped:], first)])
        self.commit()

    def _full(self, body: bytes, seq: int, arrival: int) -> str:
        event = document.parse(body)
        time, believed = document.placed(event, arrival)
        return self.indexer.document(event, document.id_of(event) or "", seq, time // 1_000, believed)

    def _feed_documents(self, documents: Sequence[str]) -> None:
        if self._writer is None:
            raise ViewBroken("closed")
        with mended():
            for each in documents:
                self._writer.add_json(each)
        self.pending += len(documents)

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
                    add(minimal(id, first_seq + at, times_us[at]))
        self.pending += len(documents)

    def commit(self) -> None:
        """Make everything fed so far findable."""
        if self._writer is None:
            raise ViewBroken("closed")
        with mended():
            self._live.sync()
            self._writer.commit()
            if self._path.exists():
                _restrict(self._path)
        self.pending = 0

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


def _minimal(body: bytes, seq: int, arrival: int) -> str:
    event = document.parse(body)
    time, _ = document.placed(event, arrival)
    return minimal(document.id_of(event) or "", seq, time // 1_000)


def _stretches(frames: Iterator[_Frame]) -> Iterator[list[_Frame]]:
    """Frames in runs of so many events as one commit takes."""
    run: list[_Frame] = []
    events = 0
    for frame in frames:
        run.append(frame)
        events += frame[0].count
        if events >= _STRETCH:
            yield run
            run, events = [], 0
    if run:
        yield run


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
