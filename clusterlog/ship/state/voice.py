"""The shipper's own words: heartbeat, crash-close and dead-letter events, through a spool instance of its own.

The instance begins with the first word, so a shipper that has nothing to tell leaves nothing behind.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from clusterlog.context import ids
from clusterlog.encode.ecs import Encoder
from clusterlog.encode.facts import Origin
from clusterlog.record.redact import Redactor
from clusterlog.settings import Settings
from clusterlog.spool.budget import Budget
from clusterlog.spool.segment import STATE
from clusterlog.spool.writer import Writer

_PRIORITY = frozenset({"crash-close", "dead-letter"})


class Voice:
    """Says state events for one shipper. ``id`` names it, also before its instance has begun.

    ``wall`` tells the time of what is said, in nanoseconds.
    """

    def __init__(self, settings: Settings, wall: Callable[[], int] = time.time_ns) -> None:
        self.id = ids.new_entity_id()
        self._wall = wall
        origin = Origin("clusterlog", settings.node, settings.environment, socket.gethostname())
        self._encoder = Encoder(origin, redactor=Redactor(()))
        self._writer = Writer(
            settings.home_path / "spool",
            head=self._encoder.head,
            state=self._encoder.state,
            new_instance=lambda: self.id,
            budget=Budget(settings.disk_limit * 2),  # its few words must fit when the spool is full
        )

    def say(self, action: str, facts: Mapping[str, Any]) -> None:
        """One state event, written before this returns or counted as lost by the writer."""
        self._writer.append(action in _PRIORITY, self._wall(), self._encoder.state(action, facts), STATE)

    def end(self) -> None:
        """Say the close event and let the instance go; it can be shipped to its end then."""
        self._writer.close(self._wall())
