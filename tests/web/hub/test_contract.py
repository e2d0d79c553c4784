import pytest

from clusterlog.testing.buses import BusContract


class TestHubBus(BusContract):
    rounds = 20

    @pytest.fixture(autouse=True)
    def _server(self, hub_server, bus_of):
        self.server, self.bus_of = hub_server, bus_of

    def bus(self, cluster):
        return self.bus_of(self.server, cluster)
