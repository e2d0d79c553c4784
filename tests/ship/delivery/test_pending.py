"""What waits keeps its order, loses nothing, and goes in batches that are as full as they can be."""

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.ship.delivery.batch import PROBE_EVENTS, Batch, Limits, size_of
from clusterlog.ship.delivery.pending import AGE_S, Pending
from clusterlog.store.base import Delivery


def events(first, count, length=10):
    return [Delivery(str(n), "i", n, b"x" * length) for n in range(first, first + count)]


def batch_of(deliveries, **history):
    return Batch(deliveries, size_of(deliveries), **history)


def everything(pending, now=0.0):
    found = []
    while (batch := pending.next(now, idle=True)) is not None:
        found.append([each.sequence for each in batch.deliveries])
    return found


def test_small_portions_are_joined():
    pending = Pending(Limits(events=10))
    for n in range(5):
        pending.offer(events(n * 3, 3), 0.0)
    assert everything(pending) == [list(range(10)), list(range(10, 15))]


def test_what_does_not_fill_a_batch_waits_while_others_are_under_way_but_not_for_long():
    pending = Pending(Limits(events=10))
    pending.offer(events(0, 3), 5.0)
    assert pending.next(5.0, idle=False) is None
    assert pending.next(5.0 + AGE_S, idle=False) is not None
    pending.offer(events(3, 3), 7.0)
    assert pending.next(7.0, idle=True) is not None


def test_what_is_put_back_goes_when_it_is_due_and_before_what_is_new():
    pending = Pending(Limits())
    pending.offer(events(10, 1), 0.0)
    pending.put_back(batch_of(events(0, 1), due=9.0, reason="busy"))
    assert everything(pending, 1.0) == [[10]]
    assert pending and pending.reason == "busy" and pending.due() == 9.0
    pending.offer(events(11, 1), 0.0)
    assert everything(pending, 9.0) == [[0], [11]]


def test_a_batch_that_became_too_large_meanwhile_is_cut_with_its_history():
    pending = Pending(Limits())
    pending.put_back(batch_of(events(0, 10), tries=4, doubtful=True))
    pending.resize(35)
    first = pending.next(0.0, idle=True)
    assert (len(first.deliveries), first.tries, first.doubtful, first.size) == (3, 4, True, 30)
    assert everything(pending) == [[3, 4, 5], [6, 7, 8], [9]]


def test_probes_are_few_and_each_of_others():
    pending = Pending(Limits())
    pending.put_back(batch_of(events(0, 25), due=99.0))
    pending.put_back(batch_of(events(50, 5), due=99.0))
    probes = [[each.sequence for each in pending.probe(0.0, fresh=False).deliveries] for _ in range(3)]
    assert probes == [list(range(PROBE_EVENTS)), [50, 51, 52, 53, 54], list(range(10, 20))]
    assert [each.sequence for each in pending.deliveries()] == list(range(20, 25))


def test_where_nothing_was_put_back_a_probe_is_of_what_is_new():
    pending = Pending(Limits())
    pending.offer(events(0, 30), 0.0)
    assert len(pending.probe(0.0, fresh=False).deliveries) == PROBE_EVENTS
    assert len(list(pending.deliveries())) == 20


def test_a_probe_may_be_of_what_is_new_though_something_was_put_back():
    """Or one event that is never taken would keep all others from showing that they are."""
    pending = Pending(Limits())
    pending.put_back(batch_of(events(0, 1)))
    pending.offer(events(1, 30), 0.0)
    assert [each.sequence for each in pending.probe(0.0, fresh=True).deliveries] == list(range(1, 11))
    assert everything(pending) == [[0], list(range(11, 31))]


def test_what_may_have_been_sent_before_goes_apart():
    pending = Pending(Limits(), lambda delivery: delivery.sequence < 4)
    pending.offer(events(0, 8), 0.0)
    batches = [pending.next(0.0, idle=True) for _ in range(2)]
    assert sorted((batch.doubtful, [each.sequence for each in batch.deliveries]) for batch in batches) == [
        (False, [4, 5, 6, 7]),
        (True, [0, 1, 2, 3]),
    ]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.integers(0, 30)),
        st.tuples(st.just("next"), st.booleans()),
        st.tuples(st.just("probe"), st.booleans()),
        st.tuples(st.just("back"), st.booleans()),
        st.tuples(st.just("resize"), st.integers(5, 100)),
        st.tuples(st.just("pass"), st.floats(0, 3)),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 9))
def test_whatever_is_asked_in_which_order_every_event_is_somewhere_once(steps, most):
    pending, now, n, taken = Pending(Limits(events=most)), 0.0, 0, []
    for what, value in steps:
        if what == "offer":
            pending.offer(events(n, value), now)
            n += value
        elif what == "pass":
            now += value
        elif what == "resize":
            pending.resize(value)
        elif what == "back" and taken:
            pending.put_back(batch_of(taken.pop().deliveries, due=now + 1), first=value)
        elif what in ("next", "probe"):
            batch = pending.next(now, idle=value) if what == "next" else pending.probe(now, fresh=value)
            if batch is not None:
                taken.append(batch)
                assert batch.size == size_of(batch.deliveries)
                assert what == "probe" or len(batch.deliveries) == 1 or batch.size <= pending.limits.bytes
        held = [each.sequence for each in pending.deliveries()]
        assert sorted([*held, *(each.sequence for batch in taken for each in batch.deliveries)]) == list(range(n))
        assert pending.size == 10 * len(held) and bool(pending) == bool(held)
