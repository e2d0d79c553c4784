"""Random questions about random events mean on Elasticsearch and OpenSearch what the predicate says they mean.

The events are sent once: these servers take a second to make a place for them, and cannot take one away. Each example
asks several questions of all of them.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from clusterlog.search.language.parsing import parse
from clusterlog.store.base import Delivery
from clusterlog.store.query import Query
from clusterlog.testing.reference import ReferenceStore
from clusterlog.testing.strategies import BEGIN, deliveries, moments, queries, typed_queries

EVENTS = 300
PARTS = 20
"""Of a campaign, each of twice as many examples as an ordinary test has."""
FEW = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
    database=None,
)
_QUERIES, _TYPED = (st.lists(each, min_size=1, max_size=4) for each in (queries(), typed_queries()))


def corpus():
    """Random events. The strategy numbers each batch from 1, so each is made to be of processes of its own."""
    found = []

    @seed(7)
    @settings(max_examples=150, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(deliveries())
    def collect(batch):
        mark = f"{len(found):04x}"
        for each in batch:
            id, instance = (text.replace("0190aaaa", f"0190{mark}") for text in (each.id, each.instance))
            id = id.replace("foreign/", f"foreign/{mark}/")
            body = each.body.replace(each.id.encode(), id.encode()).replace(each.instance.encode(), instance.encode())
            found.append(Delivery(id, instance, each.sequence, body))

    collect()
    return found[:EVENTS]


def keys(found):
    return [each.key for each in found]


class OnAnEngine:
    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _filled(cls, request, place):
        cls.reference = ReferenceStore(arrival=BEGIN)
        sent = corpus()
        with ExitStack() as stack:
            cls.store = stack.enter_context(place(request.getfixturevalue(cls.name)))
            assert {each.status for each in cls.store.deliver(sent)} == {"stored"}
            cls.store.flush()
            cls.reference.deliver(sent)
            yield

    def agrees(self, query, about=""):
        assert keys(self.store.find(query)) == keys(self.reference.find(query)), about
        assert self.store.count(query) == self.reference.count(query), about

    def asked(self, queries):
        for query in queries:
            self.agrees(query)

    def typed(self, texts, now):
        for text in texts:
            self.agrees(Query(where=parse(text, now_ns=now), limit=None), text)

    @FEW
    @given(_QUERIES)
    def test_every_answer_is_that_of_brute_force(self, asked):
        self.asked(asked)

    @FEW
    @given(_TYPED, moments())
    def test_what_people_type_means_what_the_predicate_says_it_means(self, typed, now):
        self.typed(typed, now)

    @pytest.mark.campaign
    @pytest.mark.parametrize("part", range(PARTS))
    def test_very_many_questions_are_answered_as_by_brute_force(self, part):
        seed(part)(FEW(given(_QUERIES)(self.asked)))()
        seed(part)(FEW(given(_TYPED, moments())(self.typed)))()

    def test_numbers_are_told_as_by_brute_force(self):
        assert list(self.store.audit()) == self.reference.audit()
        assert [self.store.sequences(each.instance) for each in self.reference.audit()] == self.reference.audit()


class TestElasticsearch8(OnAnEngine):
    name = "elasticsearch"


@pytest.mark.engines
class TestElasticsearch9(OnAnEngine):
    name = "elasticsearch_9"


@pytest.mark.engines
class TestOpenSearch(OnAnEngine):
    name = "opensearch"
