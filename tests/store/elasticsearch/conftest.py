"""Servers that answer, or do not, as a test wants it."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture
def unused_port():
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
