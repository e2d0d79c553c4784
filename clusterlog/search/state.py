"""What state events tell of an instance: that it began, how far it was, what it lost, how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from clusterlog.search.instant import instant
from clusterlog.search.story.event import Document, part, text, whole

_NUMBERS = 1 << 44  # what eleven hex digits of an event.id can say; beyond it a fact is a stranger's joke


@dataclass(frozen=True, slots=True)
class StateEvent:
    """The facts of one state event about ``instance``, be it said by that or by its shipper.

    ``own`` is its number where the instance said it itself. ``first`` and ``last`` are ``first_seq`` and ``last_seq``.
    """

    id: str
    action: str
    instance: str
    own: int | None
    time_ns: int | None
    first: int | None
    last: int | None
    reason: str
    backlog: int
    torn: int

    @classmethod
    def read(cls, document: Document) -> StateEvent:
        """The facts of a document; whatever a stranger put into it, nothing is raised."""
        facts = part(document, "clusterlog.state")
        speaker = text(document, "process.entity_id")
        instance = text(facts, "instance") or speaker
        return cls(
            id=text(document, "event.id"),
            action=text(document, "event.action"),
            instance=instance,
            own=_number(document, "event.sequence") if speaker == instance else None,
            time_ns=instant(part(document, "@timestamp")),
            first=_number(facts, "first_seq"),
            last=_number(facts, "last_seq"),
            reason=text(facts, "reason"),
            backlog=_number(facts, "backlog_events") or 0,
            torn=_number(facts, "torn_bytes") or 0,
        )

    @property
    def reached(self) -> int:
        """The greatest number known to have been given when it was said."""
        return max(self.own or 0, self.last or 0)


def _number(document: object, path: str) -> int | None:
    found = whole(document, path)
    return found if found is not None and 0 <= found < _NUMBERS else None


@dataclass(slots=True)
class Told:
    """State events about one instance, in any order."""

    states: list[StateEvent] = field(default_factory=list)

    def heartbeat(self) -> StateEvent | None:
        """The last one."""
        beats = [state for state in self.states if state.action == "heartbeat"]
        return max(beats, key=lambda state: (state.time_ns or 0, state.reached), default=None)

    def end(self) -> StateEvent | None:
        """How it ended; an instance that said good-bye itself was not killed."""
        ends = [state for state in self.states if state.action in ("close", "crash-close")]
        return min(ends, key=lambda state: (state.action, state.id), default=None)

    def losses(self) -> Iterator[StateEvent]:
        """Drops and dead letters, each once, in order: what two shippers sent comes twice. All have first and last.

        A dead letter that was thrown away later is lost once.
        """
        seen: set[tuple[str, int, int]] = set()
        lost = [state for state in self.states if state.action in ("drop", "dead-letter") and state.first]
        letters = {state.first for state in lost if state.action == "dead-letter"}
        for state in sorted(lost, key=lambda state: (state.first or 0, state.id)):
            key = state.action, state.first or 0, state.last or 0
            if state.action == "drop" and state.reason.startswith("dead_letter") and state.first in letters:
                continue
            if key not in seen and key[1] <= key[2]:
                seen.add(key)
                yield state
