"""What is to be said about a request in a few lines: why it failed, where the time went, what is known to be missing.

The rules are deterministic, each sentence names the events it stands on, and it is the same text wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from clusterlog.context.peers import PropagateTo, parse_propagate_to
from clusterlog.search.instant import spoken
from clusterlog.search.story.event import Event, method_and_route, name, request_line, target, text
from clusterlog.search.story.journey import Gap, Journey, Lane

MOST = 30
"""Per cent of the duration from which on a call or a pause is said to be where the time went."""

Kind = Literal["failure", "time", "data"]

_LONGEST = 160  # characters of a foreign text within a sentence


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of a verdict, and the ids of the events it stands on."""

    kind: Kind
    text: str
    events: tuple[str, ...]


def verdict(journey: Journey) -> tuple[Sentence, ...]:
    """The sentences about a request: at most one on its failure, at most one on its time, one for each known lack."""
    found = [_failure(journey), _time(journey), *_silent_callees(journey), *_contradictions(journey)]
    return tuple(sentence for sentence in found if sentence is not None)


def _failure(journey: Journey) -> Sentence | None:
    """The first error in causal order, and what came of it. Errors after the response are not why."""
    if journey.outcome == "ok":
        return None
    events = []
    for entry in journey.entries:
        events.append(entry.event)
        if entry.event is journey.root:
            break
    first = next((event for event in events if event.is_error), None)
    if first is None:
        return None
    root = journey.root
    doubt = "" if _precedes_all(journey, first, events) else " by recorded times"
    said = f"{_what_went_wrong(first)} at {_at(journey, first)} (first error{doubt})"
    if root is None:
        return _sentence("failure", f"{said}; still running", first)
    if first is root:
        return _sentence("failure", f"{_what_went_wrong(root)} at {_at(journey, root)}", root)
    return _sentence("failure", f"{said}; {_result(root)} from {root.node} at {_at(journey, root)}", first, root)


def _precedes_all(journey: Journey, first: Event, events: Iterable[Event]) -> bool:
    """Whether every other error is known to be later: caused by the first, or told by the same right clock."""
    later = {first.id}
    for entry in journey.entries:
        if not later.isdisjoint(entry.after):
            later.add(entry.event.id)
    return all(event.id in later or journey.clocks.surely_before(first, event) for event in events if event.is_error)


def _what_went_wrong(event: Event) -> str:
    error_type, message = text(event.document, "error.type"), text(event.document, "error.message")
    raised = ": ".join(filter(None, (_short(error_type), _short(message))))
    if event.kind == "access":
        asked = _short(method_and_route(event))
        return ": ".join(filter(None, (f"{asked} on {event.node} got {_result(event)}", raised)))
    if event.kind == "call":
        failed = f"answered {event.status}" if event.status is not None else "failed"
        return ": ".join(filter(None, (f"{_short(request_line(event))} from {event.node} {failed}", raised)))
    return f"{event.logger or event.service or 'a line'} on {event.node}: {raised or _short(name(event))}"


def _result(access: Event) -> str:
    if access.status is not None:
        return str(access.status)
    reason = _short(text(access.document, "event.reason"))
    return f"no response ({reason})" if reason else "no response"


def _time(journey: Journey) -> Sentence | None:
    """The longest call or pause, without what its callee is known to have needed itself."""
    whole = journey.duration_ns
    if not whole or journey.root is None:
        return None
    needed = _needed_by_callee(journey)
    calls = [entry.event for entry in journey.entries if entry.event.kind == "call" and entry.event.duration_ns]
    call = max(calls, key=lambda event: (_own(event, needed), event.id), default=None)
    gap = max((gap for gap in journey.gaps if gap.inside), key=lambda gap: gap.length_ns, default=None)
    own = _own(call, needed) if call is not None else 0
    # A pause is mostly a call seen from outside, a little longer than the call: then the call says more.
    if gap is not None and gap.length_ns * 4 > own * 5:
        return _pause(journey, gap, whole)
    if call is None or own * 100 < whole * MOST:
        return None
    callee = needed.get(call.id)
    if callee is not None:
        on_the_way = f"on the way between {call.node} and {callee.node}, {_short(request_line(call))}"
        return _sentence("time", f"{_share(own, whole)} {on_the_way}", call, callee)
    unanswered = "" if call.answered else ", without an answer"
    waiting = f"waiting on {call.node} for {_short(request_line(call))}{unanswered}"
    return _sentence("time", f"{_share(own, whole)} {waiting}", call)


def _needed_by_callee(journey: Journey) -> Mapping[str, Event]:
    """The callee's access event for each call that was answered by a visit we know."""
    return {
        hop.caller.id: hop.visit.access
        for hop in journey.hops
        if hop.caller.kind == "call" and hop.visit.access is not None and hop.visit.access.duration_ns is not None
    }


def _own(call: Event, needed: Mapping[str, Event]) -> int:
    callee = needed.get(call.id)
    return max(0, (call.duration_ns or 0) - (callee.duration_ns or 0 if callee is not None else 0))


def _pause(journey: Journey, gap: Gap, whole: int) -> Sentence | None:
    if gap.length_ns * 100 < whole * MOST:
        return None
    after = journey.entries[gap.place - 1].event if gap.place else None
    ended = journey.entries[gap.place].event
    where = (
        f'after {after.logger or after.service} on {after.node}, "{_short(name(after))}"' if after else "at the start"
    )
    going_on = gap.open[0] if gap.open else None
    of = f"; open: {_short(name(going_on))} on {going_on.node}" if going_on is not None else ""
    known = [event for event in (after, ended, going_on) if event is not None]
    return _sentence("time", f"{_share(gap.length_ns, whole)} without events {where}{of}", *known)


def _silent_callees(journey: Journey) -> list[Sentence]:
    """Calls to private hosts whose callee left no access event, by callee; strangers are not expected to log here."""
    linked = {hop.caller.id for hop in journey.hops}
    silent: dict[str, list[Event]] = {}
    for entry in journey.entries:
        event = entry.event
        if event.kind == "call" and event.id not in linked and _is_private(target(event)):
            silent.setdefault(target(event), []).append(event)
    sentences = []
    for callee, calls in silent.items():
        first, also = calls[0], f"{len(calls)} calls, the first" if len(calls) > 1 else _short(request_line(calls[0]))
        lack = "no access event" if _has_loose_ends(journey, first) else "no events"
        said = f"{lack} from {_short(callee)}: {also} from {first.node} at {_at(journey, first)}"
        sentences.append(_sentence("data", said, *calls))
    return sentences


def _has_loose_ends(journey: Journey, call: Event) -> bool:
    """Whether another process has a visit of unknown cause without its access event: it may be the callee's."""
    caused = {id(hop.visit) for hop in journey.hops}
    return any(
        visit.access is None and visit.span and id(visit) not in caused and visit.instance != call.instance
        for visit in journey.visits
    )


def _contradictions(journey: Journey) -> list[Sentence]:
    event_of = {entry.event.id: entry.event for entry in journey.entries}
    sentences = []
    for cycle in journey.cycles:
        said = f"{len(cycle)} events name each other as their cause: their order is by recorded time alone"
        sentences.append(_sentence("data", said, *(event_of[found] for found in cycle)))
    for number, lane in enumerate(journey.lanes):
        if (said := _wrong_clock(lane)) is not None:
            sentences.append(_sentence("data", said, *(e.event for e in journey.entries if e.lane == number)))
    untimed = [entry.event for entry in journey.entries if entry.event.time_ns is None]
    if untimed:
        count = "1 event" if len(untimed) == 1 else f"{len(untimed)} events"
        sentences.append(_sentence("data", f"{count} without a time, placed by sequence", *untimed))
    return sentences


def _wrong_clock(lane: Lane) -> str | None:
    """What is wrong with a lane's clock that is shown as recorded."""
    clock = lane.clock
    if clock.stepped_ns is not None:
        by = spoken(clock.stepped_ns)
        return f"clock of {lane.node} was set during the request: its calls contradict each other by {by}"
    off = clock.at_least_ns if clock.at_least_ns is not None else clock.offset_ns if clock.wrong else None
    if off is None:
        return None
    direction, least = "ahead" if off > 0 else "behind", "" if clock.at_least_ns is None else "at least "
    error = "" if clock.error_ns is None else f" ±{spoken(clock.error_ns)}"
    return f"clock of {lane.node} inconsistent: {direction} by {least}{spoken(abs(off))}{error}, shown as recorded"


def _sentence(kind: Kind, said: str, *events: Event) -> Sentence:
    """One line, whatever foreign names it has in it."""
    return Sentence(kind, " ".join(said.split()), tuple(dict.fromkeys(event.id for event in events)))


@cache
def _private() -> PropagateTo:
    return parse_propagate_to("private")


def _is_private(authority: str) -> bool:
    host, colon, port = authority.rpartition(":")
    return bool(authority) and _private().allows(host if colon and port.isdecimal() else authority)


def _share(part_ns: int, whole_ns: int) -> str:
    return f"{spoken(part_ns)} of {spoken(whole_ns)} ({min(100, part_ns * 100 // whole_ns)} %)"


def _at(journey: Journey, event: Event) -> str:
    """When, from the request's begin; of a clock known to be wrong it is said that it was that one's time."""
    offset = journey.offset_ns(event)
    if offset is None:
        return "an unknown time"
    wrong = journey.clocks.clock(event).wrong
    return f"{offset / 1e9:+.3f} s" + (" of its own clock" if wrong else "")


def _short(foreign: str) -> str:
    """A foreign text as part of a line: its white space single, its length bounded."""
    line = " ".join(foreign[: 4 * _LONGEST].split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
