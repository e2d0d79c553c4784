"""Letters at rest: read, chosen, taken out again, by whoever comes, while a shipper may be adding others."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from clusterlog.ship.acknowledged import replace, sync_directory
from clusterlog.spool.segment import Record, SegmentName, frame, scan

LOCK = "lock"
REASON_LIMIT = 512

Cause = Literal["refused", "failure_store", "conflict"]


@dataclass(frozen=True, slots=True)
class Letter:
    """One event kept aside: which, why, since when (``wall_ns``), after how many sendings, and its bytes.

    ``instance`` and ``sequence`` are the number it counts as.
    """

    id: str
    instance: str
    sequence: int
    sink: str
    reason: str
    wall_ns: int
    body: bytes
    cause: Cause = "refused"
    attempts: int = 1


_FACTS = frozenset(each.name for each in fields(Letter)) - {"body"}


def encoded(letter: Letter) -> bytes:
    """A letter as the payload of a record."""
    told = {name: value for name, value in asdict(letter).items() if name in _FACTS}
    told["reason"] = letter.reason[:REASON_LIMIT]
    return json.dumps(told).encode() + b"\n" + letter.body


def _decoded(payload: bytes) -> Letter:
    head, _, body = payload.partition(b"\n")
    told: dict[str, Any] = json.loads(head)
    return Letter(**{name: told[name] for name in told if name in _FACTS}, body=body)


def segments(directory: Path) -> list[SegmentName]:
    """The files, oldest first."""
    try:
        return sorted(filter(None, map(SegmentName.parse, os.listdir(directory))))
    except FileNotFoundError:
        return []


def letters_of(path: Path) -> Iterator[Letter]:
    """The letters of one file; one that was removed meanwhile has none."""
    try:
        yield from (_decoded(item.payload) for item in scan(path) if isinstance(item, Record))
    except FileNotFoundError:
        return


def letters(directory: Path) -> Iterator[Letter]:
    """Every letter, oldest file first; one that was kept twice comes twice."""
    for name in segments(directory):
        yield from letters_of(directory / str(name))


def take_out(directory: Path, chosen: Callable[[Letter], bool], before: Callable[[Sequence[Letter]], None]) -> int:
    """Remove the chosen letters, file by file; returns how many.

    ``before`` is called with those of one file while they are still there: whoever is killed between the two finds them
    in both places. Raises OSError, and whatever ``before`` raises.
    """
    removed = 0
    if not segments(directory):
        return 0
    with locked(directory):
        for name in segments(directory):
            path = directory / str(name)
            taken, kept = [], []
            for item in scan(path):
                if isinstance(item, Record):
                    letter = _decoded(item.payload)
                    if chosen(letter):
                        taken.append(letter)
                    else:
                        kept.append(frame(item.payload, item.flags, item.sequence, item.wall_ns, name.seed))
            if not taken:
                continue
            before(taken)
            if kept:
                replace(path, b"".join(kept))
            else:
                path.unlink()
                sync_directory(directory)
            removed += len(taken)
    return removed


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock under which letters are added and taken out."""
    fd = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
