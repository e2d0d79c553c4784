"""What is known to be complete of one request: a receipt for each process it was in.

"Nothing was logged" and "nothing was delivered" are different statements. What tells them apart are the numbers each
process gives its events without gaps, and the state events: a drop event names the numbers that were never written, a
dead-letter event the one a store refused, a heartbeat how far a process was and how much of it waited, a close or
crash-close event where it ended. Nothing is called lost without such a proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from clusterlog.errors import Incomplete
from clusterlog.search.instant import rfc3339
from clusterlog.search.state import StateEvent, Told
from clusterlog.search.story.event import Document, Event, part
from clusterlog.search.story.journey import Journey, Lane
from clusterlog.search.story.verdict import Sentence
from clusterlog.store.base import Sequences, Store
from clusterlog.store.document import parse
from clusterlog.store.query import And, Match, Node, Not, Or, Query
from clusterlog.store.ranges import Ranges, minus

State = Literal["complete", "pending", "lost", "silent", "unknown"]

SILENT_NS = 180 * 1_000_000_000
"""Three intervals of the shippers' heartbeats: who has not been heard of for so long is silent."""

_DROPS_LOOKED_AT = 2000
_HEARTBEATS_OF_A_LANE = 4
_NAMED_LANES = 8
_LONGEST_REASON = 80


@dataclass(frozen=True, slots=True)
class Loss:
    """Numbers of one process that never reached the store as events, and the state event that says so.

    ``during``: they lie between numbers of this request; where they only may be of it, that is false. ``kept``: a store
    refused the event, and it lies in ``dead/``.
    """

    first_seq: int
    last_seq: int
    count: int
    reason: str
    event_id: str
    during: bool = True
    kept: bool = False

    @property
    def text(self) -> str:
        """``2 events dropped at source (disk full, numbers 8841-8842)``."""
        events = "1 event" if self.count == 1 else f"{self.count:,} events"
        fate = "refused by the store and kept aside" if self.kept else "dropped at source"
        doubt = "" if self.during else ", perhaps of this request"
        why = _short(self.reason.replace("_", " ")) or "no reason told"
        return f"{events} {fate} ({why}, {_numbers(((self.first_seq, self.last_seq),))}){doubt}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is known of one lane of a request. ``events`` are the ids of the state events it stands on.

    ``complete``: every number that may be of this request is stored. ``pending``: some still wait in a spool.
    ``lost``: some are proven never to have been stored, see ``losses``. ``silent``: it has not ended and is not heard
    of any more. ``unknown``: nothing of that can be said. ``missing`` are numbers that may be of this request, are not
    stored, and are not among the losses.
    """

    lane: int
    state: State
    losses: tuple[Loss, ...]
    text: str
    events: tuple[str, ...] = ()
    missing: Ranges = ()


def ask(store: Store, journey: Journey, now_ns: int | None = None) -> tuple[Receipt, ...]:
    """The receipts of a request by what a store knows; arguments as for ``receipts``."""
    states = [parse(each.body) for question in questions(journey) for each in store.find(question)]
    reaches = ((lane.instance, lane.reach()) for lane in _lanes(journey, states, (), now_ns) if lane.instance)
    stored = []
    for instance, reach in reaches:
        with suppress(Incomplete):  # of what cannot be read whole, nothing is said to be lost
            stored.append(store.sequences(instance, reach))
    return receipts(journey, states, stored, now_ns=now_ns)


def questions(journey: Journey) -> tuple[Query, ...]:
    """Which state events tell of a request's processes: three queries, however many processes there are.

    What a process lost and how it ended is told after it happened; of heartbeats the last before and the last of all
    are enough.
    """
    instances = [lane.instance for lane in journey.lanes if lane.instance]
    if not instances:
        return ()
    about = Or(tuple(Match("clusterlog.state.instance", instance) for instance in instances))
    state, heartbeat = Match("event.kind", "state"), Match("event.action", "heartbeat")
    begin = _begin(journey, [entry.event for entry in journey.entries])
    beats: Node = And((state, about, heartbeat))
    enough = _HEARTBEATS_OF_A_LANE * len(instances)
    return (
        Query(And((state, about, Not(heartbeat))), since=begin, order="oldest", limit=_DROPS_LOOKED_AT),
        Query(beats, until=begin, order="newest", limit=enough),
        Query(beats, since=begin, order="newest", limit=enough),
    )


def receipts(
    journey: Journey,
    states: Iterable[Document],
    sequences: Iterable[Sequences] = (),
    *,
    now_ns: int | None = None,
) -> tuple[Receipt, ...]:
    """One receipt for each lane, in their order.

    ``states`` are state events in any order; those of other processes are left aside. ``sequences`` says what is
    stored of the lanes' processes; for one it does not name, heartbeats and ends must do. ``now_ns`` tells who is
    silent; without it, that is the latest time in all these documents.
    """
    return tuple(lane.receipt() for lane in _lanes(journey, states, sequences, now_ns))


def _lanes(
    journey: Journey, states: Iterable[Document], sequences: Iterable[Sequences], now_ns: int | None
) -> list[_Lane]:
    told: dict[str, Told] = {}
    latest = [entry.event.time_ns for entry in journey.entries if entry.event.time_ns is not None]
    for document in states:
        state = StateEvent.read(document)
        if state.time_ns is not None:
            latest.append(state.time_ns)
        told.setdefault(state.instance, Told()).states.append(state)
    stored = {each.instance: each.stored for each in sequences}
    now = max(latest, default=0) if now_ns is None else now_ns
    events: list[list[Event]] = [[] for _ in journey.lanes]
    for entry in journey.entries:
        events[entry.lane].append(entry.event)
    return [
        _Lane(journey, n, events[n], told.get(lane.instance, Told()), stored.get(lane.instance), now)
        for n, lane in enumerate(journey.lanes)
    ]


def sentences(journey: Journey, receipts: Iterable[Receipt]) -> tuple[Sentence, ...]:
    """The receipts as lines of a verdict: trouble first, one line a lane; what is complete in one line."""
    receipts = tuple(receipts)
    found = [
        Sentence("data", receipt.text, receipt.events)
        for state in ("lost", "pending", "silent", "unknown")
        for receipt in receipts
        if receipt.state == state
    ]
    complete = [receipt for receipt in receipts if receipt.state == "complete"]
    if complete:
        names = [_name(journey.lanes, receipt.lane) for receipt in complete]
        alike: dict[str, list[str]] = {"": []}
        for name, receipt in zip(names, complete, strict=True):
            alike.setdefault(receipt.text.removeprefix(f"{name} complete"), []).append(name)
        said = [f"{_listed(those)} complete{how}" for how, those in alike.items() if those]
        events = dict.fromkeys(event for receipt in complete for event in receipt.events)
        found.append(Sentence("data", "; ".join(said), tuple(events)))
    return tuple(found)


class _Lane:
    """One lane of a request, and which numbers of its process may be the request's."""

    def __init__(
        self, journey: Journey, number: int, events: Sequence[Event], told: Told, stored: Ranges | None, now: int
    ) -> None:
        self._number = number
        self._name = _name(journey.lanes, number)
        self._told = told
        self._stored = stored
        self._now = now
        numbers = [event.sequence for event in events if event.sequence is not None]
        self.instance = journey.lanes[number].instance if numbers else ""
        self._first, self._last = min(numbers, default=0), max(numbers, default=0)
        visits = [visit for visit in journey.visits if visit.instance == self.instance]
        ended = any(visit.access is not None for visit in visits)
        self._is_over = ended and all(visit.access is not None for visit in visits if visit.span)
        self._of_file = any(part(event.document, "log.file.path") is not None for event in events)
        self._of_edge = all(event.is_edge for event in events)
        self._seen_ns = max((event.time_ns for event in events if event.time_ns is not None), default=None)
        begin = _begin(journey, events)
        before = [
            state.reached
            for state in told.states
            if begin is not None and state.time_ns is not None and state.time_ns < begin
        ]
        self._low = min(self._first, max(before, default=0) + 1)

    def reach(self) -> tuple[int, int]:
        """The least and the greatest number that may be of this request."""
        known = [state.reached for state in (self._told.heartbeat(), self._told.end()) if state is not None]
        return self._low, self._last if self._is_over else max((self._last, *known))

    def receipt(self) -> Receipt:
        if self._of_edge:  # it tells one event of a request, at its end, and that is here
            return self._say("complete", "")
        if not self.instance:
            why = "is of a file of several processes" if self._of_file else "has no sequence numbers"
            return self._say("unknown", f"{why}: nothing can be proven")
        losses = self._losses()
        if losses:
            said = "; ".join(loss.text for loss in losses[:3])
            more = f"; {len(losses) - 3} more losses" if len(losses) > 3 else ""
            ids = tuple(loss.event_id for loss in losses)
            return Receipt(self._number, "lost", losses, f"{self._name}: {said}{more}", ids)
        beat, end = self._told.heartbeat(), self._told.end()
        missing = self._missing(beat, end)
        if missing is None or missing:
            return replace(self._say(*self._lacking(missing, beat), beat), missing=missing or ())
        if self._is_over:
            return self._say("complete", "", end or beat)
        return self._unfinished(beat, end)

    def _say(self, state: State, what: str, stands_on: StateEvent | None = None) -> Receipt:
        said = f"{self._name}: {what}" if state != "complete" else f"{self._name} complete{what}"
        return Receipt(self._number, state, (), said, (stands_on.id,) if stands_on is not None else ())

    def _losses(self) -> tuple[Loss, ...]:
        """What may have been of this request: lost after it had begun here, and before it was over."""
        found = []
        for state in self._told.losses():
            first, last = state.first or 0, state.last or 0
            if last < self._low or (self._is_over and first > self._last):
                continue
            during = self._first < first and last < self._last
            if self._of_file and not during:  # a file is a process's whole life, and any of its lines may be damaged
                continue
            kept = state.action == "dead-letter"
            if kept and self._stored is not None and not minus(((first, last),), self._stored):
                continue  # sent again since, and taken
            found.append(Loss(first, last, last - first + 1, state.reason, state.id, during, kept))
        return tuple(found)

    def _missing(self, beat: StateEvent | None, end: StateEvent | None) -> Ranges | None:
        """The numbers that may be of this request and are not stored; ``None`` where that is not known."""
        low, until = self.reach()
        if self._stored is not None:
            return minus(((low, until),), self._stored)
        if end is not None or (beat is not None and beat.reached >= until and not beat.backlog):
            return ()
        return None

    def _lacking(self, missing: Ranges | None, beat: StateEvent | None) -> tuple[State, str]:
        if beat is not None and beat.backlog:
            waits = "1 event waits" if beat.backlog == 1 else f"{beat.backlog:,} events wait"
            return "pending", f"{waits} in its spool{_at(beat)}, perhaps of this request"
        if missing:
            return "unknown", f"not stored, and nothing tells why: {_numbers(missing)}, perhaps of this request"
        return "unknown", "nothing tells whether all of it is stored"

    def _unfinished(self, beat: StateEvent | None, end: StateEvent | None) -> Receipt:
        """All that is known of is stored, but the request's stay here has no end."""
        if end is not None:
            how = "it ended" if end.action == "close" else "it was killed"
            torn = f" over a record of {end.torn} bytes" if end.torn else ""
            return self._say("complete", f" up to number {end.reached}, where {how}{torn}", end)
        if self._of_file:
            return self._say("complete", " as far as ingested")
        heard = max(filter(None, (self._seen_ns, beat.time_ns if beat else None)), default=None)
        if heard is not None and self._now - heard > SILENT_NS:
            return self._say("silent", f"silent since {_clock(heard)}: neither an end nor a sign of life", beat)
        if beat is not None and beat.reached >= self._last:
            return self._say("complete", f" up to number {beat.reached}{_at(beat)}, and still running", beat)
        return self._say("unknown", "still running: nothing tells whether more is on its way", beat)


def _begin(journey: Journey, events: Iterable[Event]) -> int | None:
    """When the request can have begun at the earliest where these events were told, as far as times tell."""
    times = (*(event.started_ns for event in events), journey.started_ns)
    return min((time for time in times if time is not None), default=None)


def _name(lanes: Sequence[Lane], number: int) -> str:
    """The node; where several processes of it took part, with the end of the instance."""
    lane = lanes[number]
    alone = sum(other.node == lane.node for other in lanes) == 1
    return _short(lane.node) if alone else f"{_short(lane.node)} ..{_short(lane.instance)[-6:]}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_LANES
    return ", ".join(names[:_NAMED_LANES]) + (f" and {more} more" if more > 0 else "")


def _numbers(ranges: Ranges) -> str:
    """``number 8841``, ``numbers 8841-8842, 9000``."""
    told = [f"{first}" if first == last else f"{first}-{last}" for first, last in ranges[:3]]
    more = f" and {len(ranges) - 3} more ranges" if len(ranges) > 3 else ""
    several = len(ranges) > 1 or ranges[0][0] != ranges[0][1]
    return f"{'numbers' if several else 'number'} {', '.join(told)}{more}"


def _at(state: StateEvent) -> str:
    return "" if state.time_ns is None else f" at {_clock(state.time_ns)}"


def _clock(ns: int) -> str:
    try:
        return f"{rfc3339(ns)[:19]}Z"
    except OverflowError:
        return "an unknown time"


def _short(foreign: str) -> str:
    line = " ".join(foreign[: 4 * _LONGEST_REASON].split())
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1]}…"
