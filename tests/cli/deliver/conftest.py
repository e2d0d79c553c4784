"""What commands that deliver find in a home."""

from __future__ import annotations

import pytest


@pytest.fixture
def said(home):
    """Three events of a process that has ended; with its open and close events five."""
    speaker = home.speaker()
    for number in range(3):
        speaker.say(f"line {number}")
    speaker.end()
    return home
