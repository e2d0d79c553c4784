"""Places of one's own on the engines that all tests share."""

from __future__ import annotations

import pytest
from places import place_on


@pytest.fixture(scope="session")
def place():
    """Make a place of one's own on an engine."""
    return place_on
