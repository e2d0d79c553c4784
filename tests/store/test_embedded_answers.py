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
from clusterlog.store.query import Exists, Match, Range, Wildcard
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
    "unknown\0thing",
    "labels.",
    ".",
    "",
)
LONG = "long" * (LONGEST_VALUE // 4)
VALUES = (
    *(None, True, False, -3, -1, 0, 1, 2, 503, 2**53, 2**53 + 1, 2**63, -(2**63), -(2**63) - 1),
    *(0.5, 1.0, -0.0, 1e300, 2.0**53),
    *("", "a", "A", "a b", "b", "1", "1.0", "true", "503", "é", "É x", "a_b", "a\0b", "*", "ab.c", "ß"),
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


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(queries(nodes(LEAVES)))
def test_answers_to_any_question_about_any_event_are_those_of_brute_force(wild, query):
    store, reference = wild
    assert list(store.find(query)) == reference.find(query)
    assert store.count(query) == reference.count(query)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(20))
def test_forty_thousand_answers_about_twenty_stores_are_those_of_brute_force(seed, tmp_path):
    @settings(max_examples=2_000, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(queries(nodes(LEAVES)))
    def holds(query):
        assert list(store.find(query)) == reference.find(query)
        assert store.count(query) == reference.count(query)

    with wild_store(seed, tmp_path) as (store, reference):
        holds()
