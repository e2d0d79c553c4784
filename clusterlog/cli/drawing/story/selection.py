"""Which lines a picture has: the events somebody asked to see, and between them pauses, losses and neighbours."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from clusterlog.search.receipt import Loss, Receipt
from clusterlog.search.story.event import Document, Event, read
from clusterlog.search.story.journey import Entry, Gap, Journey

LEVELS = ("debug", "info", "warning", "error", "critical")

Bracket = Literal["", "begin", "within", "end"]
"""Where a line stands in a stretch of lines of which it is not known which was first."""


@dataclass(frozen=True, slots=True)
class View:
    """What of a request somebody asked to see: events of ``level`` and above, of ``nodes`` (none: of all)."""

    level: str = LEVELS[0]
    nodes: tuple[str, ...] = ()

    def shows(self, event: Event) -> bool:
        """Whether the event is asked for. One of an unknown level is, and one that tells of a failure."""
        if self.nodes and event.node not in self.nodes:
            return False
        known = event.level in LEVELS
        return not known or event.is_error or LEVELS.index(event.level) >= LEVELS.index(self.level)

    @property
    def hides(self) -> str:
        """What it leaves out, in words."""
        below = f"below {self.level.upper()}" if self.level != LEVELS[0] else ""
        return " or ".join(filter(None, (below, "of other nodes" if self.nodes else "")))


EVERYTHING = View()


@dataclass(frozen=True, slots=True)
class Line:
    """One line below the header: a ``what`` that belongs to a lane, where that is one.

    ``number`` is the place of an entry among those that are shown. An ``Event`` is one of the same process that does
    not belong to the request.
    """

    what: Entry | Gap | Loss | Event
    lane: int | None = None
    number: int = -1
    bracket: Bracket = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """The lines of a picture; ``entries`` are the events of the request among them, ``hidden`` how many are not."""

    lines: tuple[Line, ...]
    entries: tuple[Entry, ...]
    hidden: int
    error_ns: int | None
    """How far apart clocks may be between which an order is not known; ``None`` where that is not known either."""


def selected(
    journey: Journey,
    view: View = EVERYTHING,
    receipts: Iterable[Receipt] = (),
    neighbours: Iterable[Document] = (),
) -> Selection:
    """The lines to draw of a request.

    ``neighbours`` are events of the same processes that do not belong to it; they stand where their process told them,
    as its sequence says, and between other processes' events by their time.
    """
    everything = not view.hides
    numbers = [number for number, entry in enumerate(journey.entries) if everything or view.shows(entry.event)]
    shown = [journey.entries[number] for number in numbers]
    doubts = [False, *(not _known(journey, *pair) for pair in pairwise(numbers)), False]
    before: list[list[Line]] = [[] for _ in range(len(shown) + 1)]
    for gap in journey.gaps:
        before[bisect_left(numbers, gap.place)].append(Line(gap))
    places = _Places(journey, shown)
    for lane, loss in ((each.lane, loss) for each in receipts for loss in each.losses):
        if not view.nodes or journey.lanes[lane].node in view.nodes:
            before[places.behind(lane, loss.first_seq)].append(Line(loss, lane))
    for lane, event in _neighbours(journey, neighbours):
        if not view.nodes or journey.lanes[lane].node in view.nodes:
            before[places.by_time(lane, event)].append(Line(event, lane))
    lines = []
    for number, entry in enumerate(shown):
        within: Bracket = "within" if doubts[number] else ""
        lines += [Line(line.what, line.lane, bracket=within) for line in before[number]]
        lines.append(Line(entry, entry.lane, number, _bracket(doubts[number], doubts[number + 1])))
    lines += before[len(shown)]
    doubtful = [entry for number, entry in enumerate(shown) if doubts[number] or doubts[number + 1]]
    errors = [journey.lanes[entry.lane].clock.error_ns for entry in doubtful]
    error_ns = max((error for error in errors if error is not None), default=None)
    return Selection(tuple(lines), tuple(shown), len(journey.entries) - len(shown), error_ns)


def _bracket(from_before: bool, to_next: bool) -> Bracket:
    if from_before:
        return "within" if to_next else "end"
    return "begin" if to_next else ""


def _known(journey: Journey, earlier: int, later: int) -> bool:
    """Whether one entry is known to come after another, perhaps with hidden ones between them."""
    one, other = journey.entries[earlier], journey.entries[later]
    if other.certain and (later == earlier + 1 or all(entry.certain for entry in journey.entries[earlier + 1 : later])):
        return True
    in_one_process = one.event.instance == other.event.instance and bool(one.event.instance)
    if in_one_process and one.event.sequence is not None and other.event.sequence is not None:
        return True
    return one.event.id in other.after or journey.clocks.surely_before(one.event, other.event)


class _Places:
    """Before which of the shown events something belongs that a process told in between."""

    def __init__(self, journey: Journey, shown: Sequence[Entry]) -> None:
        self._journey = journey
        self._times = [journey.time_ns(entry.event) for entry in shown]
        self._of: list[list[tuple[int, int]]] = [[] for _ in journey.lanes]  # of each lane: sequence and place
        for place, entry in enumerate(shown):
            if entry.event.sequence is not None and entry.event.late is None:
                self._of[entry.lane].append((entry.event.sequence, place))

    def behind(self, lane: int, sequence: int) -> int:
        """Directly behind the last event of the lane with a smaller number; before its first if there is none."""
        known = self._of[lane]
        at = bisect_left(known, (sequence, -1))
        if at:
            return known[at - 1][1] + 1
        return known[0][1] if known else len(self._times)

    def by_time(self, lane: int, event: Event) -> int:
        """Between its neighbours in the lane, before the first event of another that was later."""
        known = self._of[lane]
        number = event.sequence if event.late is None else event.late + 1
        at = bisect_left(known, (number or 0, -1))
        low = known[at - 1][1] + 1 if at else 0
        high = known[at][1] if at < len(known) else len(self._times)
        time = self._journey.time_ns(event)
        if time is None:
            return low if at else high
        for place in range(low, high):
            other = self._times[place]
            if other is not None and other > time:
                return place
        return high


def _neighbours(journey: Journey, documents: Iterable[Document]) -> list[tuple[int, Event]]:
    lane_of = {lane.instance: number for number, lane in enumerate(journey.lanes)}
    events = [read(document) for document in documents]
    events.sort(key=lambda event: (event.instance, event.sequence or 0))
    return [(lane_of[event.instance], event) for event in events if event.instance in lane_of]
