r"""The query language: a subset of KQL, read into a query as data.

The subset is Kibana's language without nested queries and without wildcards in field names, so that text can be pasted
both ways: ``field: value``, ``field: (a or not b)``, ``field: *`` (exists), ``field >= 5``, ``"a phrase"``, ``time*``,
bare words (on the text fields), ``and``, ``or``, ``not`` in any case, and parentheses. Several words are one value, as
in Kibana. Escapes are ``\t \r \n \uXXXX`` and ``\`` before any of ``\ ( ) : < > " * { }`` and ``and``, ``or``, ``not``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from clusterlog.errors import MissingExtra, QueryError
from clusterlog.search import instant
from clusterlog.search.language import fields
from clusterlog.store.query import And, Everything, Exists, Match, Node, Not, Or, Range, Value, Wildcard

if TYPE_CHECKING:
    from lark import Lark, Token, Tree
    from lark.exceptions import UnexpectedInput

LONGEST = 100_000
"""Characters a query may have."""

DEEPEST = 50
"""How deep parentheses may be nested."""

_GRAMMAR = r"""
?start: any
?any: all (_OR all)*
?all: negation (_AND negation)*
?negation: _NOT condition -> negated | condition
?condition: _OPEN any _CLOSE
    | field _COLON value_list -> matches
    | field COMPARE literal -> compares
    | value -> bare
?value_list: value | _OPEN value_any _CLOSE
?value_any: value_all (_OR value_all)* -> any
?value_all: value_not (_AND value_not)* -> all
?value_not: _NOT value_one -> negated | value_one
?value_one: value | _OPEN value_any _CLOSE
field: WORD | QUOTED
literal: WORD | QUOTED
value: WORD+ | QUOTED

_OR.2: /or(?![^\s():<>"{}])/i
_AND.2: /and(?![^\s():<>"{}])/i
_NOT.2: /not(?![^\s():<>"{}])/i
WORD: /(?:[^\s\\():<>"{}]|\\(?:u[0-9a-f]{4}|and|or|not|[trn\\():<>"*{}]))+/i
QUOTED: /"(?:[^"\\]|\\.)*"/s
COMPARE: />=|<=|>|</
_COLON: ":"
_OPEN: "("
_CLOSE: ")"
%ignore /\s+/
"""

_ESCAPE = re.compile(
    r"\\(?:u([0-9a-f]{4})|(and|or|not)(?![^\s():<>\"{}])|([trn\\():<>\"*{}]))", re.IGNORECASE
)  # what is not matched is what it is
_STAR = re.compile(r"((?:[^*\\]|\\.)*)(\*+|$)", re.DOTALL)  # a run up to unescaped stars
_CONTROLS = {"t": "\t", "r": "\r", "n": "\n"}
_NUMBER = re.compile(r"[+-]?\d+(?:(\.\d+)?([eE][+-]?\d+)?)", re.ASCII)
_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def parse(text: str, *, metrics: frozenset[str] = frozenset()) -> Node:
    """What a query asks for, with ECS names.

    ``metrics`` are the names of the setting of that name: a range on ``labels.x`` is asked of ``clusterlog.metrics.x``.
    Values are numbers on number fields, canonical UTC times on time fields, lower case on ``log.level``, text
    elsewhere; ``phrase`` is only ever set on text fields. No text asks for everything.

    Raises ``QueryError`` for every text that is not such a query, ``MissingExtra`` without lark.
    """
    if len(text) > LONGEST:
        raise QueryError(f"the query has {len(text)} characters: at most {LONGEST} are read", text, LONGEST)
    for found in re.finditer("[\ud800-\udfff]", text):
        raise QueryError("half a surrogate pair is not a character: no event holds it", text, found.start())
    if not text.strip():
        return Everything()
    return _Reading(text, metrics).node(_tree(text))


def _tree(text: str) -> Tree[Token]:
    parser = _parser()
    from lark.exceptions import UnexpectedInput

    state = parser.parse_interactive(text)
    read: list[Token] = []
    depth = 0
    try:
        for token in state.iter_parse():
            depth += (token.type == "_OPEN") - (token.type == "_CLOSE")
            if depth > DEEPEST:
                raise QueryError(f"parentheses are nested deeper than {DEEPEST}: take some away", text, _start(token))
            read.append(token)
        tree: Tree[Token] = state.feed_eof(read[-1])  # type: ignore[no-untyped-call]
    except UnexpectedInput as trouble:
        _refuse(text, read, trouble)
    return tree


@cache
def _parser() -> Lark:
    try:
        from lark import Lark
    except ImportError:
        raise MissingExtra("the query language", "server") from None
    return Lark(_GRAMMAR, parser="lalr", lexer="basic", maybe_placeholders=False)


def _refuse(text: str, read: Sequence[Token], trouble: UnexpectedInput) -> NoReturn:
    """Raise a ``QueryError`` that says where reading stopped and what could have stood there."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    if isinstance(trouble, UnexpectedCharacters):
        where: Any = trouble.pos_in_stream  # lark declares it as None and sets a number
        _refuse_character(text, where)
    assert isinstance(trouble, UnexpectedToken)
    token = trouble.token
    wanted = _accepted_after(read if token.type == "$END" else read[:-1])
    if token.type == "$END":
        raise QueryError(f"the query ends where {_words(wanted)} is expected", text, len(text.rstrip()))
    before = read[-2] if len(read) > 1 else token
    if token.type in ("_COLON", "COMPARE") and "_AND" in wanted:
        message = f'put "and" or "or" before {_cut(before)}, or quotes around a value that contains "{token}"'
        raise QueryError(message, text, _start(before), _end(before) - _start(before))
    if token.type == "COMPARE" and before.type == "_COLON":
        raise QueryError(f"leave out the colon: a range is written field {token} 5", text, _start(before))
    message = f"expected {_words(wanted)}, found {_cut(token)}"
    raise QueryError(message, text, _start(token), _end(token) - _start(token))


def _refuse_character(text: str, position: int) -> NoReturn:
    character = text[position]
    if character == '"':
        raise QueryError("the quote that begins here has no end", text, position, len(text) - position)
    if character == "\\":
        after = ascii(text[position + 1]) if position + 1 < len(text) else "the end"
        raise QueryError(rf"a backslash before {after} means nothing: write \\ for a backslash", text, position, 2)
    raise QueryError(rf"nested queries are not understood: write \{character} for the character", text, position)


def _accepted_after(read: Sequence[Token]) -> set[str]:
    """The terminals that may follow. Read again, because the parser that refused a token has moved on meanwhile."""
    state = _parser().parse_interactive("")
    for token in read:
        state.feed_token(token)
    accepted: set[str] = state.accepts()  # type: ignore[no-untyped-call]
    return accepted


def _words(wanted: set[str]) -> str:
    """What may stand at a place, for people, from the terminals the parser takes there."""
    words = []
    if "WORD" in wanted and "_AND" not in wanted:
        words.append("a condition" if "_NOT" in wanted else 'a value or "("' if "_OPEN" in wanted else "a value")
    if "_AND" in wanted:
        words.append('"and", "or"')
    if "_CLOSE" in wanted:
        words.append('")"')
    if "$END" in wanted:
        words.append("the end")
    return " or ".join(words)


def _cut(token: Token) -> str:
    shown = str(token) if len(token) <= 40 else f"{token[:37]}..."
    return shown if token.type == "QUOTED" else f'"{shown}"'


def _start(token: Token) -> int:
    return token.start_pos or 0


def _end(token: Token) -> int:
    return token.end_pos or 0


@dataclass(frozen=True, slots=True)
class _Literal:
    """One word or quoted text: what stands between its wildcards, and where it was written."""

    pieces: tuple[str, ...]
    quoted: bool
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.pieces[0]

    @property
    def wild(self) -> bool:
        return len(self.pieces) > 1


def _literal(token: Token) -> _Literal:
    written = str(token)
    quoted = token.type == "QUOTED"
    if quoted:
        pieces = [re.sub(r'\\(?:u([0-9a-fA-F]{4})()|([trn\\"]))', _unescaped, written[1:-1])]
    else:
        pieces = [_ESCAPE.sub(_unescaped, piece) for piece in _split_at_stars(written)]
    return _Literal(tuple(map(_joined_surrogates, pieces)), quoted, _start(token), _end(token))


def _split_at_stars(written: str) -> list[str]:
    pieces, position = [], 0
    while True:
        found = _STAR.match(written, position)
        assert found is not None
        pieces.append(found[1])
        if not found[2]:
            return pieces
        position = found.end()


def _unescaped(found: re.Match[str]) -> str:
    code, keyword, character = found.groups()
    if code:
        return chr(int(code, 16))
    return keyword or _CONTROLS.get(character, character)


def _joined_surrogates(text: str) -> str:
    r"""Two ``\uXXXX`` that make one character, as in JSON and in Kibana."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


class _Reading:
    """Turns the tree of one query into nodes."""

    def __init__(self, text: str, metrics: frozenset[str]) -> None:
        self.query = text
        self.metrics = metrics

    def node(self, tree: Tree[Token]) -> Node:
        match tree.data:
            case "matches":
                return self.matches(*tree.children)
            case "compares":
                return self.compares(tree)
            case "bare":
                return self.matching(None, self.literals(tree.children[0]))
        return self.combined(tree, self.node)

    def combined(self, tree: Any, inner: Callable[[Any], Node]) -> Node:
        parts = tuple(inner(child) for child in tree.children)
        if tree.data == "negated":
            return Not(parts[0])
        if len(parts) == 1:
            return parts[0]
        return And(parts) if tree.data == "all" else Or(parts)

    def matches(self, name: Any, values: Any) -> Node:
        written = self.literal(name.children[0])
        if written.pieces == ("", "") and self.is_star(values):
            return Everything()
        field = self.field(written)
        return self.values(field, values)

    def values(self, field: str, tree: Any) -> Node:
        if tree.data == "value":
            return self.matching(field, self.literals(tree))
        return self.combined(tree, lambda child: self.values(field, child))

    def is_star(self, tree: Any) -> bool:
        return tree.data == "value" and [literal.pieces for literal in self.literals(tree)] == [("", "")]

    def literals(self, tree: Any) -> list[_Literal]:
        return [self.literal(token) for token in tree.children]

    def literal(self, token: Token) -> _Literal:
        literal = _literal(token)
        if any("\ud800" <= character <= "\udfff" for piece in literal.pieces for character in piece):
            self.refuse("half a surrogate pair is not a character: no event holds it", literal)
        return literal

    def field(self, written: _Literal) -> str:
        name = "*".join(written.pieces)
        field = None if written.wild else fields.resolved(name)
        if field is None:
            self.refuse(fields.unknown(name if len(name) <= 60 else f"{name[:57]}..."), written)
        return field

    def refuse(self, message: str, at: _Literal) -> NoReturn:
        raise QueryError(message, self.query, at.start, max(1, at.end - at.start))

    def matching(self, field: str | None, words: list[_Literal]) -> Node:
        """``field: words``; ``field=None`` for words that stand alone."""
        if len(words) == 1 and words[0].pieces == ("", ""):
            return Everything() if field is None else Exists(field)
        kind = "text" if field is None else fields.kind_of(field)
        if kind == "text":
            return self.text(field, words)
        assert field is not None
        whole = _one(words)
        if kind == "number":
            return Match(field, self.number(field, whole))
        if kind == "time":
            return self.at_time(field, whole)
        pieces = tuple(piece.lower() for piece in whole.pieces) if kind == "level" else whole.pieces
        return Wildcard(field, pieces) if whole.wild else Match(field, pieces[0])

    def text(self, field: str | None, words: list[_Literal]) -> Node:
        """On text a wildcard is about one word, so each word that has one is a condition of its own."""
        if words[0].quoted:
            return Match(field, words[0].text, phrase=True)
        parts: list[Node] = []
        plain = [word.text for word in words if not word.wild]
        if plain:
            parts.append(Match(field, " ".join(plain)))
        for word in words:
            if word.pieces == ("", ""):
                self.refuse('"*" among words matches nothing more: leave it out', word)
            if word.wild:
                parts.append(Wildcard(field, word.pieces))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def number(self, field: str, at: _Literal) -> int | float:
        if at.wild:
            self.refuse(f"{field} is a number: write a range, such as {field} >= 500, or * for any", at)
        value = number(at.text)
        if value is None:
            self.refuse(f"{field} is a number of at most 64 bits: one number is expected here", at)
        return value

    def at_time(self, field: str, at: _Literal) -> Node:
        if not at.wild and (whole_day := instant.day(at.text)) is not None:
            first, last = map(instant.rfc3339, whole_day)
            return And((Range(field, gte=first), Range(field, lte=last)))
        return Match(field, self.time(field, at, last=False))

    def time(self, field: str, at: _Literal, *, last: bool) -> str:
        """A time in its canonical form; a date is its first moment or, as for Elasticsearch, its ``last``."""
        whole_day = None if at.wild else instant.day(at.text)
        ns = whole_day[last] if whole_day else instant.instant(at.text)
        if at.wild or ns is None:
            form = '"2026-11-03T12:00:00Z" or 2026-11-03'
            self.refuse(f"{field} is a time: write {form}; for times before now there is --since", at)
        try:
            return instant.rfc3339(ns)
        except OverflowError:
            self.refuse(f"{field} is a time between the years 1 and 9999", at)

    def compares(self, tree: Any) -> Node:
        """``field >= value``."""
        name, operator = self.literal(tree.children[0].children[0]), str(tree.children[1])
        at = self.literal(tree.children[2].children[0])
        field = self.field(name)
        if at.wild:
            self.refuse("a range has no wildcards: one value is expected here", at)
        kind = fields.kind_of(field)
        if kind == "label":
            field, kind = self.metric(field, name), "number"
        if kind in ("text", "level"):
            which = "text" if kind == "text" else "a word"
            self.refuse(f"{field} is {which} and has no order: list what you mean, {field}: (a or b)", name)
        return _ranged(field, operator, self.bound(field, kind, operator, at))

    def bound(self, field: str, kind: fields.Kind, operator: str, at: _Literal) -> Value:
        if kind == "number":
            return self.number(field, at)
        if kind == "time":
            return self.time(field, at, last=operator in (">", "<="))
        value = None if at.quoted or fields.is_known(field) else number(at.text)
        return at.text if value is None else value

    def metric(self, field: str, at: _Literal) -> str:
        name = field.removeprefix("labels.")
        if name not in self.metrics:
            self.refuse(f'{field} is kept as text, without order: add "{name}" to the setting metrics for ranges', at)
        return f"clusterlog.metrics.{name}"


def _one(words: list[_Literal]) -> _Literal:
    """Several words as the one value they are on a field that is not text."""
    pieces = [*words[0].pieces]
    for word in words[1:]:
        pieces[-1] += f" {word.pieces[0]}"
        pieces += word.pieces[1:]
    return _Literal(tuple(pieces), words[0].quoted, words[0].start, words[-1].end)


def _ranged(field: str, operator: str, value: Value) -> Range:
    bound: dict[str, Value] = {_BOUNDS[operator]: value}
    return Range(field, **bound)


def number(text: str) -> int | float | None:
    """The number a text writes, within 64 bits and finite; else ``None``."""
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > 400:
        return None
    if found[1] is None and found[2] is None:
        whole = int(text)
        return whole if -(1 << 63) <= whole < 1 << 64 else None
    value = float(text)
    return value if math.isfinite(value) else None
