"""Elasticsearch and OpenSearch do what every store does."""

from __future__ import annotations

import json

import pytest

from clusterlog.testing.contracts import StoreContract


class OnAnEngine(StoreContract):
    """The suite but for its random part, which is asked of one place with many events (``test_agreement``).

    An event that does not bear the id it is sent under is nothing a shipper sends, and nobody looks for it here.
    """

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _on(cls, request, place):
        cls.engine = request.getfixturevalue(cls.name)
        cls.place = staticmethod(place)

    def new_store(self):
        return self.place(self.engine)

    def as_found(self, body):
        """A server may write a document anew, so that it is equal as JSON; a top-level null is nothing."""
        return json.loads(body)

    test_an_event_without_the_id_it_was_delivered_under_is_refused = None
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
