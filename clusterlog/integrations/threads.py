"""Threads, executors and processes: what ``start`` does for them, to be had and undone by name."""

from __future__ import annotations

from clusterlog.context import crossing
from clusterlog.integrations.instrumentation import Instrumentation


def put_into_all() -> Instrumentation:
    """Carry requests into threads, executors and processes."""
    crossing.install()
    return Instrumentation("threads", crossing.remove)
