"""What went on when the response had been given: work left behind, and work handed over."""

from __future__ import annotations

from clusterlog.search.instant import spoken
from clusterlog.search.story.event import Event, text
from clusterlog.search.story.gaps import GAP_NS
from clusterlog.search.story.journey import Journey
from clusterlog.search.story.verdict.wording import Sentence, at, counted, listed, sentence, what_went_wrong


def background(journey: Journey) -> Sentence | None:
    """For how long work went on after the response, on which nodes, and the first error in it."""
    root = journey.root
    over = None if root is None else journey.clocks.time_ns(root)
    if root is None or over is None:
        return None
    events = journey.own_events()
    until = next(number for number, event in enumerate(events) if event is root) + 1
    told, behind = {_exception(event) for event in events[:until]}, events[until:]
    reach: dict[str, tuple[int, Event]] = {}
    for event in behind:
        time = journey.clocks.time_ns(event)
        if time is not None and not journey.clocks.clock(event).wrong and time - over > GAP_NS:
            reach[event.node] = max(reach.get(event.node, (0, event)), (time - over, event), key=lambda found: found[0])
    # A server that was handed the application's exception tells it once more when it has answered.
    errors = [
        event
        for event in behind
        if event.is_error and (event.node in reach or not _exception(event) or _exception(event) not in told)
    ]
    if not reach and not errors:
        return None
    parts = [f"{spoken(length)} on {node}" for node, (length, _) in _longest_first(reach)]
    said = "background work went on after the response"
    if parts:
        said = f"{said}, for {listed(parts)}"
    if errors:
        count = "an error" if len(errors) == 1 else f"{counted(len(errors), 'error')}, the first"
        said += f", with {count}: {what_went_wrong(errors[0])} at {at(journey, errors[0])}"
    return sentence("time", said, [*errors, *(event for _, (_, event) in _longest_first(reach)), root])


def _exception(event: Event) -> tuple[str, ...]:
    """Which exception an event tells of, and where; empty if it tells of none."""
    kind = text(event.document, "error.type")
    mark = text(event.document, "clusterlog.error.fingerprint") or text(event.document, "error.message")
    return (event.instance, kind, mark) if kind else ()


def _longest_first(reach: dict[str, tuple[int, Event]]) -> list[tuple[str, tuple[int, Event]]]:
    return sorted(reach.items(), key=lambda found: (-found[1][0], found[0]))
