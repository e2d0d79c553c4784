"""Events into segments by the thousand: one write, one sync, and the file appears under its name when it is whole.

The format is any writer's (``spool.segment``). A segment that is not there yet has no torn tail, needs no lock, and who
is killed while it is written leaves a hidden file that the next run takes away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from clusterlog.ship.acknowledged import sync_directory
from clusterlog.spool import filesystem
from clusterlog.spool.budget import Budget
from clusterlog.spool.segment import (
    CRC,
    CRC_AT,
    FLAGS_AT,
    HEADER,
    HEADER_SIZE,
    LANES,
    MAGIC,
    NUMBERS,
    NUMBERS_AT,
    PRIORITY,
    VERSION,
    SegmentName,
)

_HIDDEN = ".ingest"

Numbered = tuple[int, int, bytes]
"""Flags, sequence, payload."""


class Full(Exception):
    """The spool may not grow now; the argument is the reason, as a writer's drop event would tell it."""


def write(spool: Path, instance: str, number: int, events: Iterable[Numbered], budget: Budget) -> None:
    """Write events of one instance, each lane of them as segment ``number``. They are on disk when this returns.

    Raises Full, with nothing written, where the budget does not allow more; OSError.
    """
    lanes: tuple[list[Numbered], list[Numbered]] = ([], [])
    for event in events:
        lanes[event[0] & PRIORITY].append(event)
    filesystem.make_private(spool)
    for priority in (0, 1):
        refusal = budget.refusal(spool, bool(priority)) if lanes[priority] else ""
        if refusal:
            raise Full(refusal)
    for lane, records in zip(LANES, lanes, strict=True):
        if records:
            _write(spool, SegmentName(instance, lane, number), records)
    sync_directory(spool)


def _write(spool: Path, name: SegmentName, events: list[Numbered]) -> None:
    hidden = spool / f".{name}{_HIDDEN}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(hidden, flags, 0o600)
    try:
        data = memoryview(b"".join(framed(events, name.seed, time.time_ns())))
        while data:
            data = data[os.write(fd, data) :]
        os.fdatasync(fd)
    except BaseException:
        with suppress(OSError):
            hidden.unlink()
        raise
    finally:
        os.close(fd)
    os.rename(hidden, spool / str(name))


def framed(events: Iterable[Numbered], seed: int, wall_ns: int) -> list[bytearray]:
    """Header and payload of each, as ``spool.segment.frame`` makes them one by one, for half the price."""
    header = bytearray(HEADER.pack(MAGIC, VERSION, 0, HEADER_SIZE, 0, 0, 0, 0))
    put_numbers, put_crc = NUMBERS.pack_into, CRC.pack_into
    found = []
    for flags, sequence, payload in events:
        record = header + payload
        record[FLAGS_AT] = flags
        put_numbers(record, NUMBERS_AT, len(payload), 0, sequence, wall_ns)
        put_crc(record, CRC_AT, crc32(record, seed))
        found.append(record)
    return found


def clear_away(spool: Path) -> None:
    """Remove what a run that was killed left unfinished. The caller is the only one who ingests here."""
    with suppress(FileNotFoundError):
        for name in os.listdir(spool):
            if name.startswith(".") and name.endswith(_HIDDEN):
                (spool / name).unlink(missing_ok=True)
