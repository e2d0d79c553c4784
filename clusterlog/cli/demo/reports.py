"""What the services say of themselves on one pipe: that they are there, and how many events each request must leave."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Visit:
    """All that is known of one request so far: its trace id, and the hops that have been reported and called for."""

    trace_id: str = ""
    events_by_node: Counter[str] = field(default_factory=Counter)
    called: Counter[str] = field(default_factory=Counter)
    reported: Counter[str] = field(default_factory=Counter)

    def add(self, told: dict[str, Any]) -> None:
        """One hop has ended, background work included."""
        node = told["node"]
        self.trace_id = told["trace_id"]
        self.events_by_node[node] += told["events"]
        self.called.update(told["called"])
        self.reported[node] += 1

    def missing(self, first: str) -> list[str]:
        """The nodes that still have to report, if the request was sent to ``first``."""
        return sorted((Counter([first]) + self.called - self.reported).elements())


class Reports:
    """The driver's end of the pipe, read by a thread of its own. ``fd`` is the other end, for the services."""

    def __init__(self) -> None:
        self._read_fd, self.fd = os.pipe()
        self._told = threading.Condition()
        self._present: Counter[str] = Counter()
        self._visits: dict[str, Visit] = {}
        self._open = True
        threading.Thread(target=self._read, name="reports", daemon=True).start()

    def _read(self) -> None:
        with os.fdopen(self._read_fd, "rb") as lines:
            for line in lines:
                told = json.loads(line)
                with self._told:
                    if "ticket" in told:
                        self._visits.setdefault(told["ticket"], Visit()).add(told)
                    else:
                        self._present[told["node"]] += 1
                    self._told.notify_all()

    def let_go(self) -> None:
        """Close the services' end here: the reader ends when the last service has. Idempotent."""
        if self._open:
            self._open = False
            os.close(self.fd)

    def present(self) -> Counter[str]:
        """How many processes of each node have said that they are there."""
        with self._told:
            return self._present.copy()

    def visit(self, ticket: str) -> Visit:
        """What is known of a request."""
        with self._told:
            return self._visits.get(ticket) or Visit()

    def forget(self, ticket: str) -> None:
        """This request need not be known any more."""
        with self._told:
            self._visits.pop(ticket, None)

    def wait(self, seconds: float) -> None:
        """Until something is said, at most so long."""
        with self._told:
            self._told.wait(seconds)
