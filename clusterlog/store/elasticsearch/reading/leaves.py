"""One condition on one field as clauses, by how the field is mapped.

Values are compared by their text (``store.document``), and a server keeps the spelling of a number where a field holds
texts and its value where it holds numbers. What a field could not take is not indexed; its name then stands in the
document's ``_ignored``, and the event is judged by itself.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from clusterlog.encode.compact import dumps
from clusterlog.store.document import TEXT_FIELDS, text, time_ns, words
from clusterlog.store.elasticsearch.reading import spans
from clusterlog.store.elasticsearch.reading.clauses import (
    NONE,
    NOTHING,
    UNKNOWN,
    Clause,
    Part,
    all_of,
    any_of,
    both,
    either,
    exactly,
    ignored,
    perhaps,
)
from clusterlog.store.elasticsearch.reading.mapping import Mapped, Mapping
from clusterlog.store.elasticsearch.reading.words import LONGEST_WORD, patterns, together
from clusterlog.store.predicate import read_number, word_patterns, words_of
from clusterlog.store.query import Exists, Match, Range, Wildcard

SHORTEST_LIMIT = 256
"""No template limits the length of values (``ignore_above``) to less than that of a field without one."""
_INT64 = 1 << 63
_EXACT = 1 << 53
_DECIMAL = (1e-3, 1e7)
_LIKE_A_NUMBER = re.compile(r"[0-9eE.+-]*")
_PIECES, _PIECE = 16, 64
"""How much of a pattern a server is given: of longer ones it makes automatons without end, and refuses them."""

Leaf = Match | Wildcard | Range | Exists


def leaf(node: Leaf, mapping: Mapping) -> Part:
    """The clauses of a condition that has no others in it."""
    if node.field is None:
        return either(_on(name, node, mapping) for name in TEXT_FIELDS)
    return _on(node.field, node, mapping)


def _on(name: str, node: Leaf, mapping: Mapping) -> Part:
    if "*" in name:  # a server would take it for a pattern of names
        return UNKNOWN
    mapped = mapping.of(name)
    if not mapped:
        return perhaps(ignored(name, below=isinstance(node, Exists)))
    return either(_guarded(each, _asked(each, node, mapping)) for each in mapped)


def _guarded(mapped: Mapped, part: Part) -> Part:
    """Only where the field is mapped so: elsewhere the same clause may be an error."""
    if not mapped.indices:
        return part
    within = exactly({"terms": {"_index": list(mapped.indices)}})
    return both((within, part))


def _asked(mapped: Mapped, node: Leaf, mapping: Mapping) -> Part:
    if not mapped.asked:
        return UNKNOWN
    if mapped.family in ("flat", "object") and not isinstance(node, Exists):
        return NOTHING  # an object is no value
    match node:
        case Match():
            return _match(mapped, text(node.value), node.phrase, mapping)
        case Wildcard():
            return _wildcard(mapped, node.pattern, mapping)
        case Exists():
            return exists(mapped)
        case Range():
            return spans.within(mapped, node, perhaps(exists(mapped).maybe))


def exists(mapped: Mapped) -> Part:
    """Whether a field has a value; one that is no object may have one that is not indexed."""
    there: Clause = {"exists": {"field": mapped.field}}
    if mapped.family == "flat_key":
        return exactly(there)
    return Part(any_of((there, ignored(mapped.field, below=mapped.family == "object"))), there)


# equality


def _match(mapped: Mapped, wanted: str, phrase: bool, mapping: Mapping) -> Part:
    if mapped.field in TEXT_FIELDS:
        return _words(mapped, wanted, phrase, mapping)
    match mapped.family:
        case "keyword" | "flat_key":
            return _equal(mapped, mapped.field, wanted)
        case "text":
            exact = mapping.beside(mapped.field, "keyword", "keyword")
            if exact:
                return _equal(mapped, exact, wanted)
            return perhaps({"match_phrase": {mapped.field: {"query": wanted}}} if words(wanted) else _there(mapped))
        case "whole":
            return _whole(mapped, wanted)
        case "float":
            return _float(mapped, wanted)
        case "boolean" if wanted in ("true", "false"):
            return exactly({"term": {mapped.field: wanted == "true"}})
        case "boolean":
            return perhaps(any_of(({"term": {mapped.field: False}}, ignored(mapped.field))))  # "" is false there
        case "nanos" | "date":
            return _moment(mapped, wanted)
        case "ip":
            return perhaps({"term": {mapped.field: wanted}} if _is_address(wanted) else ignored(mapped.field))
        case _:
            return perhaps(_there(mapped))


def _there(mapped: Mapped) -> Clause:
    return exists(mapped).maybe


def _equal(mapped: Mapped, name: str, wanted: str) -> Part:
    spelled = _spellings(wanted)
    maybe = any_of({"term": {name: each}} for each in spelled)
    if len(wanted) > SHORTEST_LIMIT and mapped.family != "flat_key":
        maybe = any_of((maybe, ignored(mapped.field), ignored(name)))
        if mapped.family == "text" and words(wanted):  # not every server says what it has left out for its length
            maybe = any_of((maybe, {"match_phrase": {mapped.field: {"query": wanted}}}))
    number = read_number(wanted)
    sure = {"term": {name: wanted}} if number is None or text(number) == wanted else NONE
    return Part(maybe, sure)


def _spellings(wanted: str) -> Sequence[str]:
    """How a value whose text is ``wanted`` may have been written: a number as JSON may write it, or a server."""
    number = read_number(wanted)
    if number is None:
        return (wanted,)
    found = [wanted]
    if isinstance(number, int) and abs(number) < _EXACT:
        found += [f"{number}.0", of_java(float(number))] if number else ["0.0", "-0.0", "-0"]
    elif isinstance(number, float):
        found += [repr(number), dumps(number).decode(), of_java(number)]
    return tuple(dict.fromkeys(found))


def of_java(number: float) -> str:
    """As ``Double.toString`` of Java writes it, and so a flattened field: ``1.25E7`` from ten million on."""
    if not number or _DECIMAL[0] <= abs(number) < _DECIMAL[1] or not math.isfinite(number):
        return repr(number)
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    first, *rest = map(str, digits)
    return f"{'-' * sign}{first}.{''.join(rest) or '0'}E{int(exponent) + len(rest)}"


def _whole(mapped: Mapped, wanted: str) -> Part:
    number = read_number(wanted)
    if number is None or not -_INT64 <= number < _INT64:
        return perhaps(ignored(mapped.field))
    found: Clause = {"term": {mapped.field: int(number)}}  # a server cuts fractions off
    return exactly(found) if text(number) == wanted and isinstance(number, int) else perhaps(found)


def _float(mapped: Mapped, wanted: str) -> Part:
    number = read_number(wanted)
    if number is None or abs(number) >= 1e300:
        return perhaps(ignored(mapped.field))
    found: Clause = {"term": {mapped.field: float(number)}}
    is_exact = mapped.exact and text(number) == wanted and abs(number) < _EXACT
    return exactly(found) if is_exact else perhaps(found)


def _moment(mapped: Mapped, wanted: str) -> Part:
    """A time is compared by its text, and a server only knows when it was."""
    at = time_ns(wanted)
    if at is not None:
        return perhaps(spans.times(mapped, at, at + 1).maybe)
    return perhaps(_there(mapped) if read_number(wanted) is not None else ignored(mapped.field))


def _is_address(wanted: str) -> bool:
    try:
        return bool(ipaddress.ip_address(wanted))
    except ValueError:
        return False


def _words(mapped: Mapped, wanted: str, phrase: bool, mapping: Mapping) -> Part:
    asked = words_of(wanted)
    if not asked:
        return NOTHING
    name = mapped.field if mapped.family == "text" else mapping.beside(mapped.field, "text", "text")
    if not name:
        return _by_pieces(mapped, ((word,) for word in asked))
    return together(name, asked, phrase=phrase)


# patterns


def _wildcard(mapped: Mapped, pattern: tuple[str, ...], mapping: Mapping) -> Part:
    if not any(pattern):
        return exists(mapped)
    if mapped.field in TEXT_FIELDS:
        return _word_patterns(mapped, pattern, mapping)
    if len(pattern) == 1:
        return _match(mapped, pattern[0], False, mapping)
    name = mapped.field
    match mapped.family:
        case "flat_key" if not mapped.patterns:
            found = all_of((_begins(name, pattern[0]), _fits(mapped.whole, pattern, spelled=True).maybe))
            if all(map(_LIKE_A_NUMBER.fullmatch, pattern)):  # 25000000.5 is kept as 2.50000005E7
                large = {"wildcard": {mapped.whole: {"value": "*.*E*"}}}
                found = any_of((found, all_of(({"exists": {"field": name}}, large))))
            return perhaps(found)
        case "flat_key":
            return perhaps(_fits(name, pattern, spelled=True).maybe)
        case "text":
            name = mapping.beside(name, "keyword", "keyword")
            if not name:
                return perhaps(_there(mapped))
        case "keyword":
            pass
        case _:
            return perhaps(_there(mapped))
    fitting = _fits(name, pattern)
    return Part(any_of((fitting.maybe, *map(ignored, dict.fromkeys((mapped.field, name))))), fitting.sure)


def _begins(name: str, first: str) -> Clause:
    return {"prefix": {name: first}} if first else {"exists": {"field": name}}


def _fits(name: str, pattern: tuple[str, ...], *, spelled: bool = False) -> Part:
    """A pattern over whole values; with ``spelled`` also ``5.0`` where ``5`` would fit, as a number is kept there."""
    given = _bounded(pattern)
    found: Clause = {"wildcard": {name: {"value": _written(given)}}}
    if spelled and given[-1][-1:].isdigit():
        return perhaps(any_of((found, {"wildcard": {name: {"value": _written(given) + ".0"}}})))
    return exactly(found) if given == pattern else perhaps(found)


def _bounded(pattern: tuple[str, ...]) -> tuple[str, ...]:
    """The pattern, or of a very long one a shorter one that fits whatever the long one fits."""
    pieces: list[str] = []
    for piece in pattern[: _PIECES - 1] if len(pattern) > _PIECES else pattern[:-1]:
        pieces += (piece[:_PIECE], "") if len(piece) > _PIECE else (piece,)
    last = pattern[-1]
    return (*pieces, *(("", last[-_PIECE:]) if len(last) > _PIECE else (last,)))


def _written(pattern: tuple[str, ...]) -> str:
    return "*".join("".join(f"\\{letter}" if letter in "\\*?" else letter for letter in piece) for piece in pattern)


def _by_pieces(mapped: Mapped, words: Iterable[tuple[str, ...]]) -> Part:
    """Words where no words are indexed: what has all their pieces in it, or may have."""
    if mapped.family != "keyword":
        return perhaps(_there(mapped))
    inside = all_of(_anywhere(mapped.field, ("", *pieces, "")) for pieces in words)
    return perhaps(any_of((inside, ignored(mapped.field))))


def _word_patterns(mapped: Mapped, pattern: tuple[str, ...], mapping: Mapping) -> Part:
    asked = word_patterns(pattern)
    if not asked:
        return NOTHING
    name = mapped.field if mapped.family == "text" else mapping.beside(mapped.field, "text", "text")
    if not name:
        return _by_pieces(mapped, asked)
    if any(sum(map(len, one)) > LONGEST_WORD for one in asked):
        return perhaps(_there(mapped))
    return patterns(name, asked, _fits)


def _anywhere(name: str, pattern: tuple[str, ...]) -> Clause:
    """A pattern in any case; only that of ASCII is left aside by a server, so other letters may be anything."""
    given = tuple("".join(letter if letter.isascii() else "\0" for letter in piece) for piece in _bounded(pattern))
    value = _written(given).replace("\0", "*")
    return {"wildcard": {name: {"value": value, "case_insensitive": True}}}
