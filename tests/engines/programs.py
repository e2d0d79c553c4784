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
    installed(package or name, found is not None)
    assert found is not None
    return found


def installed(package: str, is_there: bool) -> None:
    """Where a package is not there the test is skipped; with ``CI`` set it fails."""
    if not is_there:
        mend = f"{package} is not installed: apt-get install {package}"
        assert not _ALL_NEEDED, mend
        pytest.skip(mend)
