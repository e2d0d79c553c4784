from clusterlog.control.bus.base import Gap
from clusterlog.control.bus.memory import MOST_WAITING, MemoryBus
from clusterlog.testing.buses import BusContract


class TestMemoryBus(BusContract):
    test_a_forked_child_opens_a_link_of_its_own = None  # which would be to another bus

    def bus(self, cluster):
        return MemoryBus("tests", cluster)

    def test_who_does_not_fetch_its_messages_is_told_of_a_gap_and_holds_no_more_of_them(self, link, other):
        for _ in range(MOST_WAITING + 10):
            link.send(b"")
        come = other.wait(0.0)
        assert come[0] == Gap()
        assert len(come) <= MOST_WAITING
