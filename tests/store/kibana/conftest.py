"""What is put into Kibana, as it is built for a space, and a stand-in for Kibana."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest
from kibana_double import KibanaDouble

from clusterlog.settings import load
from clusterlog.store.kibana import objects, sources
from clusterlog.store.kibana.server import Kibana


@pytest.fixture(scope="session")
def read():
    """The sources of this checkout."""
    return sources.read()


@pytest.fixture(scope="session")
def built(read):
    """Every object, for the default space; nobody changes it."""
    return objects.build(read)


@pytest.fixture(scope="session")
def panels(built):
    """Every panel of every dashboard, parsed: (title of the dashboard, its references, the panel)."""
    return [
        (each["attributes"]["title"], each["references"], panel)
        for each in built
        if each["type"] == "dashboard"
        for panel in json.loads(each["attributes"]["panelsJSON"])
    ]


@pytest.fixture
def double():
    """Start stand-ins for Kibana."""
    with ExitStack() as started:

        def start(*arguments, **options):
            made = KibanaDouble(*arguments, **options)
            started.callback(made.close)
            return made

        yield start


@pytest.fixture
def kibana():
    """Make what speaks to a Kibana, by its address and settings."""
    with ExitStack() as made:

        def connect(url, **given):
            found = Kibana.of(load({"home": "/nowhere", "kibana": url, **given}, environ={}))
            made.callback(found.close)
            return found

        yield connect
