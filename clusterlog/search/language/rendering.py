"""A query as data, written as text that ``language.parse`` and Kibana read as the same query."""

from __future__ import annotations

import re
from collections.abc import Sequence

from clusterlog.search.language import fields
from clusterlog.search.language.literals import number
from clusterlog.store.query import And, Exists, Match, Node, Not, Or, Range, Value, Wildcard

_PLAIN = re.compile(r"[^\s\\():<>\"{}*\x00-\x1f\x7f-\x9f]+")
_KEYWORD = re.compile(r"and|or|not", re.IGNORECASE)
_SPECIAL = frozenset('\\():<>"*{}')
# Controls, marks of direction, characters without width: text whose look would not tell what it asks for.
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
_HIDDEN = re.compile(f"[{_UNSEEN}]")
_TO_ESCAPE = re.compile(rf"[\\():<>\"*{{}}\s{_UNSEEN}]")
_LONE_SPACE = re.compile(r"(?<=\S) (?=\S)")


def render(node: Node) -> str:
    """The query as text with ECS names.

    What one text cannot tell apart comes back in its one form: ``And`` and ``Or`` of one part as the part, of none as
    ``Everything`` and its ``Not``; a ``Range`` with several bounds as an ``And``, with none as ``Exists``; runs of
    ``*`` as one, and nothing but ``*`` as ``Exists``; values as the type of their field; ``phrase`` only on text
    fields, and set for an empty text. Conditions that no text gives, such as words on a number field, are written as
    they are.
    """
    return _rendered(node)[0]


def _rendered(node: Node) -> tuple[str, int]:
    """Text and how tightly it binds: 0 ``or``, 1 ``and``, 2 ``not``, 3 a condition."""
    match node:
        case And(parts):
            return _combined(parts, " and ", 1) if parts else ("*", 3)
        case Or(parts):
            return _combined(parts, " or ", 0) if parts else ("not *", 2)
        case Not(part):
            return f"not {_enclosed(part, 3)}", 2
        case Range():
            return _range(node)
        case Match(field, value, phrase):
            return _asked_of(field) + _value(field, value, phrase), 3
        case Wildcard(field, pattern):
            return _asked_of(field) + _pattern(field, pattern), 3
        case Exists(field):
            return f"{_asked_of(field)}*", 3
    return "*", 3


def _combined(parts: Sequence[Node], word: str, binding: int) -> tuple[str, int]:
    if len(parts) == 1:
        return _rendered(parts[0])
    return word.join(_enclosed(part, binding + 1) for part in parts), binding


def _enclosed(part: Node, binding: int) -> str:
    text, own = _rendered(part)
    return text if own >= binding else f"({text})"


def _range(node: Range) -> tuple[str, int]:
    bounds = ((">", node.gt), (">=", node.gte), ("<", node.lt), ("<=", node.lte))
    name = _name(node.field)
    texts = [f"{name} {operator} {_bound(node.field, value)}" for operator, value in bounds if value is not None]
    if not texts:
        return f"{name}: *", 3
    return " and ".join(texts), 1 if len(texts) > 1 else 3


def _bound(field: str, value: Value) -> str:
    """On a field of unknown type quotes tell text from a number."""
    if isinstance(value, str) and not fields.is_known(field) and number(value) is not None:
        return _quoted(value)
    return _word(value)


def _asked_of(field: str | None) -> str:
    return "" if field is None else f"{_name(field)}: "


def _name(field: str) -> str:
    return field if _PLAIN.fullmatch(field) and not _KEYWORD.fullmatch(field) else _quoted(field)


def _value(field: str | None, value: Value, phrase: bool) -> str:
    if not _is_text(field):
        return _word(value)
    text = _text(value)
    return _quoted(text) if phrase or not text else _unquoted(text, spaces=True)


def _pattern(field: str | None, pattern: Sequence[str]) -> str:
    """Stars between pieces. On text fields a wildcard is about one word, so no space in it stays a space."""
    inner = [piece for piece in pattern[1:-1] if piece]
    pieces = (pattern[0], *inner, pattern[-1]) if len(pattern) > 1 else pattern
    return "*".join(_unquoted(piece, spaces=not _is_text(field)) for piece in pieces)


def _is_text(field: str | None) -> bool:
    return field is None or fields.kind_of(field) == "text"


def _word(value: Value) -> str:
    text = _text(value)
    plain = _PLAIN.fullmatch(text) and not _KEYWORD.fullmatch(text) and not _HIDDEN.search(text)
    return text if plain else _quoted(text)


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    return '"' + _HIDDEN.sub(_code, text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _unquoted(text: str, *, spaces: bool) -> str:
    """Words, escaped; with ``spaces``, a single space between two characters stays one."""
    kept = {found.start() for found in _LONE_SPACE.finditer(text)} if spaces else set()

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        if found.start() in kept:
            return character
        return f"\\{character}" if character in _SPECIAL else _code(found)

    words = _TO_ESCAPE.sub(escaped, text).split(" ")
    return " ".join(f"\\{word}" if _KEYWORD.fullmatch(word) else word for word in words)


def _code(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
