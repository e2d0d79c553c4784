"""A real ``clusterlog serve`` with a hub, and links to it."""

from __future__ import annotations

import time

import pytest

from clusterlog.control.bus.hub.link import HubBus
from clusterlog.settings import load
from clusterlog.testing.buses import PATIENCE_S


@pytest.fixture(scope="session")
def hub_server(process, tmp_path_factory):
    """The one that all tests share: name spaces of their own keep them apart."""
    served = process(tmp_path_factory.mktemp("hub") / "home")
    yield served
    served.end()


@pytest.fixture
def wait_until():
    """Asks again and again until the answer is true."""

    def wait(condition, what):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"waited in vain: {what}"
            time.sleep(0.01)

    return wait


@pytest.fixture(scope="session")
def bus_of():
    """The bus of a server, asked with what is in its ``serve.json``, or with other settings."""

    def make(server, cluster="test", *, port=None, **settings):
        given = {"token_file": str(server.home / "run" / "serve.json"), **settings}
        url = f"hub+http://127.0.0.1:{port or server.port}"
        return HubBus(url, cluster, load({"home": "/nowhere", **given}, environ={}))

    return make
