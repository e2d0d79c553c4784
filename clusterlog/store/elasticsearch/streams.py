"""Which data stream an event belongs to: ``logs-<dataset>-<environment>``."""

from __future__ import annotations

import re
from functools import lru_cache

PREFIX = "clusterlog."
PATTERN = f"logs-{PREFIX}*-*"
"""Every stream there is: what templates are for, and what rights are given on."""

_LONGEST = 100
_NOT_IN_A_NAME = re.compile(r"[^\w.]")


@lru_cache(1024)
def data_stream(dataset: str, environment: str) -> str:
    """The stream of events with this ``event.dataset`` and ``service.environment``.

    A dataset that is not ours goes below our own: what a line says of itself must not lead into somebody else's
    streams. Dataset and environment have at most 100 bytes each, lower case, ``_`` for what a name cannot hold.
    """
    dataset = _part(dataset) or "unparsed"
    if not dataset.startswith(PREFIX):
        dataset = _part(PREFIX + dataset)
    return f"logs-{dataset}-{_part(environment) or 'default'}"


def _part(text: str) -> str:
    return _NOT_IN_A_NAME.sub("_", text.lower()).encode()[:_LONGEST].decode(errors="ignore")
