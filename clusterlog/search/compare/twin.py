"""A healthy request to compare another one with: of the same kind, near in time, of typical duration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from clusterlog.errors import NotFound
from clusterlog.search.instant import milliseconds, spoken
from clusterlog.search.story.event import Event, method_and_route, read, text
from clusterlog.search.story.journey import Journey, journey
from clusterlog.store.base import Found, Store
from clusterlog.store.document import parse
from clusterlog.store.query import And, Exists, Match, Node, Not, Query, Range

_REFUSED = 400  # from this status on an answer is no success, whoever is to blame

NEAR = 40
"""So many requests before and after are looked at, at most: what is typical is what is typical at that time."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A healthy request, and ``why`` it was taken.

    ``among`` counts the healthy requests that were looked at; ``typical_ns`` are the quartiles of their durations,
    between which its own lies. ``apart_ns`` is how long after the other it began, negative for before.
    """

    journey: Journey
    why: str
    among: int
    typical_ns: tuple[int, int]
    apart_ns: int


def healthy_twin(store: Store, sick: Journey, *, since: int | None = None, until: int | None = None) -> Twin:
    """Of the requests that asked the same of the same service, succeeded and took as long as is typical: the nearest.

    ``since`` and ``until`` bound when it ended (ns since the epoch). Raises ``NotFound`` where there is none, with the
    reason.
    """
    root = sick.root
    if root is None or root.time_ns is None:
        raise NotFound(f"request {sick.id} has not ended, so what is like it is not known: name one to compare with")
    near = _nearest(store, root, Query(_alike(root), since, until))
    if not near:
        bounds = "in these times" if since is not None or until is not None else "in what is stored"
        asked = f"{method_and_route(root)} on {root.service or root.node}"
        raise NotFound(f"no healthy request to compare with: no {asked} succeeded {bounds}; name one to compare with")
    low, high = typical_ns([event.duration_ns or 0 for event in near])
    typical = [event for event in near if low <= (event.duration_ns or 0) <= high]
    for chosen in (*typical, *(event for event in near if event not in typical)):
        found = _whole(store, chosen)
        if found is not None:
            return _twin(sick, found, len(near), (low, high))
    raise NotFound(f"no healthy request to compare with: what is like {sick.id} is always part of another request")


def typical_ns(durations: Sequence[int]) -> tuple[int, int]:
    """From which to which duration one is typical: the quartiles, of fewer than four the one in the middle alone."""
    ordered = sorted(durations)
    if len(ordered) < 4:
        middle = ordered[(len(ordered) - 1) // 2]
        return middle, middle
    return ordered[(len(ordered) - 1) // 4], ordered[(len(ordered) * 3 - 1) // 4]


def _alike(root: Event) -> Node:
    """Asked the same of the same service, as nobody's callee if this one was nobody's, and answered well."""
    fields = ["event.dataset", "service.name", "http.request.method"]
    fields += [next((each for each in ("clusterlog.route", "url.path") if text(root.document, each)), "message")]
    parts: list[Node] = [
        Match(field, text(root.document, field), phrase=True) for field in fields if text(root.document, field)
    ]
    if not root.parent:
        parts.append(Not(Exists("clusterlog.parent.span_id")))
    parts += [Match("event.outcome", "success"), Not(Match("http.request.id", text(root.document, "http.request.id")))]
    if root.status is not None and root.status < _REFUSED:
        parts.append(Match("http.response.status_code", root.status))
    else:
        parts.append(Not(Range("http.response.status_code", gte=_REFUSED)))
    return And(tuple(parts))


def _nearest(store: Store, root: Event, question: Query) -> list[Event]:
    """Those that match and began at about the same time, the nearest first. One without a duration is of no use.

    They are looked for by when they ended, around the time when this one began: it may have taken much longer.
    """
    at = root.started_ns or 0
    since = at if question.since is None else max(at, question.since)
    until = at if question.until is None else min(at, question.until)
    earlier = store.find(replace(question, until=until, order="newest", limit=None))
    later = store.find(replace(question, since=since, order="oldest", limit=None))
    found = [event for side in (earlier, later) for event in islice(_timed(side), NEAR)]
    return sorted(found, key=lambda event: (abs((event.started_ns or 0) - at), event.id))[:NEAR]


def _timed(found: Iterable[Found]) -> Iterator[Event]:
    for each in found:
        event = read(parse(each.body))
        if event.time_ns is not None and event.duration_ns is not None:
            yield event


def _whole(store: Store, root: Event) -> Journey | None:
    """The request that an event tells the end of; ``None`` if it tells only of a part of it."""
    asked = Match("http.request.id", text(root.document, "http.request.id"))
    found = journey(parse(each.body) for each in store.find(Query(asked, order="oldest", limit=None)))
    return found if found.root is not None and found.root.id == root.id else None


def _twin(sick: Journey, found: Journey, among: int, typical: tuple[int, int]) -> Twin:
    apart = (found.started_ns or 0) - (sick.started_ns or 0)
    when = f"{spoken(abs(apart))} {'later' if apart >= 0 else 'earlier'}"
    low, high = map(milliseconds, typical)
    usual = f"typical are {low} to {high}" if low != high else f"typical is {low}"
    counted = f"one of {among}" if among > 1 else "the only one"
    why = f"same route and service, {counted} near in time that succeeded; {usual}; {when}"
    return Twin(found, why, among, typical, apart)
