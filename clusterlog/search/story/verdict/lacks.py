"""What is known to be lacking or contradictory in what is stored of a request."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from clusterlog.context.peers import PropagateTo, parse_propagate_to
from clusterlog.search.instant import spoken
from clusterlog.search.story.event import Event, method_and_route, request_line, text
from clusterlog.search.story.journey import Journey, Lane
from clusterlog.search.story.verdict.wording import (
    Sentence,
    at,
    begun,
    counted,
    listed,
    sentence,
    short,
    visited,
)
from clusterlog.search.story.visits import Visit


def lacks(journey: Journey) -> list[Sentence]:
    """One sentence for each lack: of events, of causes, of times, of clocks, and of one request for one id."""
    return [
        *_several(journey),
        *_silent_callees(journey),
        *_unknown_callers(journey),
        *_circles(journey),
        *_clocks(journey),
        *_times(journey),
    ]


def _several(journey: Journey) -> Iterator[Sentence]:
    """Further requests under one id, and when each began."""
    root = journey.root
    if root is None or not journey.others:
        return
    same = all(other.access.request == root.request for other in journey.others)
    carry = "carry this id" if same else "share this trace"
    each = [f"{visited(other.access)} at {begun(journey, other.access)}" for other in journey.others]
    this = f"{visited(root)} at {begun(journey, root)}, which is told here"
    said = f"{len(journey.others) + 1} requests {carry}: {this}, {listed(each)}"
    yield sentence("data", said, [root, *(other.access for other in journey.others)])


def _silent_callees(journey: Journey) -> Iterator[Sentence]:
    """Calls to private hosts whose callee left no access event, by callee; strangers are not expected to log here."""
    linked = {(hop.caller.instance, hop.caller.span) for hop in journey.hops}
    circular = {event for circle in journey.cycles for event in circle}
    silent: dict[tuple[str, bool], list[Event]] = {}
    for event in journey.own_events():
        if event.kind != "call" or event.id in circular or not _is_private(event.authority):
            continue
        if linked.isdisjoint(((event.instance, event.span), (event.instance, event.parent or event.span))):
            silent.setdefault((event.authority, event.answered), []).append(event)
    for (callee, answered), calls in silent.items():
        first = calls[0]
        asked = method_and_route(first)
        what = f"{len(calls)} calls, the first" if len(calls) > 1 else short(asked or request_line(first))
        lack = "no access event" if _has_loose_ends(journey, first) else "no events"
        whom, when = short(callee), f"from {first.node} at {at(journey, first)}"
        did = "answered" if answered else "did not answer"
        yield sentence("data", f"{whom} {did} {what} {when}, and left {lack}", calls)


def _has_loose_ends(journey: Journey, call: Event) -> bool:
    """Whether another process has a visit of unknown cause without its access event: it may be the callee's."""
    caused = {id(hop.visit) for hop in journey.hops}
    return any(
        visit.access is None and visit.span and id(visit) not in caused and visit.instance != call.instance
        for visit in journey.visits
    )


def _unknown_callers(journey: Journey) -> Iterator[Sentence]:
    """Visits that somebody called who has left no event of it: their place follows from time alone."""
    apart = {id(other.access) for other in journey.others}
    caused = {id(hop.visit) for hop in journey.hops}
    found: list[tuple[Visit, Event]] = []
    for visit in journey.visits:
        access = visit.access
        if access is not None and access is not journey.root and id(visit) not in caused and id(access) not in apart:
            found.append((visit, access))
    if not found or journey.root is None or journey.cycles:
        return
    accesses = sorted((access for _, access in found), key=lambda a: (journey.clocks.started_ns(a) or 0, a.id))
    named = [visit for visit, _ in found if visit.parent]
    why = "no event here has the span that it names" if named else "it names no span of its caller"
    what = visited(accesses[0])
    if len(accesses) > 1:
        what = f"{len(accesses)} visits, the first {what}"
        why = "no event here has the spans that they name" if named else "they name no span of their caller"
    yield sentence("data", f"not known who called {what} at {begun(journey, accesses[0])}: {why}", accesses)


def _circles(journey: Journey) -> Iterator[Sentence]:
    event_of = {entry.event.id: entry.event for entry in journey.entries}
    for circle in journey.cycles:
        events = [event_of[found] for found in circle]
        nodes = listed(event.node for event in events)
        if len({event.instance for event in events}) == 1:
            said = f"{counted(len(events), 'event')} on {nodes} cannot be nested: their spans are parents of each other"
        else:
            said = f"{len(events)} events on {nodes} name each other as their cause: their order is by time alone"
        yield sentence("data", said, events)


def _clocks(journey: Journey) -> Iterator[Sentence]:
    """One sentence for each clock that is wrong and shown as recorded; processes of one host share theirs."""
    if not any(lane.clock.wrong for lane in journey.lanes):
        return
    told: dict[str, list[Lane]] = {}
    events: dict[str, list[Event]] = {}
    for entry in journey.entries:
        if entry.event.clock not in events:
            told[entry.event.clock] = []
        events.setdefault(entry.event.clock, []).append(entry.event)
        lane = journey.lanes[entry.lane]
        if lane not in told[entry.event.clock]:
            told[entry.event.clock].append(lane)
    for clock, lanes in told.items():
        said = _wrong_clock(lanes[0], listed(lane.node for lane in lanes))
        if said is not None:
            yield sentence("data", said, events[clock])


def _wrong_clock(lane: Lane, nodes: str) -> str | None:
    clock = lane.clock
    if clock.stepped_ns is not None:
        return f"clock of {nodes} was set by {spoken(clock.stepped_ns)} during the request; times shown as recorded"
    if clock.at_least_ns is not None:
        way = "ahead" if clock.at_least_ns > 0 else "behind"
        return f"clock of {nodes} inconsistent: {way} by at least {spoken(abs(clock.at_least_ns))}, shown as recorded"
    if not clock.wrong or clock.offset_ns is None or clock.error_ns is None:
        return None
    way, off = "ahead" if clock.offset_ns > 0 else "behind", spoken(abs(clock.offset_ns))
    return f"clock of {nodes} is {way} by {off}, give or take {spoken(clock.error_ns)}; shown as recorded"


def _times(journey: Journey) -> Iterator[Sentence]:
    untimed = [entry.event for entry in journey.entries if entry.event.time_ns is None]
    absurd = [event for event in untimed if event.id in journey.absurd]
    without = [event for event in untimed if event.id not in journey.absurd]
    if without:
        yield sentence("data", f"{counted(len(without), 'event')} without a time, placed by sequence", without)
    if absurd:
        given = short(text(absurd[0].document, "@timestamp"), 40)
        which = "" if len(absurd) == 1 else "the first "
        said = f"{counted(len(absurd), 'event')} with a time that cannot be right, {which}{given}: placed by sequence"
        yield sentence("data", said, absurd)


@cache
def _private() -> PropagateTo:
    return parse_propagate_to("private")


def _is_private(authority: str) -> bool:
    host, colon, port = authority.rpartition(":")
    return bool(authority) and _private().allows(host if colon and port.isdecimal() else authority)
