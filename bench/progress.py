"""How far a measurement is, for a terminal only."""

from __future__ import annotations

import sys


def say(text: str, *, end: bool = False) -> None:
    """Replace the last line said; ``end`` leaves it."""
    if sys.stderr.isatty():
        print(f"\r{text}", end="\n" if end else "", file=sys.stderr, flush=True)
