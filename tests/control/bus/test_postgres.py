import pytest

from clusterlog.control.bus.postgres.link import PostgresBus
from clusterlog.testing.buses import BusContract


class TestPostgresBus(BusContract):
    rounds = 100

    @pytest.fixture(autouse=True)
    def _server(self, postgres_server):
        self.server = postgres_server

    def bus(self, cluster):
        return PostgresBus(self.server.url(), cluster)
