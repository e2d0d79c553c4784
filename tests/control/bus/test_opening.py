import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from clusterlog.control.bus.opening import bus_at, local_bus
from clusterlog.errors import SettingError
from clusterlog.settings import load
from clusterlog.settings.values import BUSES

ADDRESSES = {
    "sqlite": "sqlite:///var/lib/bus.db",
    "memory": "memory://one",
    "hub+http": "hub+http://127.0.0.1:7465",
    "hub+https": "hub+https://hub:7465",
    "postgresql": "postgresql://u:sesame@db/x",
    "postgres": "postgres://u:sesame@db/x",
    "redis": "redis://:sesame@cache,other:6380/1",
    "rediss": "rediss://u:sesame@cache",
    "redis+sentinel": "redis+sentinel://:sesame@a,b/main",
    "rediss+sentinel": "rediss+sentinel://:sesame@a,b/main",
}


@pytest.fixture
def settings(tmp_path):
    return load({"home": str(tmp_path), "environment": "staging"}, environ={})


@pytest.mark.parametrize("scheme", BUSES)
def test_every_scheme_has_a_bus_that_is_made_without_a_connection_and_named_without_credentials(
    settings, scheme, monkeypatch
):
    def no_network(*arguments):
        raise AssertionError("it asked the network")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    bus = bus_at(ADDRESSES[scheme], settings)
    assert bus.local == (scheme in ("sqlite", "memory"))
    assert bus.name.startswith(scheme)
    assert "sesame" not in bus.name + repr(bus)


def test_cp_26_one_suite_holds_every_bus_that_an_address_can_name():
    """A scheme comes with a class ``Test…Bus`` of the contract, here or beside its server."""
    tests = Path(__file__).parents[2]
    held = {
        found.lower()
        for page in (*tests.glob("control/bus/test_*.py"), *tests.glob("web/hub/test_*.py"))
        for found in re.findall(r"^class Test(\w+)Bus\(BusContract\):", page.read_text(), re.MULTILINE)
    }
    suites = {"rediss": "redis", "postgresql": "postgres", "hub+http": "hub", "hub+https": "hub"}
    named = {"sentinel" if scheme.endswith("+sentinel") else suites.get(scheme, scheme) for scheme in BUSES}
    assert named == held


def test_without_an_address_it_is_the_bus_of_the_home(settings, tmp_path):
    assert bus_at("", settings).name == local_bus(settings).name == f"sqlite:{tmp_path}/control/bus.db"
    assert not (tmp_path / "control").exists()


@pytest.mark.parametrize("given", ["sqlite:/somewhere/bus.db", "sqlite:///somewhere/bus.db"])
def test_a_database_may_be_elsewhere(settings, given):
    assert bus_at(given, settings).name == "sqlite:/somewhere/bus.db"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("reddis://a", "did you mean redis"),
        ("cache:6379", "is no way between nodes"),
        ("redis", "is no way between nodes"),
        ("sqlite://relative/bus.db", "absolute path"),
        ("sqlite:", "absolute path"),
    ],
)
def test_an_address_that_cannot_be_right_is_refused_in_one_line(settings, url, said):
    with pytest.raises(SettingError, match=said) as refused:
        bus_at(url, settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["", "sqlite", "memory"])
def test_a_bus_of_one_host_loads_no_client_of_another(scheme):
    program = (
        "import sys\n"
        "from clusterlog.control.bus.opening import bus_at\n"
        "from clusterlog.settings import load\n"
        f"bus_at({ADDRESSES.get(scheme, '')!r}, load({{'home': '/nowhere'}}, environ={{}}))\n"
        "assert not {'redis', 'psycopg', 'http.client', 'ssl'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
