"""Random events and random queries about them, small enough that they often meet."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from clusterlog.store.base import Delivery
from clusterlog.store.query import And, Everything, Exists, Match, Node, Not, Or, Query, Range, Wildcard

KEYWORDS = ("log.level", "service.name", "http.request.id", "trace.id", "labels.a", "labels.b.c", "url.path")
TEXTS = ("message", "error.message", "error.stack_trace")
NUMBERS = ("http.response.status_code", "event.duration", "process.pid")
METRICS = ("clusterlog.metrics.m", "clusterlog.metrics.w")
LISTS = ("labels.many", "host.ip")
OBJECTS = ("labels", "http", "error", "clusterlog.metrics", "absent.object")

BEGIN = 1_700_000_000_000_000_000
"""The first moment (ns) events happen at; they all happen within a few microseconds, so that order has ties."""

_INSTANCES = ("0190aaaa0000700080000000000000a1", "0190aaaa0000700080000000000000b2")
_WORDS = ("red", "green", "blue", "RED", "x1", "42")
_VALUES = ("a", "b", "ab", "abc", "42", "a b")
_LEVELS = ("debug", "info", "warning", "warn", "error", "critical", "fatal", "level 25")


def stamp(time: int) -> str:
    """A time (ns) as our events write it: RFC 3339 in UTC with nine digits."""
    seconds, fraction = divmod(time, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def sentences() -> st.SearchStrategy[str]:
    """A few words between separators at which all analysers split."""
    return st.lists(st.sampled_from(_WORDS), max_size=4).map(" ".join)


def keyword_values() -> st.SearchStrategy[str]:
    """Values that often are the same or begin alike."""
    return st.sampled_from(_VALUES)


def mixed_values() -> st.SearchStrategy[Any]:
    """What a field may hold besides one text: several values, none, and values of other types."""
    one = keyword_values() | st.sampled_from([True, False, 42, 1.5, None])
    return one | st.lists(one, max_size=3)


def numbers() -> st.SearchStrategy[int]:
    """Whole numbers that often are the same."""
    return st.integers(-2, 6)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """An event as clusterlog writes it, without its id."""
    event: dict[str, Any] = {"@timestamp": stamp(BEGIN + draw(st.integers(0, 4_000)))}
    for path in draw(st.sets(st.sampled_from(KEYWORDS))):
        put(event, path, draw(keyword_values()))
    if draw(st.booleans()):
        put(event, "log.level", draw(st.sampled_from(_LEVELS)))
    for path in draw(st.sets(st.sampled_from(LISTS))):
        put(event, path, draw(mixed_values()))
    for path in draw(st.sets(st.sampled_from(TEXTS))):
        put(event, path, draw(sentences()))
    for path in draw(st.sets(st.sampled_from((*NUMBERS, *METRICS)))):
        put(event, path, draw(numbers()))
    return event


def put(event: dict[str, Any], path: str, value: Any) -> None:
    """Set a value by its path."""
    *above, last = path.split(".")
    for key in above:
        event = event.setdefault(key, {})
    event[last] = value


@st.composite
def deliveries(draw: st.DrawFn) -> list[Delivery]:
    """Events with ids of two processes, and now and then one of somebody else's, in any order."""
    sequences = dict.fromkeys(_INSTANCES, 0)
    batch = []
    for event in draw(st.lists(events(), max_size=8)):
        instance = draw(st.sampled_from(_INSTANCES))
        sequences[instance] += draw(st.integers(1, 2))
        sequence = sequences[instance]
        foreign = draw(st.integers(0, 9)) == 0
        id = f"foreign/{sequence}/{instance[-2:]}" if foreign else f"{instance}-{sequence:011x}"
        put(event, "event.id", id)
        if not foreign:
            put(event, "event.sequence", sequence)
            put(event, "process.entity_id", instance)
        batch.append(Delivery(id, instance, sequence, json.dumps(event, ensure_ascii=False).encode()))
    return draw(st.permutations(batch))


def _leaves() -> st.SearchStrategy[Node]:
    fields = st.sampled_from((*KEYWORDS, *TEXTS, *NUMBERS, *METRICS))
    bounds = numbers()
    pieces = st.lists(st.sampled_from(("", "a", "b", "re", "d", "42")), min_size=2, max_size=3).map(tuple)
    times = st.integers(0, 4_000).map(lambda at: stamp(BEGIN + at))
    return st.one_of(
        st.just(Everything()),
        st.builds(Match, st.sampled_from(KEYWORDS), keyword_values()),
        st.builds(Match, st.sampled_from((*NUMBERS, *METRICS)), numbers()),
        st.builds(Match, st.sampled_from((*TEXTS, None)), sentences(), st.booleans()),
        st.builds(Match, st.sampled_from(LISTS), keyword_values() | st.sampled_from([True, 42, 1.5])),
        st.builds(Wildcard, st.sampled_from((*KEYWORDS, *LISTS, *TEXTS, None)), pieces),
        st.builds(Exists, st.one_of(fields, st.sampled_from((*OBJECTS, *LISTS)))),
        st.builds(Range, st.sampled_from((*NUMBERS, *METRICS)), gt=bounds, lte=bounds),
        st.builds(Range, st.sampled_from((*NUMBERS, *METRICS)), gte=bounds),
        st.builds(Range, st.sampled_from((*NUMBERS, *METRICS)), lt=bounds),
        st.builds(Range, st.just("@timestamp"), gte=times, lt=times),
    )


def nodes(leaves: st.SearchStrategy[Node] | None = None) -> st.SearchStrategy[Node]:
    """Conditions, joined in every way."""
    return st.recursive(
        leaves if leaves is not None else _leaves(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts))),
            st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts))),
            inner.map(Not),
        ),
        max_leaves=5,
    )


def _typed_conditions() -> st.SearchStrategy[str]:
    words = sentences().filter(bool)
    stars = st.sampled_from(("a*", "*b", "*a*b*", "*", "a b*", "4*2", "**"))
    text_stars = st.sampled_from(("r*", "*e*", "g*n blue", "*", "4*", "*e*e*"))
    return st.one_of(
        st.builds("{}: {}".format, st.sampled_from((*KEYWORDS, *LISTS)), keyword_values() | stars),
        st.builds("{}: ({} or not {})".format, st.sampled_from((*KEYWORDS, *LISTS)), stars, keyword_values()),
        st.builds("{}: {}".format, st.sampled_from(TEXTS), words | words.map('"{}"'.format) | text_stars),
        st.one_of(words, words.map('"{}"'.format), text_stars),
        st.builds("level: {}".format, st.sampled_from((*_LEVELS[:7], "WARNING", "e*", '"level 25"'))),
        st.builds("level {} {}".format, st.sampled_from(("<", "<=", ">", ">=")), st.sampled_from(_LEVELS[:7])),
        st.builds("{} {} {}".format, st.sampled_from(NUMBERS), st.sampled_from(("<", "<=", ">", ">=", ":")), numbers()),
        st.builds("dur > {}ns".format, st.integers(0, 6)),
        st.builds("{}: 0s".format, st.sampled_from(("since", "until"))),
        st.builds('{}: "{}"'.format, st.sampled_from(("since", "until")), moments().map(stamp)),
        st.builds("@timestamp {} now".format, st.sampled_from(("<", "<=", ">", ">="))),
        st.builds("has: {}".format, st.sampled_from(("exception", "request", "level", *LISTS, *METRICS))),
    )


def typed_queries() -> st.SearchStrategy[str]:
    """Conditions as people type them, joined in every way, with times that count from a moment among the events."""
    return st.recursive(
        _typed_conditions(),
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' and '.join(parts)})"),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' or '.join(parts)})"),
            inner.map("not ({})".format),
        ),
        max_leaves=5,
    )


def moments() -> st.SearchStrategy[int]:
    """Times (ns) around those of the events."""
    return st.integers(-10, 4_010).map(lambda at: BEGIN + at)


@st.composite
def queries(draw: st.DrawFn, where: st.SearchStrategy[Node] | None = None) -> Query:
    """Questions with every combination of range, order, limit and page."""
    moment = moments()
    return Query(
        where=draw(where if where is not None else nodes()),
        since=draw(st.none() | moment),
        until=draw(st.none() | moment),
        order=draw(st.sampled_from(("newest", "oldest"))),
        limit=draw(st.none() | st.integers(0, 5)),
        after=draw(st.none() | st.tuples(moment, st.just(f"{_INSTANCES[0]}-00000000003"))),
    )
