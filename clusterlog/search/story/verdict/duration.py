"""Where the time of a request went: the biggest shares of its critical path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clusterlog.search.instant import spoken
from clusterlog.search.story.event import Event, name
from clusterlog.search.story.gaps import Gap
from clusterlog.search.story.journey import Journey
from clusterlog.search.story.verdict.spans import Span, critical_path, span_tree
from clusterlog.search.story.verdict.wording import (
    Sentence,
    asked,
    at,
    counted,
    listed,
    percent,
    sentence,
    short,
    visited,
)

MOST = 30
"""Per cent of the duration from which on one share of it is said to be where the time went."""
_SIMILAR = 60  # per cent of the biggest share from which on the second is told as well
_WORTH = 15  # and of the duration
_WORDS = 60  # characters of a message that ends a pause
_EVIDENCE = 20  # events of one share


class _Share:
    """Own time of spans of one kind on the critical path."""

    def __init__(self) -> None:
        self.length_ns = 0
        self.spans: list[Span] = []
        self.stretches: list[tuple[int, int]] = []


def duration(journey: Journey) -> Sentence | None:
    """How long it took and where the biggest shares of that went; of a request that still runs, what is open."""
    root, whole = journey.root, journey.duration_ns
    if root is None:
        return _running(journey)
    lead = _lead(journey, root)
    tree = span_tree(journey)
    if tree is None or not whole:
        return sentence("time", f"{lead}; its access event does not tell how long it took", [root])
    path = critical_path(tree)
    shares = _shares(path)
    if len(shares) == 1 and shares[0].spans[0].event is root:
        silent, ended = _silence(journey, shares[0])
        silent = silent.replace(", all of it without", " and without")
        return sentence("time", f"{lead}, all of it on {root.node}{silent}", [root, *ended])
    first, *others = shares
    told = [first]
    if others and others[0].length_ns * 100 >= max(first.length_ns * _SIMILAR, whole * _WORTH):
        told.append(others[0])
    parts, events = [], []
    for share in told:
        silent, ended = _silence(journey, share)
        parts.append(f"{spoken(share.length_ns)} ({percent(share.length_ns, whole)} %) {_where(share, root)}{silent}")
        events += [*_evidence(share), *ended]
    if percent(first.length_ns, whole) < MOST:
        lead += f", spread over {counted(len({span.event.id for span, *_ in path}), 'span')}; the most"
    return sentence("time", f"{lead}: {'; '.join(parts)}", events)


def _lead(journey: Journey, root: Event) -> str:
    took = "" if not journey.duration_ns else spoken(journey.duration_ns)
    if journey.outcome == "failed":
        return f"Failed after {took}" if took else "Failed"
    done = "Succeeded" if root.status is None or root.status < 400 else f"Answered {root.status}"
    return f"{done} in {took}" if took else done


def _shares(path: Iterable[tuple[Span, int, int]]) -> list[_Share]:
    """The path by what was going on, the biggest share first."""
    stretches: dict[Span, list[tuple[int, int]]] = {}
    for span, begin, end in path:
        stretches.setdefault(span, []).append((begin, end))
    shares: dict[tuple[str, ...], _Share] = {}
    for span, own in stretches.items():
        event = span.event
        key: tuple[str, ...]
        if event.kind == "call":
            key = "call", event.node, event.method, event.authority, "" if span.callee is None else "answered"
        else:
            key = event.kind, event.service or event.node, name(event)
        share = shares.setdefault(key, _Share())
        share.spans.append(span)
        share.stretches += own
        for begin, end in own:
            share.length_ns += end - begin
    return sorted(shares.values(), key=lambda share: (-share.length_ns, min(share.stretches)))


def _where(share: _Share, root: Event) -> str:
    spans = share.spans
    event = max(spans, key=lambda span: (span.end_ns - span.begin_ns, span.event.id)).event
    many = len(spans)
    if event.kind == "call" or event.role == "client":
        what = short(name(event))
        if many > 1:
            what = f"{many} calls to {short(event.authority)}" if event.authority else f"{what}, {many} times"
        callees = listed(span.callee.event.node for span in spans if span.callee is not None)
        if callees:
            return f"on the way between {event.node} and {callees}, {what}"
        unanswered = "" if any(span.event.answered for span in spans) else ", without an answer"
        return f"waiting on {event.node} for {what}{unanswered}"
    times = f", {many} times" if many > 1 else ""
    nodes = listed(span.event.node for span in spans)
    if event is root:
        return f"in {visited(event)} itself"
    if event.serves:
        answered = any(span.caller is None or span.caller.event.answered for span in spans)
        return f"in {asked(event)} on {nodes}{times}{'' if answered else ', which did not answer in time'}"
    return f'in "{short(name(event))}" on {nodes}{times}'


def _evidence(share: _Share) -> list[Event]:
    longest = sorted(share.spans, key=lambda span: (span.begin_ns - span.end_ns, span.event.id))[:_EVIDENCE]
    return [event.event for span in longest for event in (span, span.callee) if event is not None]


def _silence(journey: Journey, share: _Share) -> tuple[str, list[Event]]:
    """The pause that most of a share was, unless that is a call: the pause of a call is the call."""
    if any(span.event.kind == "call" for span in share.spans):
        return "", []
    longest: tuple[int, Gap] | None = None
    for gap in journey.gaps:
        end = journey.clocks.time_ns(journey.entries[gap.place].event)
        if end is not None:
            within = sum(_overlap(stretch, (end - gap.length_ns, end)) for stretch in share.stretches)
            if longest is None or within > longest[0]:
                longest = within, gap
    if longest is None or longest[0] * 2 < share.length_ns:
        return "", []
    within, gap = longest
    around, events = _around(journey, gap)
    how_much = "all" if within * 100 >= share.length_ns * 97 else spoken(within)
    return f", {how_much} of it without events{around}", events


def _around(journey: Journey, gap: Gap) -> tuple[str, list[Event]]:
    """The line by which to find a pause: the one that ended it, or else the one before it."""
    ended = journey.entries[gap.place].event
    if ended.kind == "line":
        return f' until "{short(name(ended), _WORDS)}"', [ended]
    before = journey.entries[gap.place - 1].event if gap.place else None
    if before is not None and before.kind == "line":
        return f' after "{short(name(before), _WORDS)}"', [before, ended]
    return "", [ended]


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


def _running(journey: Journey) -> Sentence | None:
    events = journey.own_events()
    last = max(events, key=lambda event: (journey.clocks.time_ns(event) or 0, event.id))
    so_far = "" if not journey.duration_ns else f": {spoken(journey.duration_ns)} so far"
    open_at, begun = _open(journey)
    where = f"; open on {listed(open_at, 5)}" if open_at else ""
    who = last.logger or last.service or "an unknown logger"
    latest = f"the last event is of {who} on {last.node} at {at(journey, last)}"
    if journey.outcome == "unknown":
        logged = f" over {spoken(journey.duration_ns)}" if journey.duration_ns else ""
        return sentence("time", f"Lines{logged}, and no event that tells of an answer; {latest}", [last])
    return sentence("time", f"Still running{so_far}{where}; {latest}", [last, *begun])


def _open(journey: Journey) -> tuple[Sequence[str], list[Event]]:
    """The nodes whose visits have not ended, and the last event of each."""
    found = {}
    for visit in journey.visits:
        if visit.access is None and visit.span:
            found[visit.events[0].node] = visit.events[-1]
    return list(found), list(found.values())
