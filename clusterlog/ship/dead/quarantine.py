"""Dead letters: events a sink will never take as they are, kept with the reason in ``dead/``.

They lie in segments of the spool's own format, so a torn tail costs one letter and every tool that reads a spool
reads them. A letter's payload is a line of JSON that says what and why, and then the event's exact bytes.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clusterlog.spool.budget import SEGMENT_BYTES, used_bytes
from clusterlog.spool.segment import PRIORITY, Record, SegmentName, frame, scan
from clusterlog.store.base import Delivery

REASON_LIMIT = 512
DISK_LIMIT = 256 << 20


@dataclass(frozen=True, slots=True)
class Letter:
    """One event kept aside: which, why, since when, and its bytes."""

    id: str
    instance: str
    sequence: int
    sink: str
    reason: str
    wall_ns: int
    body: bytes


class Quarantine:
    """Keeps letters in the directory ``dead``; the file is made with the first one."""

    def __init__(self, directory: Path, writer_id: str, sink: str) -> None:
        self._directory = directory
        self._name = SegmentName(writer_id, "priority", 0)
        self._sink = sink
        self._sequence = 0
        self._offset = 0
        self._fd = -1
        self.dropped = 0

    def keep(self, delivery: Delivery, reason: str, wall_ns: int) -> None:
        """Write one letter durably. Raises OSError; then the event must stay in the spool."""
        told = {
            "id": delivery.id,
            "instance": delivery.instance,
            "sequence": delivery.sequence,
            "sink": self._sink,
            "reason": reason[:REASON_LIMIT],
            "wall_ns": wall_ns,
        }
        payload = json.dumps(told).encode() + b"\n" + delivery.body
        if self._fd < 0 or self._offset >= SEGMENT_BYTES:
            self._begin_segment()
        self._sequence += 1
        data = frame(payload, PRIORITY, self._sequence, wall_ns, self._name.seed)
        written = os.write(self._fd, data)
        if written != len(data):
            os.ftruncate(self._fd, self._offset)
            raise OSError(errno.ENOSPC, "short write", str(self._directory))
        self._offset += written
        os.fdatasync(self._fd)

    def _begin_segment(self) -> None:
        self.close()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.dropped += _make_room(self._directory)
        self._name = replace(self._name, number=self._name.number + 1)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._directory / str(self._name), flags, 0o600)
        self._offset = 0

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def _make_room(directory: Path) -> int:
    """Remove the oldest letters beyond the limit; how many that were."""
    removed = 0
    names = sorted(filter(None, map(SegmentName.parse, os.listdir(directory))))
    while names and used_bytes(directory) + SEGMENT_BYTES > DISK_LIMIT:
        oldest = directory / str(names.pop(0))
        removed += sum(isinstance(item, Record) for item in scan(oldest))
        oldest.unlink()
    return removed


def letters(directory: Path) -> Iterator[Letter]:
    """Every letter, oldest file first; one that was kept twice comes twice."""
    try:
        names = sorted(filter(None, map(SegmentName.parse, os.listdir(directory))))
    except FileNotFoundError:
        return
    for name in names:
        for item in scan(directory / str(name)):
            if isinstance(item, Record):
                head, _, body = item.payload.partition(b"\n")
                told: dict[str, Any] = json.loads(head)
                yield Letter(**told, body=body)
