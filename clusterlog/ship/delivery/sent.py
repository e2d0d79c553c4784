"""Which events may have been sent before: by another life of the shipper, which could not note that they arrived.

An id that is stored already means nothing where its event may have been sent before, and something where it surely
was not. So before anything is sent, a number is noted that no event sent from its instance will exceed, some thousands
ahead, so that this happens rarely. The note survives the death of the process and not a power cut; without it all is
taken as never sent, and what is stored already is compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from clusterlog.ship.acknowledged import replace
from clusterlog.store.base import Delivery

AHEAD = 10_000


class Sent:
    """The notes in ``run/sent.json``: those of the lives before, and our own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: Mapping[str, int] = _read(path)
        self._noted = dict(self._before)

    def perhaps(self, delivery: Delivery) -> bool:
        """Whether a life before this one may have sent it."""
        return delivery.sequence <= self._before.get(delivery.instance, 0)

    def sending(self, deliveries: Iterable[Delivery]) -> None:
        """These are about to be sent. Raises OSError where that cannot be noted."""
        reached: dict[str, int] = {}
        for each in deliveries:
            if each.sequence > self._noted.get(each.instance, 0):
                reached[each.instance] = max(each.sequence, reached.get(each.instance, 0))
        if reached:
            noted = {**self._noted, **{instance: last + AHEAD for instance, last in reached.items()}}
            self._write(noted)
            self._noted = noted

    def forget(self, instance: str) -> None:
        """Nothing of it is left to be sent; it goes from the file when that is written next."""
        self._noted.pop(instance, None)

    def end(self, unanswered: Iterable[Delivery]) -> None:
        """A life ends that knows all it has sent, and what of that was not answered. Raises OSError."""
        reached: dict[str, int] = {}
        for each in unanswered:
            reached[each.instance] = max(each.sequence, reached.get(each.instance, 0))
        if reached != self._noted:
            self._write(reached)
            self._noted = reached

    def _write(self, noted: Mapping[str, int]) -> None:
        replace(self._path, json.dumps({"format": 1, "instances": noted}).encode(), durable=False)


def _read(path: Path) -> dict[str, int]:
    """Absent or damaged notes are none."""
    try:
        told = json.loads(path.read_bytes())["instances"]
        return {str(instance): int(last) for instance, last in told.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
