"""Logstash's configuration language, parsed: sections, plugins with their options, and branches.

What its own grammar accepts and refuses is in the tests beside; what plugins and options there are is in ``options``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args

_GRAMMAR = r"""
start: section*
section: SECTION "{" step* "}"
?step: plugin | branch

plugin: name "{" attribute* "}"
attribute: name "=>" value
name: WORD | STRING
?value: inline | WORD -> word | STRING -> text | DECIMAL -> decimal | array | hash
inline: WORD "{" attribute* "}"
array: "[" [value ("," value)*] "]"
hash: "{" entry* "}"
entry: (WORD | STRING) "=>" value

branch: IF condition "{" step* "}" otherwise*
otherwise: ELSE [IF condition] "{" step* "}"
?condition: expression (BOOLEAN expression)*
?expression: "(" condition ")" -> inner
           | "!" "(" condition ")" -> negated
           | "!" SELECTOR -> absent
           | operand
           | operand OPERATOR operand -> compared
           | operand MATCHING (REGEXP | STRING) -> matched
           | operand IN operand -> contained
           | operand NOT IN operand -> not_contained
?operand: STRING -> text | WORD -> word | DECIMAL -> decimal | SELECTOR -> selector | array | REGEXP -> text

SECTION.3: /(input|filter|output)(?![\w-])/
IF.2: /if(?![\w-])/
ELSE.2: /else(?![\w-])/
IN.2: /in(?![\w-])/
NOT.2: /not(?![\w-])/
BOOLEAN.2: /(and|or|xor|nand)(?![\w-])/
OPERATOR: "==" | "!=" | "<=" | ">=" | "<" | ">"
MATCHING: "=~" | "!~"
SELECTOR.2: /(\[[^\[\],"']+\])+/
DECIMAL.1: /-?[0-9]+\.[0-9]*/
WORD: /[A-Za-z0-9_-]+/
STRING: /"((?<=[\\])"|[^"])*"|'((?<=[\\])'|[^'])*'/s
REGEXP: /\/((?<=[\\])\/|[^\/])*\//
COMMENT: /#[^\n]*/
%import common.WS
%ignore WS
%ignore COMMENT
"""

_VARIABLE = re.compile(r"\$\{([a-zA-Z_.][a-zA-Z0-9_.]*)(?::([^}]*))?\}")


class Refused(ValueError):
    """A text that Logstash would not start with; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin, or a codec, with its options in the order in which they are written."""

    name: str
    attributes: tuple[tuple[str, Any], ...] = ()
    line: int = 0

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an option; strings with what stands in the environment's place."""
        return next((resolved(value) for key, value in self.attributes if key == name), default)


@dataclass(frozen=True, slots=True)
class Branch:
    """Conditions with what is done where they hold; the last one may be ``None``, which always does."""

    arms: tuple[tuple[Any, tuple[Step, ...]], ...]


Step = Plugin | Branch


@dataclass(frozen=True, slots=True)
class Section:
    """``input``, ``filter`` or ``output``."""

    kind: str
    steps: tuple[Step, ...]

    def plugins(self) -> Iterator[Plugin]:
        """All plugins, those in branches too."""
        yield from _plugins(self.steps)


def _plugins(steps: tuple[Step, ...]) -> Iterator[Plugin]:
    for step in steps:
        if isinstance(step, Plugin):
            yield step
        else:
            for _, inner in step.arms:
                yield from _plugins(inner)


@dataclass(frozen=True, slots=True)
class Condition:
    """An operator, and what it is about."""

    operator: str
    operands: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Selector:
    """A field: ``[a][b]``."""

    path: str


@v_args(inline=True)
class _Build(Transformer[Token, Any]):
    def start(self, *sections: Section) -> tuple[Section, ...]:
        return sections

    def section(self, kind: Token, *steps: Step) -> Section:
        return Section(str(kind), steps)

    def plugin(self, name: tuple[str, int], *attributes: tuple[str, Any]) -> Plugin:
        return Plugin(name[0], attributes, name[1])

    def attribute(self, name: tuple[str, int], value: Any) -> tuple[str, Any]:
        return name[0], value

    def name(self, token: Token) -> tuple[str, int]:
        return (_text(token) if token.type == "STRING" else str(token)), token.line or 0

    def inline(self, token: Token, *attributes: tuple[str, Any]) -> Plugin:
        return Plugin(str(token), attributes, token.line or 0)

    def text(self, token: Token) -> str:
        return _text(token)

    def decimal(self, token: Token) -> float:
        return float(token)

    def word(self, token: Token) -> Any:
        return _word(token)

    def selector(self, token: Token) -> Selector:
        return Selector(str(token))

    def array(self, *values: Any) -> tuple[Any, ...]:
        return () if values == (None,) else values

    def hash(self, *entries: tuple[str, Any]) -> dict[str, Any]:
        return dict(entries)

    def entry(self, name: Token, value: Any) -> tuple[str, Any]:
        return (_text(name) if name.type == "STRING" else str(name)), value

    def branch(self, _: Token, condition: Any, *rest: Any) -> Branch:
        steps = tuple(each for each in rest if isinstance(each, Plugin | Branch))
        return Branch(((condition, steps), *(each for each in rest if isinstance(each, tuple))))

    def otherwise(self, _: Token, *rest: Any) -> tuple[Any, tuple[Step, ...]]:
        condition = rest[1] if isinstance(rest[0], Token) else None
        return condition, tuple(each for each in rest if isinstance(each, Plugin | Branch))

    def condition(self, *parts: Any) -> Any:
        made = parts[0]
        for operator, operand in zip(parts[1::2], parts[2::2], strict=True):
            made = Condition(str(operator), (made, operand))
        return made

    def inner(self, condition: Any) -> Any:
        return condition

    def negated(self, condition: Any) -> Condition:
        return Condition("!", (condition,))

    def absent(self, token: Token) -> Condition:
        return Condition("!", (Selector(str(token)),))

    def compared(self, left: Any, operator: Token, right: Any) -> Condition:
        return Condition(str(operator), (left, right))

    def matched(self, left: Any, operator: Token, pattern: Token) -> Condition:
        return Condition(str(operator), (left, _text(pattern)))

    def contained(self, left: Any, _: Token, right: Any) -> Condition:
        return Condition("in", (left, right))

    def not_contained(self, left: Any, _: Token, __: Token, right: Any) -> Condition:
        return Condition("!", (Condition("in", (left, right)),))


def _text(token: Token) -> str:
    return str(token)[1:-1]


def _word(token: Token) -> Any:
    return int(token) if re.fullmatch(r"-?[0-9]+", token) else str(token)


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", propagate_positions=True, maybe_placeholders=True)


def parse(text: str) -> tuple[Section, ...]:
    """The sections of a configuration. Raises Refused."""
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise Refused(f"line {error.line}, column {error.column}: {error.get_context(text).strip()}") from None
    built: tuple[Section, ...] = _Build().transform(tree)
    return built


def read(path: Path) -> tuple[Section, ...]:
    """Those of a file."""
    return parse(path.read_text(encoding="utf-8"))


def section(sections: tuple[Section, ...], kind: str) -> Section:
    """The one section of its kind."""
    (found,) = (each for each in sections if each.kind == kind)
    return found


def variables(text: str) -> Mapping[str, str | None]:
    """What a configuration takes from the environment, and the defaults it has for that. Comments do not count."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name: default or None for name, default in _VARIABLE.findall(lines)}


def resolved(value: Any) -> Any:
    """A value with the defaults in the place of variables, which are left where they have none."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: found[0] if found[2] is None else found[2], value)
    if isinstance(value, tuple):
        return tuple(resolved(each) for each in value)
    if isinstance(value, dict):
        return {name: resolved(each) for name, each in value.items()}
    return value
