"""The command line: each command is imported when it is called, and what paints when something is painted."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """The console script ``clusterlog``; ends the process with one of the documented exit codes."""
    # A command makes hundreds of thousands of objects that live until it ends. Going through all of them each time
    # another seven hundred are there takes a third of its time.
    gc.set_threshold(100_000, 50, 50)
    from clusterlog.cli.commands import call

    sys.exit(call(sys.argv[1:]))
