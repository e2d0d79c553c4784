"""The spans a request waited for, as a tree with its outermost visit at the root."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from clusterlog.search.story.clocks import SLACK_NS
from clusterlog.search.story.event import Event
from clusterlog.search.story.journey import Journey
from clusterlog.search.story.visits import Hop, Visit


class Span:
    """A stretch of work: a visit, a call or a step, by the event that ended it.

    ``begin_ns`` and ``end_ns`` are times as they are shown, moved into those of the caller where clocks do not agree.
    ``children`` are what it may have waited for, in no order. ``callee`` is the visit that a call led to, and of that
    ``caller`` is the call.
    """

    __slots__ = ("begin_ns", "callee", "caller", "children", "end_ns", "event", "visit")

    def __init__(self, event: Event, visit: Visit, begin_ns: int, end_ns: int) -> None:
        self.event = event
        self.visit = visit
        self.begin_ns = begin_ns
        self.end_ns = end_ns
        self.children: list[Span] = []
        self.callee: Span | None = None
        self.caller: Span | None = None

    def walk(self) -> Iterator[Span]:
        """This span and all beneath it."""
        waiting = [self]
        while waiting:
            span = waiting.pop()
            yield span
            waiting += span.children


def span_tree(journey: Journey) -> Span | None:
    """The tree beneath the request's access event; ``None`` while that, its time or its duration is missing.

    A span without a time or a duration is left out, and what is beneath it hangs on the next one above.
    """
    root = journey.root
    if root is None or journey.clocks.started_ns(root) is None or root.duration_ns is None:
        return None
    return _Tree(journey).grown(root)


class _Tree:
    def __init__(self, journey: Journey) -> None:
        self._clocks = journey.clocks
        self._called: dict[str, list[Hop]] = {}
        for hop in journey.hops:
            self._called.setdefault(hop.caller.id, []).append(hop)
        self._home = {visit.access.id: visit for visit in journey.visits if visit.access is not None}

    def grown(self, root: Event) -> Span:
        span = self._span(root, self._home[root.id])
        waiting = [span]
        while waiting:
            self._visit(waiting.pop(), waiting)
        return span

    def _visit(self, server: Span, waiting: list[Span]) -> None:
        """Hang what a visit did on its span, and what it called on that; the visits it called are ``waiting``."""
        visit = server.visit
        spans = {server.event.span: server}
        shift = (server.event.started_ns or 0) - server.begin_ns  # what its clock is off by, and moved into its call
        for event in visit.events:
            kind = event.kind
            if kind == "line" or kind == "access" or event.time_ns is None or event.duration_ns is None:
                continue
            known = spans.get(event.span)
            replaces = known is None or (known.event.kind == "span" and kind == "call")
            if replaces and event.span and not event.serves:
                end = event.time_ns - shift
                spans[event.span] = Span(event, visit, end - event.duration_ns, end)
        for span in spans.values():
            if span is not server:
                parent = spans.get(span.event.parent) or _enclosing(span.event, spans, visit, server)
                parent.children.append(span)
            for hop in self._called.get(span.event.id, ()):
                callee = self._callee(span, hop)
                if callee is not None:
                    waiting.append(callee)

    def _callee(self, caller: Span, hop: Hop) -> Span | None:
        access = hop.visit.access
        if access is None or access.time_ns is None or access.duration_ns is None:
            return None
        span = self._span(access, hop.visit)
        if caller.event.kind == "call" or caller.event.role in ("client", "edge"):
            _fit(span, caller)
            caller.callee, span.caller = span, caller
        elif not self._waited(caller, span):
            return None
        caller.children.append(span)
        return span

    def _waited(self, caller: Span, callee: Span) -> bool:
        """Whether it looks as if somebody without a call event had waited: silent all the while, and it was over."""
        if callee.begin_ns < caller.begin_ns or callee.end_ns > caller.end_ns:
            return False
        times = [time for event in caller.visit.events if (time := self._clocks.time_ns(event)) is not None]
        times.sort()
        return bisect_right(times, callee.begin_ns) == bisect_right(times, callee.end_ns)

    def _span(self, event: Event, visit: Visit) -> Span:
        end = self._clocks.time_ns(event) or 0
        return Span(event, visit, end - (event.duration_ns or 0), end)


def _enclosing(event: Event, spans: dict[str, Span], visit: Visit, server: Span) -> Span:
    """The next span above that has a time."""
    if event.parent in ("", server.event.span):
        return server
    parents = {other.span: other.parent for other in visit.events if other.parent and other.kind != "line"}
    name, passed = event.span, {event.span}
    while (name := parents.get(name, "")) and name not in passed:
        if name in spans:
            return spans[name]
        passed.add(name)
    return server


def _fit(callee: Span, caller: Span) -> None:
    """Move a visit into its call, as far as it is longer or by another clock."""
    length = min(callee.end_ns - callee.begin_ns, caller.end_ns - caller.begin_ns)
    callee.begin_ns = min(max(callee.begin_ns, caller.begin_ns), caller.end_ns - length)
    callee.end_ns = callee.begin_ns + length


def critical_path(root: Span) -> list[tuple[Span, int, int]]:
    """Which span determined the duration when: spans with the begin and end of what they did themselves.

    Told from the end: before it, a span waited for the child that ended last, and before that for the one that ended
    last before it began. What is left between is its own. Children that go on after their parent held nobody up.
    """
    path = []
    waiting = [(root, root.begin_ns, root.end_ns)]
    while waiting:
        span, begin, at = waiting.pop()
        for child in _by_end(span.children):
            late, length = child.end_ns - at, child.end_ns - child.begin_ns
            if child.end_ns <= begin or child.begin_ns >= at:
                continue
            # What was over before the next began may have been told a moment after that.
            if late > 0 and (late > SLACK_NS or late * 2 > length):
                continue
            if late < 0:
                path.append((span, child.end_ns, at))
            waiting.append((child, max(child.begin_ns, begin), min(child.end_ns, at)))
            at = max(child.begin_ns, begin)
        if begin < at:
            path.append((span, begin, at))
    return path


def _by_end(children: Sequence[Span]) -> Sequence[Span]:
    if len(children) < 2:
        return children
    return sorted(children, key=lambda child: (-child.end_ns, child.begin_ns, child.event.id))
