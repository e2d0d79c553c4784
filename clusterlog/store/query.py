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

    On a keyword or number field that is equality of text (``5``, ``5.0`` and ``"5"`` are one value; case counts; an
    event with several values matches by any of them). On a text field (``message``, ``error.message``,
    ``error.stack_trace``) every word of ``value`` occurs, in any case, and with ``phrase`` they occur side by side in
    one value; a value without words matches nothing. ``field=None`` asks whether any one text field matches.
    """

    field: str | None
    value: Value
    phrase: bool = False


@dataclass(frozen=True, slots=True)
class Wildcard:
    """``field`` matches ``pattern``, where ``*`` stands for any run of characters and nothing else is special.

    A keyword or the text of a number must fit as a whole, and case counts. Over a text field the pattern is cut into
    patterns over single words, in any case, each of which some word must fit; what is left without a letter asks for
    nothing, and a pattern that asks for nothing matches nothing. Stars alone ask what ``Exists`` asks.
    """

    field: str | None
    pattern: tuple[str, ...]  # the literal pieces between the stars


@dataclass(frozen=True, slots=True)
class Range:
    """``field`` lies within bounds; of an event with several values one lies within all of them.

    The bound says how: a number is compared with numbers, an RFC 3339 time with such times, both by value; any other
    text with texts, by code points, and with numbers if it reads as one. Booleans lie within no range.
    """

    field: str
    gt: Value | None = None
    gte: Value | None = None
    lt: Value | None = None
    lte: Value | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """``field``, or anything below it, has a value that is not ``null``; an empty text is one, an empty object none."""

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
    by time, ties by instance and sequence (the order of their ids), in ``order``; at most ``limit`` of them (``None``:
    all). ``after`` goes on behind the event with that key, as ``Found.key`` gave it.
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
