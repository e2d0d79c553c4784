"""WARNING and above goes first, and the rest is not starved."""

from hypothesis import given
from hypothesis import strategies as st

from clusterlog.ship.delivery.pace.lanes import BULK_SHARE, Lanes

PORTION = 1000


@given(st.lists(st.integers(1, PORTION), min_size=1, max_size=300))
def test_with_both_lanes_full_bulk_has_its_share_and_no_portion_more(sizes):
    lanes, read = Lanes(), {"priority": 0, "bulk": 0}
    for size in sizes:
        lane = lanes.order(PORTION)[0]
        lanes.read(lane, size, PORTION)
        read[lane] += size
    total = sum(read.values())
    assert read["bulk"] >= total * BULK_SHARE - PORTION
    assert read["bulk"] <= total * 0.5 + PORTION


def test_priority_goes_first():
    assert Lanes().order(PORTION) == ("priority", "bulk")


def test_a_lane_that_was_read_alone_for_long_is_owed_one_portion_at_most():
    lanes = Lanes()
    for _ in range(1000):
        lanes.read("priority", PORTION, PORTION)
    assert lanes.order(PORTION)[0] == "bulk"
    lanes.read("bulk", PORTION, PORTION)
    assert lanes.order(PORTION)[0] == "priority"
