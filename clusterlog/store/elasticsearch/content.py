"""Whether a stored document says what an event says, however the server has written it down. Pure.

A server that makes documents from its columns (synthetic source) sorts names, drops nulls and empty lists, writes
numbers of a flattened field as texts and times in its own way; a pipeline may have added to them. None of that makes
it another event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clusterlog.store import document

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_DEEPEST = 64


def says_the_same(body: bytes, stored: object) -> bool:
    """Whether every value of the event stands in the stored document, at the same path."""
    try:
        event = document.parse(body)
    except ValueError:
        return False
    return set(_values(event, "", 0)) <= set(_values(stored, "", 0))


def _values(node: object, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Path and value of every leaf, in a form in which equal values are equal."""
    if depth > _DEEPEST:
        yield path, repr(node)
    elif isinstance(node, dict):
        for name, inner in node.items():
            yield from _values(inner, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(node, list):
        for inner in node:
            yield from _values(inner, path, depth + 1)
    elif isinstance(node, str | int | float):
        yield path, _canonical(document.text(node))


def _canonical(text: str) -> str:
    ns = document.time_ns(text)
    if ns is not None:
        return str(ns)
    return repr(float(text)) if _NUMBER.fullmatch(text) and len(text) < 300 else text
