"""Elasticsearch and OpenSearch do what every store does."""

from __future__ import annotations

import pytest

from clusterlog.testing.contracts import StoreContract


class OnAnEngine(StoreContract):
    @pytest.fixture(autouse=True, scope="class")
    def _on(self, request, place):
        request.cls.engine = request.getfixturevalue(request.cls.name)
        request.cls.place = staticmethod(place)

    def new_store(self):
        return self.place(self.engine)

    test_every_answer_is_that_of_brute_force = None
    test_what_people_type_means_what_the_predicate_says_it_means = None


class TestElasticsearch8(OnAnEngine):
    name = "elasticsearch"


@pytest.mark.engines
class TestElasticsearch9(OnAnEngine):
    name = "elasticsearch_9"


@pytest.mark.engines
class TestOpenSearch(OnAnEngine):
    name = "opensearch"
