"""The lanes of a picture: a column for each node, open while the request is there, with arrows for calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from clusterlog.cli.drawing.pen import Pen, Segment, joined
from clusterlog.search.story.journey import Entry, Journey
from clusterlog.search.story.order import Hop

MOST_LANES = 8


class _Arrow(NamedTuple):
    """A visit that was caused by another; ``answer`` is the row in which the caller tells of the answer."""

    caller: int
    callee: int
    answer: int | None


class Lanes:
    """Which column an event is in, and where each column has something going on.

    Processes share the column of their node, and nodes that of their service where there would be more than eight.
    ``entries`` are the events that are drawn, one a row; a visit of which none is drawn is passed over by the arrows.
    """

    def __init__(self, journey: Journey, entries: Sequence[Entry], pen: Pen) -> None:
        self.labels = self._labels(journey)
        self.of_lane = [self._column[lane.node] for lane in journey.lanes]
        self._arrivals: dict[int, list[tuple[int, int]]] = {}  # row: from which column to which, the outermost first
        self._returns: dict[int, int] = {}
        self._open = [[0] * (len(entries) + 1) for _ in self.labels]
        self._follow(journey, {entry.event.id: number for number, entry in enumerate(entries)})
        self._pen = pen
        self._drawn: dict[tuple[object, ...], list[Segment]] = {}

    def _labels(self, journey: Journey) -> list[str]:
        nodes = journey.nodes
        groups: dict[str, list[str]] = {node: [node] for node in nodes}
        if len(nodes) > MOST_LANES:
            service_of = {lane.node: lane.service or lane.node for lane in journey.lanes}
            groups = {}
            for node in nodes:
                groups.setdefault(service_of[node], []).append(node)
        if len(groups) > MOST_LANES:
            kept = list(groups)[: MOST_LANES - 1]
            rest = [node for label, inside in groups.items() if label not in kept for node in inside]
            groups = {label: groups[label] for label in kept} | {"others": rest}
        self._column = {node: number for number, inside in enumerate(groups.values()) for node in inside}
        return [i[0] if len(i) == 1 else f"{label} ({len(i)} nodes)" for label, i in groups.items()]

    def _follow(self, journey: Journey, rows: Mapping[str, int]) -> None:
        """Find the stretches of rows in which columns are open, and the arrows between them."""
        lane_of = {(each.instance, each.instance or each.node): number for number, each in enumerate(journey.lanes)}
        column: dict[int, int] = {}
        begins: dict[int, int] = {}
        ends: dict[int, int] = {}
        for number, visit in enumerate(journey.visits):
            places = [rows[event.id] for event in visit.events if event.id in rows]
            if places:
                begins[number], ends[number] = min(places), max(places)
                column[number] = self.of_lane[lane_of[visit.instance, visit.instance or visit.events[0].node]]
        for caller, callee, answer in _arrows(journey, begins, rows):
            begins[caller] = min(begins[caller], begins[callee])
            ends[caller] = max(ends[caller], begins[callee])
            if column[caller] != column[callee]:
                self._arrivals.setdefault(begins[callee], []).insert(0, (column[caller], column[callee]))
                if answer is not None:
                    self._returns[answer] = column[callee]
                    ends[callee] = max(ends[callee], answer)
        for number, begin in begins.items():
            self._open[column[number]][begin] += 1
            self._open[column[number]][ends[number]] -= 1
        # For each row which columns are open between it and the next. What is before the first row stands at the end.
        self._goes_on = [tuple(state) for state in zip(*[_is_open(each) for each in self._open], strict=True)]

    def width(self, pitch: int) -> int:
        """How many columns of the terminal the lanes take at a pitch; none if lanes are told by letter."""
        return (len(self.labels) - 1) * pitch + 1 if pitch else 1

    def letters(self, pitch: int) -> list[Segment]:
        """The head of the lanes."""
        if not pitch:
            return [Segment(" ")]
        head = [Segment(letter(number).ljust(pitch), f"lane{number}") for number in range(len(self.labels))]
        return [*head[:-1], Segment(head[-1].text[0], head[-1].role)]

    def beside(self, row: int, pitch: int, mark: str, lane: int | None = None, own: str = "") -> list[Segment]:
        """The lanes between a row and the next: ``mark`` where something goes on, ``own`` in the column of ``lane``."""
        column = None if lane is None else self.of_lane[lane]
        if not pitch:
            return [Segment(" ") if column is None else Segment(letter(column), "dim")]
        is_open = self._goes_on[row]
        key = "beside", is_open, pitch, mark, column, own
        if key not in self._drawn:
            cells = [Segment(" ")] * self.width(pitch)
            for each, goes_on in enumerate(is_open):
                if goes_on:
                    cells[each * pitch] = Segment(mark, f"lane{each}")
            if column is not None and own:
                cells[column * pitch] = Segment(own, "dim")
            self._drawn[key] = joined(cells)
        return self._drawn[key]

    def at(self, row: int, entry: Entry, pitch: int) -> list[Segment]:
        """The lanes in the row of an event, with what arrives at it."""
        column = self.of_lane[entry.lane]
        if not pitch:
            return [Segment(letter(column), f"lane{column}")]
        above, below = self._goes_on[row - 1], self._goes_on[row]
        back = self._returns.get(row)
        arrows = self._arrivals.get(row, [])
        if back is not None:  # of two arrows from one side the return is drawn
            arrows = [(begin, end) for begin, end in arrows if (begin < end) != (back < column)] + [(back, column)]
        mark = self._pen.ink.error if entry.event.is_error else self._pen.ink.event
        key = above, below, column, pitch, mark, *arrows
        if key not in self._drawn:  # few pictures repeat in many rows
            self._drawn[key] = self._row(above, below, column, pitch, mark, arrows)
        return self._drawn[key]

    def _row(
        self,
        above: Sequence[bool],
        below: Sequence[bool],
        column: int,
        pitch: int,
        mark: str,
        arrows: Sequence[tuple[int, int]],
    ) -> list[Segment]:
        ink = self._pen.ink
        cells = [Segment(" ")] * self.width(pitch)
        for other in range(len(self.labels)):
            if above[other] and below[other]:
                cells[other * pitch] = Segment(ink.open, f"lane{other}")
        for begin, end in arrows:
            ends_here, goes_on = (ink.end_left, ink.fork) if begin < end else (ink.end, ink.fork_left)
            self._arrow(cells, begin, end, pitch, goes_on if below[begin] else ends_here)
        cells[column * pitch] = Segment(mark, f"lane{column}")
        return joined(cells)

    def _arrow(self, cells: list[Segment], begin: int, end: int, pitch: int, start: str) -> None:
        """Draw from column ``begin`` up to column ``end``, across what is open between them."""
        ink, role = self._pen.ink, f"lane{max(begin, end)}"
        step = 1 if begin < end else -1
        cells[begin * pitch] = Segment(start, f"lane{begin}")
        for place in range(begin * pitch + step, end * pitch, step):
            crossed = cells[place].text == ink.open and place % pitch == 0
            cells[place] = Segment(ink.cross if crossed else ink.line, role)
        cells[end * pitch - step] = Segment(ink.right if step > 0 else ink.left, role)


def _is_open(begun: Sequence[int]) -> list[bool]:
    """Whether more has begun than ended, after each row."""
    return [count > 0 for count in accumulate(begun)]


def letter(column: int) -> str:
    """How a column is called in a picture."""
    return chr(ord("a") + column)


def _arrows(journey: Journey, drawn: Mapping[int, int], rows: Mapping[str, int]) -> Iterator[_Arrow]:
    """From visit to visit where both are drawn, perhaps over others that are not; the innermost first."""
    home = {event.id: number for number, visit in enumerate(journey.visits) for event in visit.events}
    cause = {home[hop.visit.events[0].id]: hop for hop in journey.hops}
    for hop in _innermost_first(journey.hops, home):
        callee, at = home[hop.visit.events[0].id], home[hop.caller.id]
        answer = rows.get(hop.caller.id) if hop.returned else None
        while at not in drawn and at in cause:
            at, answer = home[cause[at].caller.id], None
        if callee in drawn and at in drawn:
            yield _Arrow(at, callee, answer)


def _innermost_first(hops: Sequence[Hop], home: Mapping[str, int]) -> Iterator[Hop]:
    """Each hop after those of the calls its visit made."""
    made: dict[int, list[Hop]] = {}
    for hop in hops:
        made.setdefault(home[hop.caller.id], []).append(hop)
    inner = {home[hop.visit.events[0].id] for hop in hops}
    outermost_first = [hop for visit, begun in made.items() if visit not in inner for hop in begun]
    for hop in outermost_first:  # grows while it is walked
        outermost_first += made.get(home[hop.visit.events[0].id], ())
    return reversed(outermost_first)
