"""The embedded store behind one name: opened to write, by one process, or to read, by any."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from clusterlog.errors import StoreUnavailable
from clusterlog.store.base import Delivery, Found, Outcome, Progress, Sequences, unseen
from clusterlog.store.embedded.check import damage
from clusterlog.store.embedded.reader import Reader
from clusterlog.store.embedded.writer import Writer
from clusterlog.store.query import Query


class EmbeddedStore:
    """A store in a directory of this machine: a sink while it is opened to write, and always a store to ask.

    A reader sees what was committed when it was opened, and what came since after ``reload``; a writer that is asked
    sees what it has committed itself.
    """

    def __init__(self, path: Path, reader: Reader, writer: Writer | None) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer
        self._seen = 0

    @classmethod
    def open(
        cls, path: Path, mode: Literal["read", "write"], *, clock: Callable[[], int] = time.time_ns
    ) -> EmbeddedStore:
        """The store in ``path``. To write, it is made if it is not there; to read, an absent one answers nothing.

        ``clock`` gives nanoseconds since the epoch: when an event arrives. Raises ``HomeBusy`` to a second writer and
        ``StoreUnavailable`` where the files cannot be used.
        """
        writer = Writer(path, clock) if mode == "write" else None
        return cls(path, Reader(path), writer)

    def deliver(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """One outcome per delivery, in the same order. What is ``stored`` is on disk, and findable a second later.

        Raises ``StoreUnavailable`` when nothing of the batch was judged.
        """
        return self._writing().deliver(batch)

    def flush(self) -> None:
        """Everything delivered so far is findable. Raises ``StoreUnavailable`` when only its safety can be had."""
        self._writing().flush()

    def reload(self) -> None:
        """See what was committed since."""
        self._reader.reload()

    def find(self, query: Query) -> Iterator[Found]:
        """The events that match, in the query's order, lazily and in bounded memory.

        Raises ``Incomplete`` at the end when damaged files kept some from being read.
        """
        self._follow()
        return self._reader.find(query)

    def count(self, query: Query) -> int:
        """How many events match; ``limit``, ``order`` and ``after`` do not count. Raises ``Incomplete`` as ``find``."""
        self._follow()
        return self._reader.count(query)

    def sequences(self, instance: str, within: tuple[int, int] | None = None) -> Sequences:
        """Which numbers of an instance are stored, all of them, as the side files note it; no event is read for it."""
        self._follow()
        return self._reader.sequences(instance)

    def audit(self, progress: Progress = unseen) -> Iterator[Sequences]:
        """The same for every instance, by reading every frame; ``progress`` counts bytes.

        Raises ``StoreUnavailable`` where the files cannot be read.
        """
        return self._reader.audit(progress)

    def check(self) -> list[str]:
        """Read everything, and name each place where events cannot be read any more; empty for a sound store."""
        return list(damage(self._path))

    def close(self) -> None:
        """Flush, if it was opened to write, and let go. Idempotent."""
        self._reader.close()
        if self._writer is not None:
            self._writer.close()

    def _writing(self) -> Writer:
        if self._writer is None:
            raise StoreUnavailable("the store is open for reading only")
        return self._writer

    def _follow(self) -> None:
        if self._writer is not None and (commits := self._writer.commits) != self._seen:
            self._reader.reload()
            self._seen = commits  # only now: another thread that asks meanwhile must not answer by what was seen before
