"""What every test of clusterlog stands on: an empty working directory, no settings from outside, patient Hypothesis."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ("engine_servers", "bus_servers", "postgres_server")  # in this order: each imports those before it

# Two shared cores make single examples slow at random; a deadline would fail what is right.
hypothesis.settings.register_profile("clusterlog", deadline=None, print_blob=True)
hypothesis.settings.load_profile("clusterlog")

_SETTINGS_FROM_OUTSIDE = ("CLUSTERLOG_", "OTEL_", "STATE_DIRECTORY", "XDG_STATE_HOME", "NO_COLOR", "FORCE_COLOR")


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """A shell that starts the run in the background turns Ctrl-C off in it and in all it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The whole run works in an empty directory and without the settings of whoever started it.

    The default home is looked for upward from the working directory, so that from the work tree a test would find the
    one somebody has played with.
    """
    directory = tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(_SETTINGS_FROM_OUTSIDE):
                patch.delenv(name)
        patch.chdir(directory)
        # A second after start() this process would begin a part in a cluster, in the middle of some other test.
        patch.setattr(import_module("clusterlog.start.control"), "DELAY_S", None)
        yield directory


@pytest.fixture(autouse=True)
def _leaves_nothing(_elsewhere: Path) -> Iterator[None]:
    """No test leaves a file in the working directory: what needs a home is given one."""
    yield
    left = os.listdir(_elsewhere)
    assert not left, f"left in the working directory: {', '.join(left)}"
