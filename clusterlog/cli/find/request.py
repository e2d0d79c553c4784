"""The events of the one request that somebody means, and what stands around them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from clusterlog.cli import paint
from clusterlog.cli.home.stored import place, waiting
from clusterlog.cli.line import escaped
from clusterlog.errors import Ambiguous, NotFound, SettingError
from clusterlog.search import pasted
from clusterlog.search.pasted import Pasted
from clusterlog.search.story.caused import caused
from clusterlog.search.story.event import Document, text, whole
from clusterlog.search.story.journey import Journey, journey
from clusterlog.settings import Settings
from clusterlog.store.base import Store
from clusterlog.store.document import parse
from clusterlog.store.query import And, Exists, Match, Node, Not, Or, Query, Range, Wildcard

_REQUEST, _TRACE = "http.request.id", "trace.id"
_OFFERED = 10
"""Requests that are offered where several fit."""
_OF_A_TRACE = 50_000
"""Events of other requests in the same traces that are looked at; a trace of more is no request's any more."""
_STRETCHES_AT_ONCE = 100
_SPAN_OR_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_HASH = re.compile(r"[0-9a-f]{64}")
_HEX32 = re.compile(r"[0-9a-f]{32}")


def documents(store: Store, given: str, settings: Settings) -> list[Document]:
    """Every event of the request that ``given`` means, in whatever form it was pasted.

    Raises NotFound with what is stored instead, Ambiguous where several requests fit, SettingError for what cannot be
    an id.
    """
    try:
        asked = pasted.read(given)
    except SettingError:
        if found := _all(store, Match(_REQUEST, given.strip())):  # strangers may have called theirs anything
            return found
        raise
    found = _named(store, asked) or _of_event(store, asked) or _all(store, _completed(store, asked))
    if not found:
        raise NotFound(_other_meaning(store, asked) or _absent(store, asked, settings))
    requests = _values(found, _REQUEST)
    consequences = _caused(store, found, requests)
    _tell_of_several([*requests, *(each for each in _values(consequences, _REQUEST) if each not in requests)])
    return found + consequences


def _values(documents: Iterable[Document], field: str) -> tuple[str, ...]:
    """The values of a field, each once, in order of mention."""
    return tuple(dict.fromkeys(filter(None, (text(each, field) for each in documents))))


def _caused(store: Store, found: list[Document], requests: Sequence[str]) -> list[Document]:
    """What the requests have caused in services that have handed on their trace, and not their id."""
    traces = _values(found, _TRACE)
    if not traces:
        return []
    same = Or(tuple(Match(_REQUEST, each) for each in requests))
    where = And((Or(tuple(Match(_TRACE, each) for each in traces)), Not(same)))
    others = [parse(each.body) for each in store.find(Query(where, order="oldest", limit=_OF_A_TRACE))]
    return caused(found, others) if others else []


def _of_event(store: Store, asked: Pasted) -> list[Document]:
    """Every event of the one request that an event belongs to; of several with one id that one alone."""
    event = _all(store, Match("event.id", asked.event)) if asked.event else []
    if not event:
        return []
    request = text(event[0], _REQUEST)
    if not request:
        raise NotFound(f"event {asked.event} belongs to no request")
    found = _all(store, Match(_REQUEST, request))
    others = [other.events for other in journey(found).others]
    if mine := next((events for events in others if asked.event in events), None):
        return [each for each in found if text(each, "event.id") in mine]
    return [each for each in found if not any(text(each, "event.id") in events for events in others)]


def tell_of_others(told: Journey) -> None:
    """Where several requests carry one id: how to look at one of them."""
    if told.root is None:
        return
    accesses = [told.root, *(each.access for each in told.others if each.access.request == told.root.request)]
    if len(accesses) == 1:
        return
    traces = [access.trace for access in accesses]
    by_trace = all(traces) and len(set(traces)) == len(traces)
    ways = [access.trace if by_trace else access.id for access in accesses]
    listed = ", ".join(f"clusterlog trace {escaped(way)}" for way in ways[:5]) + (", ..." if len(ways) > 5 else "")
    paint.say(f"{len(accesses)} requests carry this id, shown together; one alone: {listed}")


def _named(store: Store, asked: Pasted) -> list[Document]:
    """Every event of the requests and traces that are named as a whole."""
    named = [Match(_REQUEST, each) for each in asked.requests] + [Match(_TRACE, each) for each in asked.traces]
    return _all(store, Or(tuple(named))) if named else []


def neighbours(store: Store, told: Journey, count: int) -> list[Document]:
    """The ``count`` events that each process told directly before and after each of its events of the request."""
    numbers: dict[str, list[int]] = {}
    for entry in told.entries:
        if entry.event.instance and entry.event.sequence is not None:
            numbers.setdefault(entry.event.instance, []).append(entry.event.sequence)
    found = []
    for instance, known in numbers.items():
        known.sort()
        own = set(known)
        stretches = _stretches(known, count)
        while some := tuple(islice(stretches, _STRETCHES_AT_ONCE)):
            for each in _all(store, And((Match("process.entity_id", instance), Or(some)))):
                number = whole(each, "event.sequence")
                if number is not None and number not in own:
                    found.append(each)
    return found


def _stretches(numbers: Sequence[int], count: int) -> Iterator[Range]:
    """The neighbourhoods of sorted numbers, those that touch as one."""
    first = last = numbers[0]
    for number in (*numbers[1:], None):
        if number is None or number - last > 2 * count + 1:
            yield Range("event.sequence", gte=max(1, first - count), lte=last + count)
            first = number or 0
        last = number or 0


def _all(store: Store, where: Node | None) -> list[Document]:
    if where is None:
        return []
    return [parse(each.body) for each in store.find(Query(where, order="oldest", limit=None))]


def _completed(store: Store, asked: Pasted) -> Node | None:
    """The one request that an abbreviation means; ``None`` where there is none. Raises Ambiguous if several fit."""
    from clusterlog.search.requests import matching

    parts = [(asked.beginning, (asked.beginning, "")), (asked.end, ("", asked.end))]
    patterns = [pattern for part, pattern in parts if part]
    if not patterns:
        return None
    fits = Or(tuple(Wildcard(field, pattern) for field in (_REQUEST, _TRACE) for pattern in patterns))
    found = list(islice(matching(store, Query(fits)), _OFFERED + 1))
    if len(found) > 1:
        from clusterlog.cli.drawing.requests import offered

        shown = offered(found[:_OFFERED], width=paint.width(sys.stderr), ascii_only=not paint.unicode(sys.stderr))
        for row in shown:
            paint.say("".join(segment.text for segment in row).rstrip())
        count = f"{len(found)}" if len(found) <= _OFFERED else f"more than {_OFFERED}"
        raise Ambiguous(f"{count} requests fit {asked.said}: give the whole id of one, or more of it")
    return Match(_REQUEST, found[0].id) if found else None


def _tell_of_several(requests: Sequence[str]) -> None:
    if len(requests) > 1:
        listed = ", ".join(map(escaped, requests[:5])) + (", ..." if len(requests) > 5 else "")
        paint.say(f"{len(requests)} requests of one trace, shown together: {listed}")


def _other_meaning(store: Store, asked: Pasted) -> str:
    """What an id is that is no request's, and where that leads; empty if it is nothing that is stored."""
    given = asked.said.lower()
    if _SPAN_OR_FINGERPRINT.fullmatch(given):
        span = Or((Match("span.id", given), Match("clusterlog.parent.span_id", given)))
        return _leads(store, span, f"{given} is a span's id") or _leads(
            store, Match("clusterlog.error.fingerprint", given), f"{given} is an exception's fingerprint"
        )
    if _HEX32.fullmatch(given):
        process = And((Match("process.entity_id", given), Exists(_REQUEST)))
        return _leads(store, process, f"{given} is a process's id", "the last request it told of")
    if _HASH.fullmatch(given) and store.count(Query(Match("user.hash", given))):
        return f"{given} is the hash of a user: clusterlog search 'user.hash: {given}' --group request"
    return ""


def _leads(store: Store, where: Node, what: str, of: str = "its request") -> str:
    newest = next(iter(store.find(Query(where, limit=1))), None)
    if newest is None:
        return ""
    request = text(parse(newest.body), _REQUEST)
    return f"{what}, and no request's; {of}: clusterlog trace {request}" if request else f"{what}, of no request"


def _absent(store: Store, asked: Pasted, settings: Settings) -> str:
    """One line that says what there is instead."""
    return f"no request {asked.said}: {stored(store, settings)}; {waiting(settings)}"


def stored(store: Store, settings: Settings) -> str:
    """Of which time there are events, for somebody who has found none."""
    ends = []
    for order in ("oldest", "newest"):
        first = next(iter(store.find(Query(order=order, limit=1))), None)
        if first is None:
            return f"{place(settings)} is empty"
        ends.append(text(parse(first.body), "@timestamp")[:19] + "Z")
    return f"stored are events from {ends[0]} to {ends[1]}"
