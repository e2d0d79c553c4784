"""The command line: each command is imported when it is called, and what paints when something is painted."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script ``clusterlog``; ends the process with one of the documented exit codes."""
    from clusterlog.cli.commands import call

    sys.exit(call(sys.argv[1:]))
