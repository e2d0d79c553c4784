"""Programs of others that tests start: where they are, and what is done where they are not."""

from __future__ import annotations

import os
import shutil

import pytest

_ALL_NEEDED = bool(os.environ.get("CI"))
"""Read now: no test sees settings from outside."""


def program(name: str, package: str = "") -> str:
    """The path of a program. Where it is not installed the test is skipped; with ``CI`` set it fails."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        mend = f"{name} is not installed: apt-get install {package or name}"
        assert not _ALL_NEEDED, mend
        pytest.skip(mend)
    return found
