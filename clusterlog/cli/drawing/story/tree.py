"""A request as a tree: visits of processes, the calls and steps within them, and the lines that were told inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from clusterlog.cli.drawing.message import DELTA, brief, error, message, offset, where
from clusterlog.cli.drawing.pen import Pen, Row, Segment, row_of
from clusterlog.cli.drawing.story.lanes import Lanes, letter
from clusterlog.cli.drawing.story.selection import Selection
from clusterlog.cli.line import columns, fields
from clusterlog.cli.line import letter as level_of
from clusterlog.search.receipt import Loss
from clusterlog.search.story.event import Event
from clusterlog.search.story.journey import Journey
from clusterlog.search.story.order import Visit

_LEAST = 24  # columns that words have however deep they stand


@dataclass(slots=True, eq=False)
class _Node:
    """Something with a length, a line, or a loss. ``place`` is where it is first heard of, ``shown`` if it is drawn."""

    lane: int
    place: int
    event: Event | None = None
    visit: Visit | None = None
    loss: Loss | None = None
    shown: bool = True
    below: list[_Node] = field(default_factory=list)
    parent: _Node | None = None


class Tree:
    """The lines of a selection, nested. ``width`` is in columns of the terminal; without one nothing is cut."""

    def __init__(self, journey: Journey, selection: Selection, lanes: Lanes, pen: Pen, width: int | None) -> None:
        self._journey = journey
        self._lanes = lanes
        self._pen = pen
        self._width = width
        self._roots = _grown(journey, selection)
        times = [self._when(node) for node in _walked(self._roots)]
        self._time = max(map(len, times), default=4) + 1

    def rows(self) -> Iterator[Row]:
        """The head, and under it each visit, call, step and line, below what it was part of."""
        head = f"{'time'.rjust(self._time)}  {'took'.rjust(DELTA)}  "
        yield row_of(Segment(head + "     what", "dim"))
        stack = [(node, "", "") for node in reversed(self._roots)]
        while stack:  # however deep somebody nested it
            node, trunk, branch = stack.pop()
            yield self._row(node, trunk + branch)
            below = node.below
            ink = self._pen.ink
            inner = trunk + {"": "", f"{ink.branch} ": f"{ink.open} ", f"{ink.last} ": "  "}[branch]
            branches = [f"{ink.branch} "] * (len(below) - 1) + [f"{ink.last} "]
            stack += reversed([(each, inner, to) for each, to in zip(below, branches, strict=False)])

    def _when(self, node: _Node) -> str:
        return "" if node.event is None else offset(self._journey, node.event, begin=node.event.kind != "line")

    def _row(self, node: _Node, indent: str) -> Row:
        column = self._lanes.of_lane[node.lane]
        event = node.event
        took = "" if event is None or event.duration_ns is None else brief(event.duration_ns)
        mark = "!" if node.loss else level_of(event.document) if event is not None else " "
        level = "bad" if node.loss else mark
        before = f"{self._when(node).rjust(self._time)}  {took.rjust(DELTA)}  "
        room = None if self._width is None else max(_LEAST, self._width - len(before) - 5)
        if room is not None and len(indent) > room - _LEAST:
            deep = f"{self._pen.ink.cut}{len(indent) // 2} "
            indent = deep + indent[len(indent) - max(0, room - _LEAST - len(deep)) :]
        left = None if room is None else room - len(indent)
        return row_of(
            Segment(before, "dim"),
            Segment(f"{letter(column)} ", f"lane{column}"),
            Segment(f"{mark} ", level),
            Segment(f" {indent}", "dim"),
            *self._told(node, left, level if node.shown else "dim"),
        )

    def _told(self, node: _Node, room: int | None, role: str) -> Iterator[Segment]:
        pen, event = self._pen, node.event
        if node.loss is not None:
            yield Segment(pen.fit(node.loss.text, room), role)
            return
        if event is None:
            lane = self._journey.lanes[node.lane]
            yield Segment(pen.fit(f"on {lane.node}, without an end so far", room), "dim")
            return
        told = message(event, pen.ink)
        named = f"{where(event)}  " if event.kind == "line" else ""
        on = f"  on {event.node}" if event.kind == "access" else ""
        used = 0
        for foreign, ink in (
            (named, ""),
            (f"{told.words} {told.outcome}".strip(), role),
            (on, "dim"),
            (f"  {failed}" if (failed := error(event)) else "", role),
            ("  " + " ".join(given) if (given := fields(event.document)) else "", "dim"),
        ):
            if foreign and (room is None or room - used > 2 + len(pen.ink.cut)):
                cut = pen.fit_middle if event.kind in ("access", "call") else pen.fit
                shown = cut(foreign, None if room is None else room - used)
                used += columns(shown)
                yield Segment(shown, ink)


def _grown(journey: Journey, selection: Selection) -> list[_Node]:
    """The visits that nothing caused, with everything below them."""
    lane_of = {entry.event.id: entry.lane for entry in journey.entries}
    place = {entry.event.id: number for number, entry in enumerate(journey.entries)}
    shown = {entry.event.id for entry in selection.entries}
    node_of: dict[str, _Node] = {}
    tops = [_visited(visit, node_of, lane_of, place, shown) for visit in journey.visits]
    top_of = {id(top.visit): top for top in tops}
    for hop in journey.hops:
        _hang(top_of[id(hop.visit)], _holder(node_of[hop.caller.id]))
    for line in selection.lines:
        if isinstance(line.what, Loss) and line.lane is not None:
            _lose(line.what, line.lane, journey, node_of, tops)
    roots = [top for top in tops if top.parent is None]
    _settle(roots)
    return [root for root in sorted(roots, key=lambda node: node.place) if root.shown or root.below]


def _visited(
    visit: Visit, node_of: dict[str, _Node], lane_of: dict[str, int], place: dict[str, int], shown: set[str]
) -> _Node:
    """A visit with the calls and steps in it, and in each its lines."""
    lane, first = lane_of[visit.events[0].id], min(place[event.id] for event in visit.events)
    top = _Node(lane, first, visit.access, visit, shown=visit.access is None or visit.access.id in shown)
    inner: dict[str, _Node] = {}
    for event in visit.events:
        if event is visit.access:
            node_of[event.id] = top
            continue
        node = node_of[event.id] = _Node(lane, place[event.id], event, shown=event.id in shown)
        if event.kind in ("call", "span") and event.span:
            inner.setdefault(event.span, node)
    for event in visit.events:
        node = node_of[event.id]
        if node is top:
            continue
        own = inner.get(event.span)
        above = inner.get(event.parent) if own is node else own
        _hang(node, top if above is None or above is node or _is_above(node, above) else above)
    return top


def _is_above(node: _Node, above: _Node) -> bool:
    """Whether a node hangs below what is to hang below it, in a circle of parents."""
    at: _Node | None = above
    while at is not None:
        if at is node:
            return True
        at = at.parent
    return False


def _holder(node: _Node) -> _Node:
    """What of it something can hang below: for a line that is what it was told in."""
    is_line = node.event is not None and node.event.kind == "line" and node.visit is None
    return node.parent if is_line and node.parent is not None else node


def _hang(node: _Node, above: _Node) -> None:
    node.parent = above
    above.below.append(node)


def _lose(loss: Loss, lane: int, journey: Journey, node_of: dict[str, _Node], tops: list[_Node]) -> None:
    """Hang a loss below what its process told of last, in the same visit."""
    told = [entry.event for entry in journey.entries if entry.lane == lane]
    before = [event for event in told if event.sequence is not None and event.sequence < loss.first_seq]
    near = node_of[before[-1].id] if before else node_of[told[0].id]
    top = next(each for each in tops if each.lane == lane)
    _hang(_Node(lane, near.place, loss=loss), near.parent if near.visit is None and near.parent is not None else top)


def _settle(roots: list[_Node]) -> None:
    """Each node's place is that of the first thing in it; what is not shown stays where something in it is."""
    for node in reversed(list(_walked(roots))):
        node.below = [each for each in node.below if each.shown or each.below]
        node.below.sort(key=lambda each: each.place)
        node.place = min([node.place, *(each.place for each in node.below)])


def _walked(roots: list[_Node]) -> Iterator[_Node]:
    """Every node, each before those below it."""
    waiting = list(reversed(roots))
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.below)
