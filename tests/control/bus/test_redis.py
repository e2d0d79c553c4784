import pytest

from clusterlog.control.bus.redis.address import address
from clusterlog.control.bus.redis.link import RedisBus
from clusterlog.testing.buses import BusContract


class TestRedisBus(BusContract):
    @pytest.fixture(autouse=True)
    def _server(self, redis_server):
        self.server = redis_server

    def bus(self, cluster):
        return RedisBus(address(self.server.url), cluster)
