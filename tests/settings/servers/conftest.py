"""Settings of a home that is not there, and of nothing outside."""

from __future__ import annotations

import pytest

from clusterlog.settings import load


@pytest.fixture(scope="session")
def settings():
    return lambda **given: load({"home": "/nowhere", **given}, environ={})
