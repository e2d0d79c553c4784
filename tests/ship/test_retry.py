"""Back-off waits at random up to a bound that doubles, and a breaker lets only a probe through."""

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.ship.delivery.batch import Limits, cut
from clusterlog.ship.retry import FIRST_S, LAST_S, OPEN_AFTER, Backoff
from clusterlog.store.base import Delivery


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_a_wait_never_exceeds_its_bound_and_the_bound_doubles_up_to_a_minute(failures, chance):
    backoff = Backoff()
    for n in range(failures):
        wait = backoff.failed(100.0, chance)
        assert 0 <= wait <= min(LAST_S, FIRST_S * 2**n)
        assert backoff.due == 100.0 + wait


def test_a_server_that_names_a_time_is_not_asked_earlier():
    backoff = Backoff()
    assert backoff.failed(0.0, 0.0, asked=7.0) >= 7.0
    assert not backoff.may(6.9)


def test_the_circuit_opens_after_failures_in_a_row_and_closes_with_one_success():
    backoff = Backoff()
    for _ in range(OPEN_AFTER):
        assert not backoff.open
        backoff.failed(0.0, 0.5)
    assert backoff.open
    backoff.worked()
    assert not backoff.open and backoff.may(0.0)


sizes = st.lists(st.integers(0, 50), max_size=60)


@given(sizes, st.integers(1, 10), st.integers(1, 100))
def test_batches_keep_order_lose_nothing_and_keep_within_the_limits(sizes, events, size):
    deliveries = [Delivery(str(n), "i", n, b"x" * length) for n, length in enumerate(sizes)]
    batches = list(cut(deliveries, Limits(events, size)))
    assert [each for batch in batches for each in batch] == deliveries
    for batch in batches:
        assert 0 < len(batch) <= events
        assert len(batch) == 1 or sum(len(each.body) for each in batch) <= size
