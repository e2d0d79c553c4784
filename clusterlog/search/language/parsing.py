r"""The query language: a subset of KQL, read into a query as data.

The subset is Kibana's language without nested queries and without wildcards in field names, so that text can be pasted
both ways: ``field: value``, ``field: (a or not b)``, ``field: *`` (exists), ``field >= 5``, ``"a phrase"``, ``time*``,
bare words (on the text fields), ``and``, ``or``, ``not`` in any case, and parentheses. Several words are one value, as
in Kibana. Escapes are ``\t \r \n \uXXXX`` and ``\`` before any of ``\ ( ) : < > " * { }`` and ``and``, ``or``, ``not``.

Short names and what else is ours (``since: 15m``, ``level >= warning``, ``dur > 500ms``, ``has: exception``) become
conditions that Kibana knows. All of it by examples: docs/queries.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from clusterlog.errors import MissingExtra, QueryError
from clusterlog.search.language.reading import Reading
from clusterlog.store.query import Everything, Node

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


def parse(text: str, *, metrics: frozenset[str] = frozenset(), now_ns: int | None = None) -> Node:
    """What a query asks for, with ECS names.

    ``metrics`` are the names of the setting of that name: a range on ``labels.x`` is asked of ``clusterlog.metrics.x``.
    ``now_ns`` is what ``since: 15m`` counts from, in nanoseconds since the epoch; without it, this machine's clock.
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
    return Reading(text, metrics, now_ns).node(_tree(text))


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
