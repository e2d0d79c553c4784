"""A second copy is possible only in an older index of the same stream, begun after the first sending."""

from datetime import UTC, datetime

import pytest

from clusterlog.ship.delivery.places import Places


def ns(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e9)


FIRST, SECOND = (f".ds-logs-clusterlog.app-production-2026.11.03-00000{n}" for n in (1, 2))
NOON = ns("2026-11-03T12:00:00")


def test_in_the_first_index_of_a_stream_nothing_is_there_twice():
    assert not Places().may_be_twice(FIRST, NOON)


def test_in_an_index_of_the_same_day_something_may_be_and_in_one_of_the_day_before_not():
    assert Places().may_be_twice(SECOND, NOON)
    assert not Places().may_be_twice(SECOND, ns("2026-11-04T12:00:00"))
    assert Places().may_be_twice(SECOND, ns("2026-11-04T00:30:00"))  # clocks may lie apart


def test_an_index_that_was_written_to_before_the_first_sending_is_not_newer():
    places = Places()
    places.learn(SECOND, NOON)
    assert not places.may_be_twice(SECOND, NOON + 1)
    assert places.may_be_twice(SECOND, NOON - 1)
    places.learn(SECOND, NOON + 10)  # the first time counts
    assert not places.may_be_twice(SECOND, NOON + 1)


def test_a_rollover_between_two_sendings_is_seen():
    places = Places()
    places.learn(FIRST, NOON)
    assert places.may_be_twice(SECOND, NOON + 5)
    places.learn(SECOND, NOON + 9)
    assert places.may_be_twice(SECOND, NOON + 5)
    assert not places.may_be_twice(SECOND, NOON + 10)


def test_what_is_known_of_one_stream_says_nothing_of_another():
    places = Places()
    places.learn(SECOND, NOON)
    assert places.may_be_twice(SECOND.replace("app", "call"), NOON + 1)


@pytest.mark.parametrize(
    ("place", "possible"), [(".ds-logs-clusterlog.app-x-000002", True), (".ds-logs-x-000001", False), ("index", False)]
)
def test_names_without_a_day_and_names_of_no_stream(place, possible):
    assert Places().may_be_twice(place, NOON) is possible
