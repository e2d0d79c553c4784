"""Reads every byte of a store's truth and says what of it is damaged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from clusterlog.store.embedded.raw import frames, partition
from clusterlog.store.embedded.raw.partition import FrameTable


def damage(store: Path) -> Iterator[str]:
    """Every place where events cannot be read any more, one line each; nothing for a sound store.

    Reads frames only: the search index is a view and is mended by opening the store to write. The newest partition's
    torn end, which the next opening cuts off, is no damage.
    """
    for directory in partition.directories(store):
        yield from _of_partition(directory)


def _of_partition(directory: Path) -> Iterator[str]:
    path = directory / partition.RAW
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield f"{path} is gone, and all its events with it"
        return
    try:
        table = FrameTable()
        table.reload_or_scan(directory)
        decompressor = frames.decompressor(partition.read_dictionary(directory))
        end = 0
        for entry in table:
            if entry.offset > end:
                yield f"{path}: {entry.offset - end} bytes from byte {end} on hold no whole frame"
            end = entry.offset + entry.length
            try:
                frames.read_frame(fd, entry.offset, entry.length, decompressor)
            except frames.FrameDamaged as error:
                yield f"{path}: {entry.count} events at byte {entry.offset} cannot be read: {error}"
    except OSError as error:
        yield f"{path}: {error.strerror}"
    finally:
        os.close(fd)
