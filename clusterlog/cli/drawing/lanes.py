"""The lanes of a picture: a column for each node, open while the request is there, with arrows for calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from clusterlog.cli.drawing.pen import Pen, Segment, joined
from clusterlog.search.story.journey import Entry, Journey
from clusterlog.search.story.order import Hop

MOST_LANES = 8


class Lanes:
    """Which column an event is in, and where each column has something going on.

    Processes share the column of their node, and nodes that of their service where there would be more than eight.
    """

    def __init__(self, journey: Journey, pen: Pen) -> None:
        self.labels = self._labels(journey)
        self.of_lane = [self._column[lane.node] for lane in journey.lanes]
        self.of_event = {entry.event.id: self.of_lane[entry.lane] for entry in journey.entries}
        self._place = {entry.event.id: number for number, entry in enumerate(journey.entries)}
        self._arrivals: dict[int, list[tuple[int, int]]] = {}  # row: from which column to which, the outermost first
        self._returns: dict[int, int] = {}
        self._open = [[0] * (len(journey.entries) + 1) for _ in self.labels]
        self._follow(journey)
        self._pen = pen

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

    def _follow(self, journey: Journey) -> None:
        """Find the stretches of rows in which columns are open, and the arrows between them."""
        home = {event.id: number for number, visit in enumerate(journey.visits) for event in visit.events}
        places = [[self._place[event.id] for event in visit.events] for visit in journey.visits]
        begins, ends = [min(rows) for rows in places], [max(rows) for rows in places]
        number_of = {id(visit): number for number, visit in enumerate(journey.visits)}
        for hop in _innermost_first(journey.hops, home):
            caller, callee = home[hop.caller.id], number_of[id(hop.visit)]
            begins[caller] = min(begins[caller], begins[callee])
            ends[caller] = max(ends[caller], begins[callee])
            there, here = self.of_event[hop.visit.events[0].id], self.of_event[hop.caller.id]
            if there != here:
                self._arrivals.setdefault(begins[callee], []).insert(0, (here, there))
                if hop.returned:
                    self._returns[self._place[hop.caller.id]] = there
                    ends[callee] = max(ends[callee], self._place[hop.caller.id])
        for number, visit in enumerate(journey.visits):
            column = self._open[self.of_event[visit.events[0].id]]
            column[begins[number]] += 1
            column[ends[number]] -= 1
        for column in self._open:
            for row in range(1, len(column)):
                column[row] += column[row - 1]

    def _goes_on(self, column: int, row: int) -> bool:
        """Whether a column is open between a row and the next."""
        return row >= 0 and self._open[column][row] > 0

    def width(self, pitch: int) -> int:
        """How many columns of the terminal the lanes take at a pitch; none if lanes are told by letter."""
        return (len(self.labels) - 1) * pitch + 1 if pitch else 1

    def letters(self, pitch: int) -> list[Segment]:
        """The head of the lanes."""
        if not pitch:
            return [Segment(" ")]
        head = [Segment(chr(ord("a") + number).ljust(pitch), f"lane{number}") for number in range(len(self.labels))]
        return [*head[:-1], Segment(head[-1].text[0], head[-1].role)]

    def beside(self, row: int, pitch: int, mark: str) -> list[Segment]:
        """The lanes between a row and the next: ``mark`` where something goes on."""
        if not pitch:
            return [Segment(" ")]
        cells = [Segment(" ")] * self.width(pitch)
        for column in range(len(self.labels)):
            if self._goes_on(column, row):
                cells[column * pitch] = Segment(mark, f"lane{column}")
        return joined(cells)

    def at(self, row: int, entry: Entry, pitch: int) -> list[Segment]:
        """The lanes in the row of an event, with what arrives at it."""
        ink = self._pen.ink
        column = self.of_lane[entry.lane]
        if not pitch:
            return [Segment(chr(ord("a") + column), f"lane{column}")]
        cells = [Segment(" ")] * self.width(pitch)
        for other in range(len(self.labels)):
            if self._goes_on(other, row - 1) and self._goes_on(other, row):
                cells[other * pitch] = Segment(ink.open, f"lane{other}")
        back = self._returns.get(row)
        arrows = list(self._arrivals.get(row, ()))
        if back is not None:  # of two arrows from one side the return is drawn
            arrows = [(begin, end) for begin, end in arrows if (begin < end) != (back < column)] + [(back, column)]
        for begin, end in arrows:
            ends_here, goes_on = (ink.end_left, ink.fork) if begin < end else (ink.end, ink.fork_left)
            self._arrow(cells, begin, end, pitch, goes_on if self._goes_on(begin, row) else ends_here)
        cells[column * pitch] = Segment(ink.error if entry.event.is_error else ink.event, f"lane{column}")
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
