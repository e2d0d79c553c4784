"""A question to a store, as plain data that every engine can answer and every test can print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Everything:
    """Matches every event."""


@dataclass(frozen=True, slots=True)
class Match:
    """``field`` holds ``value``.

    On a keyword or number field that is equality (an event with several values matches by any of them); on a text
    field (``message``, ``error.message``, ``error.stack_trace``) every word of ``value`` occurs, and with ``phrase``
    they occur side by side. ``field=None`` asks the text fields.
    """

    field: str | None
    value: Value
    phrase: bool = False


@dataclass(frozen=True, slots=True)
class Wildcard:
    """``field`` matches ``pattern``, where ``*`` stands for any run of characters and nothing else is special."""

    field: str | None
    pattern: tuple[str, ...]  # the literal pieces between the stars


@dataclass(frozen=True, slots=True)
class Range:
    """``field`` lies within bounds; numbers and RFC 3339 times compare by value, everything else as text."""

    field: str
    gt: Value | None = None
    gte: Value | None = None
    lt: Value | None = None
    lte: Value | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """``field`` is there at all."""

    field: str


@dataclass(frozen=True, slots=True)
class And:
    """All parts match; no parts match everything."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some part matches; no parts match nothing."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not match."""

    part: Node


Node = Everything | Match | Wildcard | Range | Exists | And | Or | Not


@dataclass(frozen=True, slots=True)
class Query:
    """What to find.

    ``since`` and ``until`` are nanoseconds since the epoch, ``since`` inclusive and ``until`` exclusive. Events come
    by time, ties by instance and sequence, in ``order``; at most ``limit`` of them (``None``: all). ``after`` goes on
    behind the event with that key, as ``Found.key`` gave it.
    """

    where: Node = Everything()
    since: int | None = None
    until: int | None = None
    order: Literal["newest", "oldest"] = "newest"
    limit: int | None = 100
    after: tuple[int, str] | None = None

    def narrowed(self, node: Node) -> Query:
        """The same question with one more condition."""
        if isinstance(self.where, Everything):
            return replace(self, where=node)
        return replace(self, where=And((self.where, node)))


def fields_of(node: Node) -> Iterator[str]:
    """Every field a node names, in order of mention."""
    if isinstance(node, And | Or):
        for part in node.parts:
            yield from fields_of(part)
    elif isinstance(node, Not):
        yield from fields_of(node.part)
    elif not isinstance(node, Everything) and node.field is not None:
        yield node.field
