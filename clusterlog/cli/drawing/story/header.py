"""What is to be said of a request before its events: what it was, why it failed, where the time went, what is sure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clusterlog.cli.drawing.pen import INDENT, Pen, Row, Segment, wrapped
from clusterlog.cli.drawing.story.lanes import Lanes, letter
from clusterlog.search.instant import spoken
from clusterlog.search.receipt import Receipt
from clusterlog.search.receipt import sentences as sentences_of
from clusterlog.search.story.journey import Journey
from clusterlog.search.story.verdict import Sentence, verdict

_LABELS = {"failure": "why", "time": "time", "data": "data"}
_RAW = "--raw-times shows them as recorded"


def said_of(journey: Journey, receipts: Iterable[Receipt] = ()) -> tuple[Sentence, ...]:
    """All that is to be said: of the request itself, then of what is known to be complete."""
    return (*verdict(journey), *sentences_of(journey, receipts))


def header(
    journey: Journey, pen: Pen, width: int | None, receipts: tuple[Receipt, ...] = (), *, sentences: bool = True
) -> Iterator[Row]:
    """The rows before the events; without ``sentences`` only how clocks were corrected."""
    if sentences:
        yield from wrapped([Segment("Request ")], _facts(journey, pen), width)
    lost = {receipt.text for receipt in receipts if receipt.losses}
    for sentence in said_of(journey, receipts) if sentences else ():
        role = "bad" if sentence.kind == "failure" or sentence.text in lost else "dim"
        mark = "! " if sentence.text in lost else ""
        words = [Segment(word) for word in pen.clean(mark + sentence.text).split(" ")]
        yield from wrapped([Segment(_LABELS[sentence.kind].ljust(INDENT), role)], words, width, " ")
    if clocks := _clocks(journey, pen):
        yield from wrapped([Segment("clock".ljust(INDENT), "dim")], clocks, width)


def names(lanes: Lanes, pen: Pen, width: int | None) -> Iterator[Row]:
    """Which node each letter of the lanes means."""
    labels = [
        Segment(f"{letter(number)} {pen.fit(label, 40)}", f"lane{number}") for number, label in enumerate(lanes.labels)
    ]
    yield from wrapped([Segment("nodes".ljust(INDENT), "dim")], labels, width)


def _facts(journey: Journey, pen: Pen) -> Iterator[Segment]:
    yield Segment(pen.fit(journey.id, 100) or "?", "id")
    if journey.root is not None:
        answer = f" {pen.ink.leads_to} {journey.status}" if journey.status is not None else ""
        yield Segment(pen.fit(f"{journey.method} {journey.route}".strip(), 100) + answer)
    role = {"ok": "good", "failed": "bad"}.get(journey.outcome, "")
    yield Segment(journey.ended, role)
    if journey.duration_ns is not None:
        yield Segment(spoken(journey.duration_ns) + (" so far" if journey.outcome == "running" else ""))
    for count, what in ((len(journey.nodes), "node"), (len(journey.entries), "event"), (journey.spans, "span")):
        yield Segment(f"{count:,} {what}{'' if count == 1 else 's'}")
    if journey.started:
        yield Segment(f"{journey.started[:23]}Z", "dim")


def _clocks(journey: Journey, pen: Pen) -> list[Segment]:
    """By how much times were corrected. What is known of other clocks the verdict says."""
    off: dict[str, str] = {}
    for lane in journey.lanes:
        clock = lane.clock
        if clock.corrected and clock.offset_ns is not None and clock.error_ns is not None:
            sign = "+" if clock.offset_ns > 0 else "-"
            error = f"{pen.ink.plus_minus}{spoken(clock.error_ns)}"
            off[lane.node] = f"{pen.fit(lane.node, 40)} {sign}{spoken(abs(clock.offset_ns))} {error}"
    known = [Segment(each) for each in off.values()]
    return [*known, Segment("(measured); corrected", "dim"), Segment(_RAW, "dim")] if known else []
