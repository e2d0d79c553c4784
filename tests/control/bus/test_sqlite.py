import pytest

from clusterlog.control.bus.sqlite import SqliteBus
from clusterlog.testing.buses import BusContract


class TestSqliteBus(BusContract):
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path):
        self.path = tmp_path / "control" / "bus.db"

    def bus(self, cluster):
        return SqliteBus(self.path, cluster)
