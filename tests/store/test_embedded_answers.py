"""Index and raw events together answer precisely what brute force over the raw events answers."""

from __future__ import annotations

import json
import random
from contextlib import closing, contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusterlog.store import document
from clusterlog.store.base import Delivery
from clusterlog.store.embedded import EmbeddedStore, search, writer
from clusterlog.store.embedded.index import answer, documents
from clusterlog.store.embedded.index.documents import LONGEST_VALUE
from clusterlog.store.query import And, Exists, Match, Not, Or, Query, Range, Wildcard
from clusterlog.testing.reference import ReferenceStore
from clusterlog.testing.strategies import BEGIN, nodes, put, queries, stamp

ARRIVAL = BEGIN + 2_000

# Paths that are something to the index, things that nearly are, and things nobody should send.
PATHS = (
    "@timestamp",
    "message",
    "error.message",
    "log.level",
    "service.name",
    "http.request.id",
    "http.response.status_code",
    "event.duration",
    "event.kind",
    "process.entity_id",
    "event.sequence",
    "labels.a",
    "labels.a.b",
    "labels.é 'x'",
    "labels",
    "log",
    "unknown.thing",
    "unknown\x7fthing",
    "labels.",
    ".",
    "",
)
LONG = "long" * (LONGEST_VALUE // 4)
VALUES = (
    *(None, True, False, -3, -1, 0, 1, 2, 503, 2**53, 2**53 + 1, 2**63, -(2**63), -(2**63) - 1),
    *(0.5, 1.0, -0.0, 1e300, 2.0**53),
    *("", "a", "A", "a b", "b", "1", "1.0", "true", "503", "é", "É x", "a_b", "a\x7fb", "*", "ab.c", "ß"),
    *("İx", "ǅ", "नमस्ते", "²", "x" * 300 + " a", "é" * 200 + " b", LONG, LONG + "a", LONG + "b"),
    *(stamp(BEGIN), stamp(BEGIN + 1), "2023-11-14T23:13:20.000000001+01:00", stamp(BEGIN)[:-1]),
    *(stamp(ARRIVAL + document.AHEAD), stamp(ARRIVAL + document.AHEAD + 1), "9999-12-31T23:59:59Z"),
)
KEYS = ("a", "b", "a.b", "id", "name", "level", "request.id", "request", "kind", "duration", "", "x")
INSTANCES = ("0190aaaa0000700080000000000000a1", "0190aaaa0000700080000000000000b2")


def wild_value(chance, depth=0):
    """Any JSON value, sometimes a nested one."""
    kind = chance.random()
    if depth < 3 and kind < 0.1:
        return [wild_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if depth < 3 and kind < 0.2:
        return {chance.choice(KEYS): wild_value(chance, depth + 1) for _ in range(chance.randrange(4))}
    return chance.choice(VALUES)


def wild_delivery(chance, sequence):
    """An event nobody's encoder would write: any value at any path, nested, dotted or in lists."""
    event = {"@timestamp": stamp(BEGIN + chance.randrange(4_000))}
    for path in chance.choices(PATHS, k=chance.randrange(5)):
        if chance.random() < 0.3:
            event[path] = wild_value(chance)
        else:
            try:
                put(event, path, wild_value(chance))
            except (TypeError, AttributeError):
                continue  # something that is no object stands in the way
    for place in ("event", "process"):
        if not isinstance(event.get(place, {}), dict):
            del event[place]
    instance = chance.choice(INSTANCES)
    id = f"{instance}-{sequence:011x}" if chance.random() < 0.8 else f"foreign {sequence}"
    put(event, "event.id", id)
    if chance.random() < 0.7:
        put(event, "event.sequence", sequence)
        put(event, "process.entity_id", instance)
    return Delivery(id, instance, sequence, json.dumps(event, ensure_ascii=False).encode())


ASKED = st.sampled_from([value for value in VALUES if value is not None])
PIECES = st.lists(
    st.sampled_from(["", "a", "é", "b", "1", "lo", "x", " ", ".", "LONG", "a_b", "\0"]), min_size=1, max_size=4
)
FIELDS = st.sampled_from((*PATHS, "event.id", "event", "labels.b", "process", "unknown", "error.stack_trace"))
LEAVES = st.one_of(
    st.builds(Match, FIELDS | st.none(), ASKED, st.booleans()),
    st.builds(Wildcard, FIELDS | st.none(), PIECES.map(tuple)),
    st.builds(Exists, FIELDS),
    st.builds(Range, FIELDS, gt=st.none() | ASKED, gte=st.none() | ASKED, lt=st.none() | ASKED, lte=st.none() | ASKED),
)


@contextmanager
def small():
    """Partitions, pages and the budget of columns so small that every seam is crossed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "PARTITION_EVENTS", 40)
        patch.setattr(search, "FIRST_PAGE", 2)
        patch.setattr(answer, "LARGEST_PAGE", 8)
        patch.setattr(documents, "MOST_NUMBER_PATHS", 3)
        yield


@contextmanager
def wild_store(seed, directory):
    """A store of wild events, and the reference that holds the same."""
    chance = random.Random(seed)
    reference = ReferenceStore(arrival=ARRIVAL)
    with small(), closing(EmbeddedStore.open(directory / "store", "write", clock=lambda: ARRIVAL)) as store:
        for first in range(1, 151, 15):
            batch = [wild_delivery(chance, sequence) for sequence in range(first, first + 15)]
            chance.shuffle(batch)
            outcomes = store.deliver(batch)
            reference.deliver([each for each, o in zip(batch, outcomes, strict=True) if o.status == "stored"])
        store.flush()
        assert len(reference.events) > 100
        yield store, reference


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    with wild_store(7, tmp_path_factory.mktemp("wild")) as pair:
        yield pair


# One event each that an index cannot hold as it is, a question it answers, and one it does not.
HARD = {
    "a word longer than a term": (
        {"message": "w" * 300 + " end"},
        Wildcard("message", ("ww", "")),
        Match("message", "w" * 299),
    ),
    "a long word asked for in full": (
        {"error.message": "w" * 300},
        Match(None, "w" * 300),
        Match(None, "w" * 256),
    ),
    "a long word outside ASCII": ({"message": "é" * 200}, Match("message", "É" * 200), Match("message", "é" * 199)),
    "a value longer than a term": ({"labels.a": LONG + "x"}, Match("labels.a", LONG + "x"), Match("labels.a", LONG)),
    "a keyword longer than a term": (
        {"service.name": LONG + "x"},
        Wildcard("service.name", ("", "x")),
        Match("service.name", LONG),
    ),
    "a key with the character that parts a term": (
        {"labels.a\x7fb": "c"},
        Match("labels.a\x7fb", "c"),
        Match("labels.a", "b\x7fc"),
    ),
    "a key longer than a term": ({"labels." + "k" * 600: 1}, Exists("labels." + "k" * 600), Exists("labels.k")),
    "a whole number that floats cannot hold": (
        {"clusterlog.metrics.n": [2**53 + 1, 0.5]},
        Range("clusterlog.metrics.n", gt=2**53, lt=2**54),
        Range("clusterlog.metrics.n", gte=1, lte=2**53),
    ),
    "a number beyond 64 bits": (
        {"event.duration": 2**63},
        Range("event.duration", gte=2**63),
        Range("event.duration", lt=2**63),
    ),
    "two numbers of one metric": (
        {"clusterlog.metrics.a.b": 1, "clusterlog": {"metrics": {"a.b": 5}}},
        And((Range("clusterlog.metrics.a.b", lt=2), Range("clusterlog.metrics.a.b", gt=4))),
        Range("clusterlog.metrics.a.b", gt=2, lt=4),
    ),
    "bounds of two types": (
        {"clusterlog.metrics.m": 1},
        Range("clusterlog.metrics.m", gt=0.5, lte=1),
        Range("clusterlog.metrics.m", gte=0, lt=0.5),
    ),
    "bounds beyond 64 bits": (
        {"clusterlog.metrics.m": 2e19},
        Range("clusterlog.metrics.m", gt=1e19, lt=1e20),
        Range("clusterlog.metrics.m", gt=2**64, lt=2e19),
    ),
    "a float where whole numbers belong": (
        {"event.duration": 0.5},
        Range("event.duration", gt=0, lt=1),
        Range("event.duration", gte=1),
    ),
    "a text where numbers belong": (
        {"http.response.status_code": "503"},
        Match("http.response.status_code", 503),
        Range("http.response.status_code", gte=500),
    ),
    "words outside ASCII": ({"message": "İx straße"}, Match("message", "STRAßE İX"), Match("message", "strasse")),
    "an id that contradicts its process": (
        {"process": {"entity_id": "f" * 32}, "event": {"id": f"{INSTANCES[0]}-{1:011x}", "sequence": 5}},
        Match("process.entity_id", "f" * 32),
        Match("event.id", "f" * 32 + "-00000000005"),
    ),
    "a message that has no words": ({"message": "?!"}, Exists("message"), Match("message", "?!")),
    "a time from the far future": (
        {"@timestamp": "2999-01-01T00:00:00Z"},
        Range("@timestamp", gte="2998-01-01T00:00:00Z"),
        Range("@timestamp", gt="2999-01-01T00:00:00Z"),
    ),
    "a time that is none": ({"@timestamp": "noon"}, Match("@timestamp", "noon"), Range("@timestamp", gt=stamp(BEGIN))),
    "a question of which the index knows one half": (
        {"labels.a": "x"},
        Or((Wildcard("event.id", ("nobody", "")), Match("labels.a", "x"))),
        Or((Wildcard("event.id", ("nobody", "")), Match("labels.a", "y"))),
    ),
    "nesting without end": (
        {"labels.deep": json.loads("[" * 900 + "7" + "]" * 900)},
        Match("event.id", f"{INSTANCES[0]}-{1:011x}"),
        Match("labels.other", 7),
    ),
}


@pytest.mark.parametrize("case", HARD)
def test_what_the_index_cannot_hold_is_found_by_its_bytes(case, tmp_path):
    fields, found, missed = HARD[case]
    id = f"{INSTANCES[0]}-{1:011x}"
    event = {
        "@timestamp": stamp(BEGIN),
        "event": {"id": id, "sequence": 1},
        "process": {"entity_id": INSTANCES[0]},
    } | fields
    plain = {"@timestamp": stamp(BEGIN), "event": {"id": "plain"}, "labels": {"a": "plain"}}
    with closing(EmbeddedStore.open(tmp_path / "store", "write", clock=lambda: ARRIVAL)) as store:
        batch = [Delivery(id, "", 1, json.dumps(event).encode()), Delivery("plain", "", 1, json.dumps(plain).encode())]
        assert [outcome.status for outcome in store.deliver(batch)] == ["stored", "stored"]
        store.flush()
        for where, count in ((found, 1), (missed, 0), (Not(missed), 2), (And((found, Not(missed))), 1)):
            assert store.count(Query(where=where)) == count
            assert len(list(store.find(Query(where=where)))) == count


def agree(store, reference, query):
    assert list(store.find(query)) == reference.find(query)
    assert store.count(query) == reference.count(query)


def test_answers_to_any_question_about_any_event_are_those_of_brute_force(wild):
    @settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
    @given(queries(nodes(LEAVES)))
    def holds(query):
        agree(*wild, query)

    holds()


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(20))
def test_forty_thousand_answers_about_twenty_stores_are_those_of_brute_force(seed, tmp_path):
    @settings(max_examples=2_000, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(queries(nodes(LEAVES)))
    def holds(query):
        agree(*pair, query)

    with wild_store(seed, tmp_path) as pair:
        holds()
