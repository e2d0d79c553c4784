"""The exceptions of a request below its picture: each once, its own frames in full, those of libraries counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from clusterlog.cli.drawing.pen import INDENT, Pen, Row, Segment, row_of, wrapped
from clusterlog.cli.drawing.story.message import mark_of, offset, raised
from clusterlog.cli.drawing.story.selection import Selection
from clusterlog.encode.console import frames
from clusterlog.search.story.event import Event, text
from clusterlog.search.story.journey import Journey

MOST_EXCEPTIONS = 10
_MOST_CAUSES = 5
_MOST_FRAMES = 20
_MOST_LINES = 30  # of a stack trace that is no traceback of Python


def stacks(journey: Journey, selection: Selection, pen: Pen, width: int | None) -> Iterator[Row]:
    """The rows of all exceptions that the shown events tell of, in causal order; none without stack traces."""
    told: dict[str, list[Event]] = {}
    for entry in selection.entries:
        trace = text(entry.event.document, "error.stack_trace")
        if trace:
            told.setdefault(mark_of(entry.event) or trace, []).append(entry.event)
    for events in islice(told.values(), MOST_EXCEPTIONS):
        yield ()
        yield from _exception(journey, events, pen, width)
    if len(told) > MOST_EXCEPTIONS:
        yield ()
        yield row_of(Segment(f"{len(told) - MOST_EXCEPTIONS} more exceptions are not unfolded here", "dim"))


def _exception(journey: Journey, events: Sequence[Event], pen: Pen, width: int | None) -> Iterator[Row]:
    first = events[0]
    lead = Segment((mark_of(first) or "#").ljust(INDENT), "E")
    at = f"on {pen.fit(first.node, 40)} at {offset(journey, first)} s"
    more = f", {len(events) - 1} more {'event' if len(events) == 2 else 'events'}" if len(events) > 1 else ""
    room = None if width is None else width - INDENT
    yield from wrapped([lead], [Segment(pen.fit(raised(first), room), "E"), Segment(at + more, "dim")], width)
    trace = text(first.document, "error.stack_trace")
    chain = frames.read(trace)
    if not chain:
        yield from _as_it_is(trace, pen, room)
    for number, each in enumerate(chain[:_MOST_CAUSES]):
        if number:
            said = f"{each.relation} {each.text}"
            yield _row(pen.fit(said, room), "dim")
        yield from _frames(list(frames.folded(each.frames)), pen, room)
    if len(chain) > _MOST_CAUSES:
        yield _row(f"{pen.ink.cut} {len(chain) - _MOST_CAUSES} more causes", "dim")


def _frames(shown: Sequence[frames.Frame | frames.Skipped], pen: Pen, room: int | None) -> Iterator[Row]:
    """The frames, outermost first; of a deep recursion its ends."""
    left_out = range(0) if len(shown) <= _MOST_FRAMES else range(_MOST_FRAMES // 2, len(shown) - _MOST_FRAMES // 2)
    for number, frame in enumerate(shown):
        if number in left_out:
            if number == left_out[0]:
                yield _row(f"{pen.ink.cut} {len(left_out)} more frames", "dim")
        elif isinstance(frame, frames.Skipped):
            noun = "frame" if frame.count == 1 else "frames"
            yield _row(pen.fit(f"{pen.ink.cut} {frame.count} {noun} in {', '.join(frame.libraries)}", room), "dim")
        else:
            again = f", and {frame.repeated} times more" if frame.repeated else ""
            said = frames.place(frame, "") + again
            yield _row(pen.clean(said) if room is None else pen.fit_end(said, room), "dim" if frame.library else "")
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
