"""Odd values mean the same everywhere: on search servers, in the embedded store, and to the predicate.

Names with stars and backslashes, words joined by points, texts longer than an index takes, numbers spelled in several
ways, times of any zone, lists, objects in lists, what does not fit its mapping. The corpus is made once; questions
are drawn from the same values, so that they meet.
"""

from __future__ import annotations

import json
import random
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from clusterlog.store.base import Delivery
from clusterlog.store.embedded import EmbeddedStore
from clusterlog.store.query import Exists, Match, Node, Query, Range, Wildcard
from clusterlog.testing.reference import ReferenceStore
from clusterlog.testing.strategies import BEGIN, nodes, put, stamp

EVENTS = 400
PARTS = 25
"""Of a campaign, each of as many examples as an ordinary run has."""
KEPT, CUT = "y" * 8_191, "y" * 8_192
"""The longest value that is indexed, and the shortest that is not."""

NAMES = [
    *("a", "A", "ab", "a b", "", " ", "a*b", "a?b", "a\\b", "\\", "*", "?", 'a"b', "[a-z]", "(a|b)", "~a", "a&&b"),
    *("<1-5>", "#", "@", "/a/", "AND", "a:b", "5", "5.0", "05", "5e0", "-5", "1e400", "NaN", "true", "null", "0x5"),
    *("é", "e\u0301", "É", "ß", "ẞ", "\u017f", "İ", "\U0001f600", "\ufb01", "a\nb", "a\tb", "中文", "a\u0000"),
    *("2023-11-14T22:13:20Z", "2023-11-14T23:13:20.000000001+01:00", "2023-11-14", "10.0.0.1", "::1", "x" * 300),
    *("x" * 255, "x" * 256, "x" * 257, "a" * 64 + "b", "a.b", "labels.a", "logs-*", "_id", KEPT),
]  # fmt: skip
SCALARS = [5, 5.0, 5.5, -5, 0, -0.0, 2**53, 2**53 + 1, 2**62, 2**64, 1e300, 1e-7, True, False, None]
KEYWORDS = (
    "service.name",
    "http.request.id",
    "url.path",
    "error.type",
    "user.hash",
    "unknown.field",
    "unknown.deep.er",
)
LABELS = ("labels.a", "labels.b", "labels.c.d", "labels.x-y z")
NUMBERS = ("http.response.status_code", "event.duration", "process.pid")
METRICS = ("clusterlog.metrics.m", "clusterlog.metrics.a.b")
TIMES = ("event.created", "event.start")
ADDRESSES = ("host.ip", "client.ip")
TEXTS = ("message", "error.message", "error.stack_trace")
OBJECTS = ("labels", "http", "error", "error.chain", "clusterlog", "clusterlog.metrics", "unknown", "host", "nothing")
MOMENTS = (
    "2023-11-14T22:13:20.000000001Z",
    "2023-11-14T22:13:20.000000002Z",
    "2023-11-14T22:13:20.001Z",
    "2023-11-14T22:13:20Z",
    "2023-11-14T23:13:20+01:00",
    "2023-11-14T22:13:20.0000000019Z",
    "1969-12-31T23:59:59Z",
    "2262-04-11T23:47:16.854775807Z",
    "2300-01-01T00:00:00Z",
)
LEVELS = ("debug", "info", "warning", "warn", "error", "critical", "fatal", "INFO", "notice")


def some(chance, values):
    """A value, several of them, or none."""
    if chance.random() < 0.7:
        return chance.choice(values)
    return [chance.choice(values) for _ in range(chance.randint(0, 3))]


def corpus(seed, count, longest=CUT):
    """Events with odd values of the types that our mappings have for them, each with an id of our own form.

    What is of another type is written anew by a server that makes documents from its columns: it says then something
    else than was sent, and no question can mend that. Labels are given back as they came, so they are of any type.
    """
    chance = random.Random(seed)
    instances = [f"0190{seed:04x}0000700080000000000000{n:02x}" for n in range(3)]
    for number in range(1, count + 1):
        event = {"@timestamp": stamp(BEGIN + chance.randrange(5_000))}
        if chance.random() < 0.1:
            event["@timestamp"] = f"2023-11-14T23:13:20.{chance.randrange(4_000):09d}+01:00"
        for fields, values in (
            (KEYWORDS, [*NAMES, longest, None]),
            (LABELS, [*NAMES, *SCALARS]),
            (NUMBERS, [5, 0, -5, 200, 404, 2**63 - 1, 2**63, "five", "404 ", None]),
            (METRICS, [5, 5.5, 0, -3, 7, 10**15, 1e-7]),
            (TIMES, [*MOMENTS, "yesterday", None]),
            (ADDRESSES, ["10.0.0.1", "10.0.0.2", "::1", "nobody", None]),
        ):
            for field in chance.sample(fields, chance.randint(0, 2)):
                put(event, field, chance.choice(values) if field in METRICS else some(chance, values))
        if chance.random() < 0.5:
            put(event, "log.level", chance.choice(LEVELS))
        for field in chance.sample(TEXTS, chance.randint(0, 2)):
            put(event, field, sentence(chance))
        if chance.random() < 0.2:
            chain = [{"type": chance.choice(NAMES[:8]), "message": "a b"} for _ in range(chance.randint(0, 2))]
            put(event, "error.chain", chain)
        instance = instances[number % 3]
        id = f"{instance}-{number:011x}"
        put(event, "event.id", id)
        put(event, "event.sequence", number)
        put(event, "process.entity_id", instance)
        yield Delivery(id, instance, number, json.dumps(event, ensure_ascii=False).encode())


WORDS = "read timeout Timeout READ httpx order 42 x1 größe GRÖSSE 3 14 can t init o".split()
JOINTS = [*"   ._:'\u2019-/=;@,\n\u00b7\u2026", ", ", "__", ". ", "->", ""]


def sentence(chance):
    """Words joined in many ways."""
    parts = []
    for _ in range(chance.randint(0, 5)):
        parts += [chance.choice(WORDS), chance.choice(JOINTS)]
    return "".join(parts)


def leaves() -> st.SearchStrategy[Node]:
    values = st.sampled_from([*NAMES, *(value for value in SCALARS if value is not None)])
    fields = st.sampled_from((*KEYWORDS, *LABELS, *NUMBERS, *METRICS, *ADDRESSES))
    pieces = st.lists(
        st.sampled_from(("", "a", "b", "*", "?", "\\", "y", "x" * 70, "5", " ", "é", ".")), min_size=2, max_size=4
    )
    words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)
    texts = st.builds("{}".format, words.map(" ".join)) | st.integers(0, 10**6).map(
        lambda n: sentence(random.Random(n))
    )
    stars = st.lists(
        st.sampled_from(("", "re", "out", "t", "4", "ö", "x", "read timeout", ".")), min_size=2, max_size=3
    )
    bounds = st.sampled_from(
        (*MOMENTS, *LEVELS, "a", "b", "5", "6", "é", 5, 5.5, -5, 0, 2**63, 2**53 + 1, 1e19, True, 404)
    )
    comparable = st.sampled_from((*KEYWORDS, *LABELS, *NUMBERS, *METRICS, *TIMES, "@timestamp", "host.ip", "log.level"))
    return st.one_of(
        st.builds(Match, fields, values),
        st.builds(Wildcard, fields, pieces.map(tuple)),
        st.builds(Exists, st.one_of(fields, st.sampled_from((*OBJECTS, *TIMES, *TEXTS)))),
        st.builds(Range, comparable, gte=bounds),
        st.builds(Range, comparable, gt=bounds, lte=bounds),
        st.builds(Range, comparable, lt=bounds),
        st.builds(Match, st.sampled_from((*TEXTS, None)), texts, st.booleans()),
        st.builds(Wildcard, st.sampled_from((*TEXTS, None)), stars.map(tuple)),
    )


def questions() -> st.SearchStrategy[list[Query]]:
    moments = st.none() | st.integers(0, 5_000).map(lambda at: BEGIN + at)
    asked = st.builds(
        Query, nodes(leaves()), moments, moments, st.sampled_from(("newest", "oldest")), st.none() | st.just(7)
    )
    return st.lists(asked, min_size=1, max_size=3)


def keys(found):
    return [each.key for each in found]


_ASKED = settings(
    max_examples=40,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)


class OnAnEngine:
    longest = CUT

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _filled(cls, request, place):
        sent = list(corpus(7, EVENTS, cls.longest))
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            cls.embedded = stack.enter_context(closing(EmbeddedStore.open(home / "store", "write")))
            cls.store = stack.enter_context(place(request.getfixturevalue(cls.name)))
            cls.reference = ReferenceStore(arrival=BEGIN)
            outcomes = cls.store.deliver(sent)
            assert {outcome.status for outcome in outcomes} <= {"stored", "refused"}
            kept = [each for each, outcome in zip(sent, outcomes, strict=True) if outcome.status == "stored"]
            assert len(kept) > EVENTS * 0.8
            assert {outcome.status for outcome in cls.embedded.deliver(kept)} == {"stored"}
            cls.reference.deliver(kept)
            cls.store.flush()
            cls.embedded.flush()
            yield

    def agree(self, asked):
        for query in asked:
            expected = keys(self.reference.find(query)), self.reference.count(query)
            for store in (self.embedded, self.store):
                assert (keys(store.find(query)), store.count(query)) == expected, (type(store).__name__, query)

    @_ASKED
    @given(questions())
    def test_every_store_says_the_same(self, asked):
        self.agree(asked)

    @pytest.mark.campaign
    @pytest.mark.parametrize("part", range(PARTS))
    def test_every_store_says_the_same_of_very_many_questions(self, part):
        seed(part)(_ASKED(given(questions())(self.agree)))()


class TestElasticsearch8(OnAnEngine):
    name = "elasticsearch"


@pytest.mark.engines
class TestElasticsearch9(OnAnEngine):
    name = "elasticsearch_9"


@pytest.mark.engines
class TestOpenSearch(OnAnEngine):
    """It says of no document that it has left a value out for its length: only what is indexed can be asked for."""

    name = "opensearch"
    longest = KEPT
