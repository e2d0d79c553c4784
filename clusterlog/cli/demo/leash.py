"""A child that does not outlive its parent, however that ends (prctl(2), PR_SET_PDEATHSIG)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
# Looked up where nothing can go wrong: between fork and exec no library may be loaded.
_prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None


def leash(parent: int) -> None:
    """Have this process told to end (SIGTERM) when the thread that started it is gone; ``parent`` is its process id.

    It outlasts exec, and is lost in a fork. Where the system has none, nothing happens.
    """
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:  # it was gone before it was asked for
        os._exit(1)
