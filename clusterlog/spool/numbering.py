"""The first bytes of a document, the only ones that wait for its number: time stamp, id and sequence."""

from __future__ import annotations

from collections.abc import Callable

SECOND_NS = 1_000_000_000

Head = Callable[[int], bytes]
"""A second since the epoch → the first bytes of every document of that second: a template for ``%`` with nanoseconds,
sequence, sequence. Formatting a date for each event would cost as much as writing it."""


def numbered(head: Head, ns: int, sequence: int) -> bytes:
    """The first bytes of the document of ``ns`` with number ``sequence``."""
    second, fraction = divmod(ns, SECOND_NS)
    return head(second) % (fraction, sequence, sequence)
