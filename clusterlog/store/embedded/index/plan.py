"""A query's condition as an index query: what surely matches, and when the raw event has the last word."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import tantivy
from tantivy import FieldType, Occur
from tantivy import Query as IndexQuery

from clusterlog.store.document import TEXT_FIELDS, text, time_ns
from clusterlog.store.embedded.index.documents import (
    EVERYTHING,
    EXACT_INTEGER,
    LONGEST_PATH,
    LONGEST_VALUE,
    SEPARATOR,
    has_numbers,
    id_token,
)
from clusterlog.store.embedded.index.schema import IDS, LONGEST_WORD, NUMBERS, schema
from clusterlog.store.embedded.raw.ledger import place_of
from clusterlog.store.predicate import read_number, word_patterns, words_of
from clusterlog.store.query import (
    And,
    Everything,
    Exists,
    Match,
    Node,
    Not,
    Or,
    Query,
    Range,
    Value,
    Wildcard,
    fields_of,
)

ANYTHING = r"(?s:.)*"
_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Plan:
    """What the index can say about a condition.

    ``query`` (``None``: every event) finds at least what matches among the events the index is sure of; ``exact``:
    precisely that. ``fields`` are the paths in which an event may be *unsure*.
    """

    query: IndexQuery | None
    exact: bool
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    query: IndexQuery | None
    exact: bool = True


_ALL = _Part(None)
_UNKNOWN = _Part(None, exact=False)
_NOTHING = _Part(IndexQuery.empty_query())


def plan(where: Node, index: tantivy.Index) -> Plan:
    """The plan for ``where``; ``index`` lends its parser, which alone can ask ranges of JSON paths."""
    part = _Planner(index).part(where)
    asked = dict.fromkeys(fields_of(where))
    if _asks_texts(where):
        asked |= dict.fromkeys(TEXT_FIELDS)
    return Plan(part.query, part.exact, (*asked, EVERYTHING))


def _asks_texts(node: Node) -> bool:
    """Whether some condition names no field, which asks every text field."""
    if isinstance(node, And | Or):
        return any(map(_asks_texts, node.parts))
    if isinstance(node, Not):
        return _asks_texts(node.part)
    return isinstance(node, Match | Wildcard) and node.field is None


class _Planner:
    def __init__(self, index: tantivy.Index) -> None:
        self._index = index

    def part(self, node: Node) -> _Part:
        match node:
            case Everything():
                return _ALL
            case And(parts):
                return _and([self.part(each) for each in parts])
            case Or(parts):
                return _or([self.part(each) for each in parts])
            case Not(part):
                return _not(self.part(part))
            case Exists(field):
                return _exists(field)
            case Match(field, value, phrase):
                return _or([_match(name, value, phrase) for name in _asked(field)])
            case Wildcard(field, pattern):
                return _or([_wildcard(name, pattern) for name in _asked(field)])
            case Range():
                return self._range(node)

    def _range(self, node: Range) -> _Part:
        if node.field == "@timestamp":
            return _time_range(node)
        bounds = [node.gt, node.gte, node.lt, node.lte]
        limits = [bound for bound in bounds if bound is not None]
        if not limits:
            return _Part(_exists(node.field).query, exact=False)
        if any(isinstance(limit, bool) for limit in limits):
            return _NOTHING
        if all(not isinstance(limit, str) for limit in limits):
            if node.field in NUMBERS:
                return _integer_range(node)
            if has_numbers(node.field) and node.field not in IDS and node.field not in TEXT_FIELDS:
                return self._number_range(node)
        return _Part(_exists(node.field).query, exact=False)

    def _number_range(self, node: Range) -> _Part:
        """A range over the JSON field of numbers, through the query parser: tantivy's API knows plain fields only.

        Both bounds are one clause, since of an event with several values one must lie within both. tantivy panics
        where they are of different types: then each is asked alone, and the events decide.
        """
        low, high = _tightest(max, node.gt, node.gte), _tightest(min, node.lt, node.lte)
        opening = "{" if low is None or low == node.gt else "["
        closing = "}" if high is None or high == node.lt else "]"
        if low is None or high is None or _are_alike(low, high):
            clauses, exact = [f"{opening}{_decimal(low)} TO {_decimal(high)}{closing}"], True
        else:
            clauses, exact = [f"{opening}{_decimal(low)} TO *}}", f"{{* TO {_decimal(high)}{closing}"], False
        path = f"number.{_escaped(node.field)}"
        try:
            asked = [self._index.parse_query(f"{path}:{clause}") for clause in clauses]
        except ValueError:
            return _Part(_exists(node.field).query, exact=False)
        return _Part(all_of(*asked), exact)


def _tightest(choose: Callable[[Iterable[float]], float], *limits: Value | None) -> float | None:
    numbers = [limit for limit in limits if limit is not None and not isinstance(limit, str)]
    return choose(numbers) if numbers else None


def _are_alike(low: float, high: float) -> bool:
    """Whether tantivy reads both as one type: whole numbers that floats hold as well, or both with a fraction."""
    if low % 1 or high % 1:
        return bool(low % 1 and high % 1)
    return abs(low) <= EXACT_INTEGER and abs(high) <= EXACT_INTEGER


def _asked(field: str | None) -> Sequence[str]:
    return TEXT_FIELDS if field is None else (field,)


def all_of(*queries: IndexQuery) -> IndexQuery:
    """What matches each of the queries."""
    return queries[0] if len(queries) == 1 else IndexQuery.boolean_query([(Occur.Must, each) for each in queries])


def any_of(*queries: IndexQuery) -> IndexQuery:
    """What matches any of the queries."""
    return queries[0] if len(queries) == 1 else IndexQuery.boolean_query([(Occur.Should, each) for each in queries])


def except_for(query: IndexQuery | None, without: IndexQuery) -> IndexQuery:
    """What matches ``query`` (``None``: everything) and not ``without``."""
    return IndexQuery.boolean_query(
        [(Occur.Must, query if query is not None else IndexQuery.all_query()), (Occur.MustNot, without)]
    )


def _and(parts: list[_Part]) -> _Part:
    queries = [part.query for part in parts if part.query is not None]
    return _Part(all_of(*queries) if queries else None, all(part.exact for part in parts))


def _or(parts: list[_Part]) -> _Part:
    if not parts:
        return _NOTHING
    exact = all(part.exact for part in parts)
    queries = [part.query for part in parts if part.query is not None]
    if len(queries) < len(parts):
        return _Part(None, exact or any(part == _ALL for part in parts))
    return _Part(any_of(*queries), exact)


def _not(part: _Part) -> _Part:
    if not part.exact:
        return _UNKNOWN
    if part.query is None:
        return _NOTHING
    return _Part(except_for(None, part.query))


def term(field: str, value: str | int) -> IndexQuery:
    """What has exactly this term in a field of the index."""
    return IndexQuery.term_query(schema(), field, value)


def _leaf(path: str, value: str) -> _Part:
    if len(path) > LONGEST_PATH or SEPARATOR in path or len(value) > LONGEST_VALUE:
        return _NOTHING  # such an event is unsure
    return _Part(term("leaf", f"{path}{SEPARATOR}{value}"))


def _regex(field: str, pattern: str) -> IndexQuery | None:
    """A query by regular expression over terms, ``None`` where tantivy finds the expression too large."""
    try:
        return IndexQuery.regex_query(schema(), field, pattern)
    except ValueError:
        return None


def _literal(value: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else f"\\x{{{ord(letter):x}}}" for letter in value)


def _match(field: str, value: Value, phrase: bool) -> _Part:
    wanted = text(value)
    if field in TEXT_FIELDS:
        return _words(field, wanted, phrase)
    if field == "event.id":
        return _id(wanted)
    if field == "@timestamp":
        at = time_ns(wanted)
        return _NOTHING if at is None else _Part(between(at // 1_000, at // 1_000), exact=False)
    if field in IDS:
        return _NOTHING if len(wanted) > LONGEST_VALUE else _Part(term(field, wanted))
    if field in NUMBERS:
        number = read_number(wanted)
        if not isinstance(number, int) or text(number) != wanted or not -_INT64 <= number < _INT64:
            return _NOTHING
        return _Part(IndexQuery.range_query(schema(), field, FieldType.Integer, number, number))
    return _leaf(field, wanted)


def _words(field: str, wanted: str, phrase: bool) -> _Part:
    asked = list(words_of(wanted))
    if not asked or any(len(word.encode(errors="replace")) > LONGEST_WORD for word in asked):
        return _NOTHING  # an event with such a word is unsure
    if phrase and len(asked) > 1:
        return _Part(IndexQuery.phrase_query(schema(), field, list(asked)))
    return _Part(all_of(*[term(field, word) for word in dict.fromkeys(asked)]))


def _id(wanted: str) -> _Part:
    place = place_of(wanted)
    if place is None:
        return _leaf("event.id", wanted)
    instance, sequence = place
    dense = all_of(
        term("process.entity_id", instance.hex()),
        IndexQuery.range_query(schema(), "event.sequence", FieldType.Integer, sequence, sequence),
    )
    return _Part(any_of(dense, term("leaf", id_token(wanted))))


def _exists(path: str) -> _Part:
    if path in ("@timestamp", "event", "event.id"):
        return _ALL
    known = (*IDS, *NUMBERS, *TEXT_FIELDS)
    found = [_exists_known(name) for name in known if name == path or name.startswith(path + ".")]
    if len(path) <= LONGEST_PATH and SEPARATOR not in path:
        found.append(IndexQuery.regex_query(schema(), "leaf", f"{_literal(path)}({_literal(SEPARATOR)}|\\.){ANYTHING}"))
    return _Part(any_of(*found)) if found else _NOTHING


def _exists_known(name: str) -> IndexQuery:
    if name in NUMBERS:
        return IndexQuery.exists_query(name)
    some = IndexQuery.regex_query(schema(), name, ANYTHING)
    return any_of(some, term("leaf", name + SEPARATOR)) if name in TEXT_FIELDS else some


def _wildcard(field: str, pattern: tuple[str, ...]) -> _Part:
    if not any(pattern):
        return _exists(field)
    if len(pattern) == 1 and field not in TEXT_FIELDS:
        return _match(field, pattern[0], False)
    if field in TEXT_FIELDS:
        asked = word_patterns(pattern)
        return _and([_pattern(field, "", one) for one in asked]) if asked else _NOTHING
    if field == "event.id" or field == "@timestamp":
        return _UNKNOWN
    if field in NUMBERS:
        return _Part(_exists(field).query, exact=False)
    if field in IDS:
        return _pattern(field, "", pattern)
    if len(field) > LONGEST_PATH or SEPARATOR in field:
        return _NOTHING
    return _pattern("leaf", field + SEPARATOR, pattern)


def _pattern(field: str, before: str, pattern: tuple[str, ...]) -> _Part:
    query = _regex(field, _literal(before) + ANYTHING.join(map(_literal, pattern)))
    return _UNKNOWN if query is None else _Part(query)


def _integer_range(node: Range) -> _Part:
    low, high = -_INT64, _INT64 - 1
    for limit in (node.gt, node.gte, node.lt, node.lte):
        if isinstance(limit, float) and not math.isfinite(limit):
            return _Part(_exists(node.field).query, exact=False)
    if node.gt is not None:
        low = max(low, math.floor(node.gt) + 1)  # type: ignore[arg-type]
    if node.gte is not None:
        low = max(low, math.ceil(node.gte))  # type: ignore[arg-type]
    if node.lt is not None:
        high = min(high, math.ceil(node.lt) - 1)  # type: ignore[arg-type]
    if node.lte is not None:
        high = min(high, math.floor(node.lte))  # type: ignore[arg-type]
    if low > high:
        return _NOTHING
    return _Part(IndexQuery.range_query(schema(), node.field, FieldType.Integer, low, high))


def _time_range(node: Range) -> _Part:
    since = until = None
    for limit, shift, lower in ((node.gt, 1, True), (node.gte, 0, True), (node.lt, 0, False), (node.lte, 1, False)):
        if limit is None:
            continue
        at = time_ns(limit) if isinstance(limit, str) else None
        if at is None:
            return _UNKNOWN if isinstance(limit, str) else _NOTHING
        if lower:
            since = at + shift if since is None else max(since, at + shift)
        else:
            until = at + shift if until is None else min(until, at + shift)
    window = Window.of(since, until)
    return _Part(window.query(), exact=not window.edges)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time as the index knows it, in whole microseconds, both ends inclusive.

    ``edges`` are the microseconds that lie only partly inside; events there are judged by their nanoseconds.
    """

    low: int | None
    high: int | None
    edges: tuple[int, ...]

    @classmethod
    def of(cls, since: int | None, until: int | None) -> Window:
        """The window of ``since`` (inclusive) to ``until`` (exclusive), nanoseconds."""
        low = None if since is None else since // 1_000
        high = None if until is None else (until - 1) // 1_000
        edges = []
        if since is not None and since % 1_000:
            edges.append(since // 1_000)
        if until is not None and until % 1_000:
            edges.append(until // 1_000)
        return cls(low, high, tuple(edges))

    def behind(self, query: Query) -> Window:
        """The part of it where the events behind ``query.after`` are; that event's own microsecond is inside."""
        if query.after is None:
            return self
        at = query.after[0] // 1_000
        if query.order == "newest":
            return Window(self.low, at if self.high is None else min(at, self.high), self.edges)
        return Window(at if self.low is None else max(at, self.low), self.high, self.edges)

    def within(self, low: int, high: int) -> Window:
        """The part of it between two microseconds."""
        return Window(
            low if self.low is None else max(low, self.low),
            high if self.high is None else min(high, self.high),
            self.edges,
        )

    def holds(self, low: int, high: int) -> bool:
        """Whether all of ``low`` to ``high`` lies inside, edges aside."""
        return (
            (self.low is None or self.low <= low)
            and (self.high is None or high <= self.high)
            and not any(low <= edge <= high for edge in self.edges)
        )

    def meets(self, low: int, high: int) -> bool:
        """Whether any of ``low`` to ``high`` lies inside."""
        return (self.low is None or self.low <= high) and (self.high is None or low <= self.high)

    def query(self) -> IndexQuery | None:
        """Events found inside, edges included; ``None`` for all."""
        return None if self.low is None and self.high is None else between(self.low, self.high)

    def edge_query(self) -> IndexQuery | None:
        """Events found in the edges; ``None`` where there are none."""
        return any_of(*[between(edge, edge) for edge in self.edges]) if self.edges else None


def between(low: int | None, high: int | None) -> IndexQuery:
    """Events found between two microseconds, both inclusive."""
    low = -_INT64 if low is None else max(-_INT64, min(low, _INT64 - 1))
    high = _INT64 - 1 if high is None else max(-_INT64, min(high, _INT64 - 1))
    if low > high:
        return IndexQuery.empty_query()
    return IndexQuery.range_query(schema(), "ts", FieldType.Integer, low, high)


def _escaped(path: str) -> str:
    return path.replace("-", "\\-")


def _decimal(number: float | None) -> str:
    return "*" if number is None else repr(number)
