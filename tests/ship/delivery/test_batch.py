"""Events are cut into batches in order, within the limits, and a batch into halves that know its history."""

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.ship.delivery.batch import Batch, Limits, cut, size_of
from clusterlog.store.base import Delivery

sizes = st.lists(st.integers(0, 50), max_size=60)


def deliveries_of(sizes):
    return [Delivery(str(n), "i", n, b"x" * length) for n, length in enumerate(sizes)]


@given(sizes, st.integers(1, 10), st.integers(1, 100))
def test_batches_keep_order_lose_nothing_and_keep_within_the_limits(sizes, events, size):
    deliveries = deliveries_of(sizes)
    batches = list(cut(deliveries, Limits(events, size)))
    assert [each for batch in batches for each in batch] == deliveries
    for batch in batches:
        assert 0 < len(batch) <= events
        assert len(batch) == 1 or sum(len(each.body) for each in batch) <= size


@given(st.lists(st.integers(0, 50), min_size=2, max_size=60))
def test_halves_are_the_whole_and_begin_their_tries_anew(sizes):
    deliveries = deliveries_of(sizes)
    whole = Batch(deliveries, size_of(deliveries), tries=7, refusals=3, taken=5, due=9.0, doubtful=True, sent_ns=11)
    first, second = whole.halves()
    assert [*first.deliveries, *second.deliveries] == deliveries
    assert abs(len(first.deliveries) - len(second.deliveries)) <= 1
    for half in (first, second):
        assert half.size == size_of(half.deliveries)
        assert (half.tries, half.refusals, half.due) == (0, 0, 0.0)
        assert (half.taken, half.doubtful, half.sent_ns) == (5, True, 11)
