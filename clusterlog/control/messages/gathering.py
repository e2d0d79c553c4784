"""A question to many: who was expected to answer, what each said, and who is missing when the time is up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from clusterlog.control.messages.envelope import Envelope, Sender


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker answered; ``failed`` is why it has no answer: nobody subscribes there, or its function raised."""

    sender: Sender
    data: Any = None
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Replies:
    """All that was answered in time, in the order in which it came, and the workers that should have answered.

    ``known`` is whether it was found out in time who is there: a bus that is away does not say.
    """

    replies: tuple[Reply, ...] = ()
    missing: tuple[Sender, ...] = ()
    known: bool = True

    @property
    def complete(self) -> bool:
        """Whether every worker that was expected to answer did so, with an answer."""
        return self.known and not self.missing and not any(reply.failed for reply in self.replies)

    def __iter__(self) -> Iterator[Reply]:
        return iter(self.replies)

    def __len__(self) -> int:
        return len(self.replies)


@dataclass(slots=True, eq=False)
class Question:
    """A request under way. Replies are put in by the thread that reads the bus, waited for by the one that asked."""

    id: str
    _expected: dict[str, Sender] | None = None
    _replies: dict[str, Reply] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def expect(self, workers: dict[str, Sender]) -> None:
        """These are to answer, by instance."""
        with self._changed:
            self._expected = workers
            self._changed.notify_all()

    def answered(self, envelope: Envelope) -> None:
        """Take a reply; a second one of the same worker counts for nothing."""
        with self._changed:
            reply = Reply(envelope.sender, envelope.data, envelope.failed)
            self._replies.setdefault(envelope.sender.instance, reply)
            self._changed.notify_all()

    def gathered(self, timeout_s: float) -> Replies:
        """What has been answered as soon as all who are expected have, or the time is up."""
        with self._changed:
            self._changed.wait_for(self._all_have, max(0, timeout_s))
            expected = self._expected or {}
            missing = tuple(who for instance, who in expected.items() if instance not in self._replies)
            return Replies(tuple(self._replies.values()), missing, self._expected is not None)

    def _all_have(self) -> bool:
        return self._expected is not None and self._expected.keys() <= self._replies.keys()
