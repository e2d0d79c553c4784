"""The exceptions of a request below its picture: each once, its own frames in full, those of libraries counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from clusterlog.cli.drawing.message import mark_of, offset, raised
from clusterlog.cli.drawing.pen import INDENT, Pen, Row, Segment, row_of, wrapped
from clusterlog.cli.drawing.story.selection import Selection
from clusterlog.encode.console import frames
from clusterlog.search.story.event import Event, text
from clusterlog.search.story.journey import Journey

MOST_EXCEPTIONS = 10
_MOST_CAUSES = 5
_MOST_FRAMES = 20
_OURS = re.compile(r"[/\\]clusterlog[/\\](?:context|integrations|record|start\.py)")
_MOST_LINES = 30  # of a stack trace that is no traceback of Python


@dataclass(frozen=True, slots=True)
class _Told:
    """One exception: the events that tell of it, and its chain of causes if the stack trace could be read."""

    mark: str
    events: list[Event]
    chain: tuple[frames.Raised, ...]

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """Where it passed."""
        return tuple((frame.path, frame.line) for frame in self.chain[0].frames) if self.chain else ()


def stacks(journey: Journey, selection: Selection, pen: Pen, width: int | None) -> Iterator[Row]:
    """The rows of all exceptions that the shown events tell of, in causal order; none without stack traces."""
    told: dict[str, list[Event]] = {}
    for entry in selection.entries:
        trace = text(entry.event.document, "error.stack_trace")
        if trace:
            told.setdefault(mark_of(entry.event) or trace, []).append(entry.event)
    exceptions = [
        _Told(mark_of(events[0]) or "#", events, _read(events[0])) for events in islice(told.values(), MOST_EXCEPTIONS)
    ]
    for each in exceptions:
        yield ()
        yield from _exception(journey, each, _longer(each, exceptions), pen, width)
    if len(told) > MOST_EXCEPTIONS:
        yield ()
        yield row_of(Segment(f"{len(told) - MOST_EXCEPTIONS} more exceptions are not unfolded here", "dim"))


def _read(event: Event) -> tuple[frames.Raised, ...]:
    """The exceptions of an event's stack trace; our own frames in it are those of a library as well."""
    return tuple(
        replace(
            each, frames=tuple(replace(f, library="clusterlog") if _OURS.search(f.path) else f for f in each.frames)
        )
        for each in frames.read(text(event.document, "error.stack_trace"))
    )


def _longer(told: _Told, exceptions: Sequence[_Told]) -> _Told | None:
    """The same exception as told farther up, where it had passed more places."""
    for other in exceptions:
        if other is not told and len(other.places) > len(told.places) > 0:
            same = other.chain[0].text == told.chain[0].text
            if same and other.places[-len(told.places) :] == told.places:
                return other
    return None


def _exception(journey: Journey, told: _Told, longer: _Told | None, pen: Pen, width: int | None) -> Iterator[Row]:
    first, more = told.events[0], len(told.events) - 1
    at = f"on {pen.fit(first.node, 40)} at {offset(journey, first)} s"
    also = f", {more} more {'event' if more == 1 else 'events'}" if more else ""
    same = f", the end of {longer.mark}" if longer is not None else ""
    room = None if width is None else width - INDENT
    words = [Segment(pen.fit(raised(first), room), "E"), Segment(at + also + same, "dim")]
    yield from wrapped([Segment(told.mark.ljust(INDENT), "E")], words, width)
    if longer is not None:
        return
    if not any(each.frames for each in told.chain):
        yield from _as_it_is(text(first.document, "error.stack_trace"), pen, room)
        return
    for number, each in enumerate(told.chain[:_MOST_CAUSES]):
        if number:
            yield _row(pen.fit(f"{each.relation} {each.text}", room), "dim")
        for frame in frames.ends(list(frames.folded(each.frames)), _MOST_FRAMES):
            yield from _frame(frame, pen, room)
    if len(told.chain) > _MOST_CAUSES:
        yield _row(f"{pen.ink.cut} {len(told.chain) - _MOST_CAUSES} more causes", "dim")


def _frame(frame: frames.Frame | frames.Skipped, pen: Pen, room: int | None) -> Iterator[Row]:
    if isinstance(frame, frames.Skipped):
        yield _row(pen.fit(f"{pen.ink.cut} {frame.said}", room), "dim")
        return
    place = frames.place(frame, "")
    yield _row(pen.clean(place) if room is None else pen.fit_end(place, room), "dim" if frame.library else "")
    for line in frame.source[:1] if not frame.library else ():
        yield _row("    " + pen.fit(line.strip(), None if room is None else room - 4), "dim")


def _as_it_is(trace: str, pen: Pen, room: int | None) -> Iterator[Row]:
    """What is no list of frames: exception groups, and stack traces of other languages."""
    lines = trace.rstrip("\n").split("\n")
    for line in lines[:_MOST_LINES]:
        yield _row(pen.fit(line, room), "dim")
    if len(lines) > _MOST_LINES:
        yield _row(f"{pen.ink.cut} {len(lines) - _MOST_LINES} more lines", "dim")


def _row(said: str, role: str) -> Row:
    return row_of(Segment(" " * INDENT), Segment(said, role))
