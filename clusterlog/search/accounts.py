"""Where every sequence number of an instance has gone: stored, lost with a reason, still in a spool, or unexplained.

An instance numbers its events from 1 without gaps, so a number that is less than a known one and not stored is an event
that somebody should be able to explain. What nobody can know is whether numbers were given beyond the last one that was
heard of: that is the account's tail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from clusterlog.search.state import StateEvent, Told
from clusterlog.store.base import Sequences
from clusterlog.store.ranges import Ranges, amount, common, merged, minus

DEAD_LETTER = "dead_letter"
UNREADABLE = "unreadable"
"""Why what was stored is not there any more: no reason that explains it, but a place to look at."""

Fate = Literal["explained", "pending", "unexplained", "duplicates"]
Tail = Literal["closed", "killed", "alive", "heartbeat", "unknown"]
"""How far the numbers of an instance are known.

``closed``: it said good-bye, and with which number. ``killed``: it left all it had written to its shipper, which told
the last number. ``alive``: it writes into the spool that was looked into. ``heartbeat``: up to the last one of its
shipper. ``unknown``: nobody ever told.
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive numbers of one instance that share a fate. ``reason`` is empty where there is none."""

    instance: str
    first_seq: int
    last_seq: int
    reason: str = ""
    event_id: str = ""

    @property
    def count(self) -> int:
        """How many numbers."""
        return self.last_seq - self.first_seq + 1


@dataclass(frozen=True, slots=True)
class Spooled:
    """What a spool holds of one instance: its numbers, the state events among them, and any one event, its ``first``.

    Events are as they were written: where a disk was full there are hundreds of thousands of drop events.

    ``until`` is the last number that was looked for: what a living instance says beyond it is left for the next look.
    """

    numbers: Ranges
    alive: bool = False
    until: int | None = None
    states: tuple[bytes, ...] = ()
    first: bytes = b""


@dataclass(frozen=True, slots=True)
class Account:
    """The numbers 1 to ``last_seq`` of one instance by their fate, and how far they are known."""

    instance: str
    last_seq: int
    stored: int
    explained: tuple[Stretch, ...]
    pending: tuple[Stretch, ...]
    unexplained: tuple[Stretch, ...]
    duplicates: tuple[Stretch, ...]
    tail: Tail
    heard_ns: int | None
    """When the last heartbeat was said, or how it ended; ``None`` where neither is known."""

    @property
    def complete(self) -> bool:
        """Whether no number is unexplained: a loss that is explained is accounted for, and what waits is not lost."""
        return not self.unexplained


def account(
    sequences: Sequences,
    told: Told,
    spooled: Spooled | None = None,
    letters: Iterable[tuple[int, str]] = (),
    *,
    spools_seen: bool = True,
) -> Account:
    """Account for the numbers of one instance.

    ``told`` are its state events, stored or not. ``spooled`` is what its spool holds, ``None`` if that holds nothing;
    where no spool could be looked into (``spools_seen``), the last heartbeat says how many numbers wait. ``letters``
    are the numbers kept aside in ``dead/``, with their reasons.
    """
    beat, end = told.heartbeat(), told.end()
    here = spooled or Spooled(())
    known = [ranges[-1][1] for ranges in (sequences.stored, sequences.unreadable, here.numbers) if ranges]
    last = max((*known, *(state.reached for state in told.states)), default=0)
    if here.alive and here.until is not None:
        last = min(last, here.until)
    everything: Ranges = ((1, last),) if last else ()
    stored = common(everything, sequences.stored)
    missing = minus(everything, stored)
    explained, missing = _explained(sequences.instance, missing, told, letters)
    waiting = common(missing, here.numbers)
    if not spools_seen and end is None and beat is not None:
        waiting = _newest(missing, beat.backlog)
    reason = "" if spools_seen else "by its last heartbeat"
    gone = minus(missing, waiting)
    broken = common(gone, sequences.unreadable)
    unexplained = (
        *_stretches(sequences.instance, broken, UNREADABLE),
        *_stretches(sequences.instance, minus(gone, broken)),
    )
    return Account(
        instance=sequences.instance,
        last_seq=last,
        stored=amount(stored),
        explained=explained,
        pending=_stretches(sequences.instance, waiting, reason),
        unexplained=tuple(sorted(unexplained, key=lambda stretch: stretch.first_seq)),
        duplicates=_stretches(sequences.instance, common(everything, sequences.twice)),
        tail=_tail(here, beat, end),
        heard_ns=end.time_ns if end is not None else beat.time_ns if beat is not None else None,
    )


def _explained(
    instance: str, missing: Ranges, told: Told, letters: Iterable[tuple[int, str]]
) -> tuple[tuple[Stretch, ...], Ranges]:
    """The numbers that a drop event or a dead letter explains, and those that are left.

    Where a lane is full there is a drop event between every two events of the other one: each is looked at once.
    """
    claims = [(state.first or 0, state.last or 0, _reason(state), state.id) for state in told.losses()]
    claims += [(number, number, f"{DEAD_LETTER}: {reason}", "") for number, reason in letters]
    claims.sort(key=lambda claim: claim[:2])  # stable: of two that say the same the state event counts
    found: list[Stretch] = []
    claimed = at = 0
    for first, last, reason, event_id in claims:
        first = max(first, claimed + 1)
        if first > last:
            continue
        claimed = last
        while at < len(missing) and missing[at][1] < first:
            at += 1
        near = at
        while near < len(missing) and missing[near][0] <= last:
            low, high = missing[near]
            found.append(Stretch(instance, max(first, low), min(last, high), reason, event_id))
            near += 1
    return tuple(found), minus(missing, merged((claim[0], claim[1]) for claim in claims))


def _reason(state: StateEvent) -> str:
    return f"{DEAD_LETTER}: {state.reason}" if state.action == "dead-letter" else state.reason or "no reason told"


def _newest(missing: Ranges, count: int) -> Ranges:
    """The greatest ``count`` numbers: a spool is delivered from its beginning."""
    found = []
    for first, last in reversed(missing):
        if count <= 0:
            break
        found.append((max(first, last - count + 1), last))
        count -= last - first + 1
    return merged(found)


def _tail(here: Spooled, beat: StateEvent | None, end: StateEvent | None) -> Tail:
    if end is not None:
        return "closed" if end.action == "close" else "killed"
    if here.alive:
        return "alive"
    if here.numbers:  # its writer is gone, and its shipper has not told so yet
        return "killed"
    return "heartbeat" if beat is not None else "unknown"


def _stretches(instance: str, ranges: Ranges, reason: str = "", event_id: str = "") -> tuple[Stretch, ...]:
    return tuple(Stretch(instance, first, last, reason, event_id) for first, last in ranges)


def by_reason(stretches: Iterable[Stretch]) -> Mapping[str, int]:
    """How many numbers for each reason, the greatest first; dead letters are one reason, whatever the store said."""
    counted: dict[str, int] = {}
    for stretch in stretches:
        reason = DEAD_LETTER if stretch.reason.startswith(DEAD_LETTER) else stretch.reason
        counted[reason] = counted.get(reason, 0) + stretch.count
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def total(accounts: Sequence[Account], fate: Fate) -> int:
    """How many numbers of all accounts have this fate."""
    return sum(stretch.count for each in accounts for stretch in getattr(each, fate))
