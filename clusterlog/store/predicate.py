"""The exact judge: whether one parsed event matches a query's condition. Every engine agrees with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any

from clusterlog.store import document
from clusterlog.store.document import Event, Scalar
from clusterlog.store.query import And, Everything, Exists, Match, Node, Not, Or, Query, Range, Value, Wildcard

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_KEPT = 1024


def selects(query: Query, event: Event, time: int) -> bool:
    """Whether an event found at ``time`` (ns, see ``document.placed``) answers ``query``, paging aside."""
    if query.since is not None and time < query.since:
        return False
    if query.until is not None and time >= query.until:
        return False
    return matches(query.where, event)


def matches(node: Node, event: Event) -> bool:
    """Whether ``event`` matches ``node``; the semantics stand at the nodes themselves (``query``)."""
    match node:
        case Everything():
            return True
        case And(parts):
            return all(matches(part, event) for part in parts)
        case Or(parts):
            return any(matches(part, event) for part in parts)
        case Not(part):
            return not matches(part, event)
        case Exists(field):
            return document.exists(event, field)
        case Range(field):
            bounds = bounds_of(node)
            return any(all(bound(value) for bound in bounds) for value in document.values(event, field))
        case Match(field, value, phrase):
            return any(_match(event, name, value, phrase) for name in _asked(field))
        case Wildcard(field, pattern):
            return any(_wildcard(event, name, pattern) for name in _asked(field))


def _asked(field: str | None) -> Sequence[str]:
    return document.TEXT_FIELDS if field is None else (field,)


def _texts(event: Event, field: str) -> list[str]:
    return [document.text(value) for value in document.values(event, field)]


def _match(event: Event, field: str, value: Value, phrase: bool) -> bool:
    wanted = document.text(value)
    texts = _texts(event, field)
    if field not in document.TEXT_FIELDS:
        return wanted in texts
    asked = words_of(wanted)
    if not asked:
        return False
    found = [document.words(text) for text in texts]
    if phrase:
        return any(_side_by_side(asked, run) for run in found)
    there = {word for run in found for word in run}
    return all(word in there for word in asked)


@lru_cache(_KEPT)
def words_of(wanted: str) -> tuple[str, ...]:
    """The words a question asks for; kept, because one question meets many events."""
    return tuple(document.words(wanted))


def _side_by_side(asked: Sequence[str], run: list[str]) -> bool:
    length = len(asked)
    return any(tuple(run[at : at + length]) == asked for at in range(len(run) - length + 1))


def _wildcard(event: Event, field: str, pattern: tuple[str, ...]) -> bool:
    if not any(pattern):
        return document.exists(event, field)
    if field not in document.TEXT_FIELDS:
        return any(fits(pattern, text) for text in _texts(event, field))
    asked = word_patterns(pattern)
    if not asked:
        return False
    there = {word for text in _texts(event, field) for word in document.words(text)}
    return all(any(fits(one, word) for word in there) for one in asked)


@lru_cache(_KEPT)
def word_patterns(pattern: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """A pattern over text, cut into patterns over its words: ``("", "timed out", "")`` asks ``*timed`` and ``out*``.

    A star alone between blanks asks for nothing and is left out.
    """
    found: list[tuple[str, ...]] = []
    current = [""]
    for at, piece in enumerate(pattern):
        if at:
            current.append("")
        runs = re.split(r"[\W_]+", piece.lower())
        current[-1] += runs[0]
        for run in runs[1:]:
            found.append(tuple(current))
            current = [run]
    found.append(tuple(current))
    return tuple(one for one in found if any(one))


def fits(pattern: tuple[str, ...], value: str) -> bool:
    """Whether the whole of ``value`` is the literal pieces in order with anything between them, in linear time."""
    if len(pattern) == 1:
        return value == pattern[0]
    first, last = pattern[0], pattern[-1]
    if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
        return False
    at, end = len(first), len(value) - len(last)
    for piece in pattern[1:-1]:
        at = value.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


Bound = Callable[[Scalar], bool]
_Compare = Callable[[Any, Any], bool]


def bounds_of(node: Range) -> tuple[Bound, ...]:
    """One test per bound of a range.

    A number asks numbers. A text that is an RFC 3339 time asks times. Any other text asks texts, and a text that reads
    as a number asks numbers too.
    """
    sides = ((gt, node.gt), (ge, node.gte), (lt, node.lt), (le, node.lte))
    return tuple(_bound(compare, limit) for compare, limit in sides if limit is not None)


@lru_cache(_KEPT, typed=True)  # ``True`` and ``1`` are equal, and different bounds
def _bound(compare: _Compare, limit: Value) -> Bound:
    if isinstance(limit, bool):
        return lambda value: False
    if not isinstance(limit, str):
        return lambda value: _is_number(value) and compare(value, limit)
    time = document.time_ns(limit)
    if time is not None:
        return lambda value: _compare_times(compare, value, time)
    number = read_number(limit)

    def by_text(value: Scalar) -> bool:
        if isinstance(value, str):
            return compare(value, limit)
        return number is not None and _is_number(value) and compare(value, number)

    return by_text


def _compare_times(compare: _Compare, value: Scalar, limit: int) -> bool:
    if not isinstance(value, str):
        return False
    time = document.time_ns(value)
    return time is not None and compare(time, limit)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_number(value: str) -> int | float | None:
    """The number a text spells as JSON does, else ``None``."""
    if len(value) > 40 or _NUMBER.fullmatch(value) is None:
        return None
    return float(value) if any(letter in value for letter in ".eE") else int(value)
