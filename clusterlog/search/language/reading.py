"""The tree of a query, turned into the query as data: what each condition means on the kind of its field."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from clusterlog.errors import QueryError, SettingError
from clusterlog.search import instant
from clusterlog.search.language import fields
from clusterlog.search.language.literals import Literal, duration_ns, joined, number
from clusterlog.store.query import And, Everything, Exists, Match, Node, Not, Or, Range, Value, Wildcard

if TYPE_CHECKING:
    from lark import Token, Tree

MOST_CONDITIONS = 2_000
"""Conditions a query may have; Elasticsearch sets itself such a bound, too."""

_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_RELATIVE = re.compile(r"now(?:\s*-\s*\w+)?", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{16,}", re.ASCII)

Asking = Callable[[list[Literal]], Node]
"""Words → the condition they are on the field they stand at."""


class Reading:
    """Turns the tree of one query into nodes. ``now_ns`` is what times before now count from; without it, the clock."""

    def __init__(self, text: str, metrics: frozenset[str], now_ns: int | None) -> None:
        self._query = text
        self._metrics = metrics
        self._now_ns = now_ns
        self._conditions = 0
        self._own: dict[str, Asking] = {
            "has": self._has,
            "session": partial(self._hashed, "session"),
            "since": partial(self._bounded, "gte"),
            "until": partial(self._bounded, "lt"),
            "user": partial(self._hashed, "user"),
        }

    def node(self, tree: Tree[Token]) -> Node:
        """The whole of it. Raises ``QueryError`` at what cannot be asked."""
        match tree.data:
            case "matches":
                return self._matches(*tree.children)
            case "compares":
                return self._compares(tree)
            case "bare":
                return self._matching(None, self._literals(tree.children[0]))
        return self._combined(tree, self.node)

    def _combined(self, tree: Any, inner: Callable[[Any], Node]) -> Node:
        parts = tuple(inner(child) for child in tree.children)
        if tree.data == "negated":
            return Not(parts[0])
        if len(parts) == 1:
            return parts[0]
        return And(parts) if tree.data == "all" else Or(parts)

    def _matches(self, name: Any, values: Any) -> Node:
        """``name: values``."""
        written = self._literal(name.children[0])
        if written.is_star and values.data == "value" and [each.is_star for each in self._literals(values)] == [True]:
            return Everything()
        own = None if written.wild else self._own.get(written.text)
        return self._values(values, own or partial(self._matching, self._field(written)))

    def _values(self, tree: Any, ask: Asking) -> Node:
        if tree.data == "value":
            return ask(self._literals(tree))
        return self._combined(tree, lambda child: self._values(child, ask))

    def _literals(self, tree: Any) -> list[Literal]:
        return [self._literal(token) for token in tree.children]

    def _literal(self, token: Token) -> Literal:
        start = token.start_pos or 0
        literal = Literal.read(str(token), start, token.end_pos or 0, quoted=token.type == "QUOTED")
        if any("\ud800" <= character <= "\udfff" for piece in literal.pieces for character in piece):
            self._refuse("half a surrogate pair is not a character: no event holds it", literal)
        return literal

    def _field(self, written: Literal) -> str:
        name = "*".join(written.pieces)
        field = None if written.wild else fields.resolved(name)
        if field is None:
            self._refuse(fields.unknown(name if len(name) <= 60 else f"{name[:57]}..."), written)
        return field

    def _refuse(self, message: str, at: Literal) -> NoReturn:
        raise QueryError(message, self._query, at.start, max(1, at.end - at.start))

    def _count(self, at: Literal, more: int = 1) -> None:
        """Bound what an engine is made to do: every condition may be asked of every event."""
        self._conditions += more
        if self._conditions > MOST_CONDITIONS:
            self._refuse(f"the query has more than {MOST_CONDITIONS} conditions: ask in several parts", at)

    def _matching(self, field: str | None, words: list[Literal]) -> Node:
        """``field: words``; ``field=None`` for words that stand alone."""
        self._count(words[0])
        if len(words) == 1 and words[0].is_star:
            return Everything() if field is None else Exists(field)
        kind = "text" if field is None else fields.kind_of(field)
        if kind == "text":
            return self._text(field, words)
        assert field is not None
        whole = joined(words)
        if kind == "number":
            return Match(field, self._number(field, whole))
        if kind == "time":
            return self._at_time(field, whole)
        pieces = tuple(piece.lower() for piece in whole.pieces) if kind == "level" else whole.pieces
        return Wildcard(field, pieces) if whole.wild else Match(field, pieces[0])

    def _text(self, field: str | None, words: list[Literal]) -> Node:
        """On text a wildcard is about one word, so each word that has one is a condition of its own."""
        if words[0].quoted:
            return Match(field, words[0].text, phrase=True)
        parts: list[Node] = []
        plain = [word.text for word in words if not word.wild]
        if plain:
            parts.append(Match(field, " ".join(plain)))
        for word in words:
            if word.is_star:
                self._refuse('"*" among words matches nothing more: leave it out', word)
            if word.wild:
                self._count(word)
                parts.append(Wildcard(field, word.pieces))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _hashed(self, name: str, words: list[Literal]) -> Node:
        """``user: words`` and ``session: words``, where a name is refused: it would find nothing and say nothing."""
        whole = joined(words)
        if not whole.wild and not _HASH.fullmatch(whole.text):
            self._refuse(fields.NOT_A_HASH[name], whole)
        return self._matching(fields.SHORT[name], words)

    def _has(self, words: list[Literal]) -> Node:
        """``has: name``: the field exists; ``has: exception`` is what people say."""
        whole = joined(words)
        if whole.wild:
            self._refuse("has takes the name of a field, as in has: exception or has: user", whole)
        self._count(whole)
        return Exists("error.type" if whole.text == "exception" else self._field(whole))

    def _bounded(self, bound: str, words: list[Literal]) -> Node:
        """``since: 15m`` and ``until: 5m``, counted from now, as the options of these names."""
        whole = joined(words)
        if whole.wild:
            self._refuse(f"a time is expected here: {instant.FORMS}", whole)
        self._count(whole)
        try:
            return _range("@timestamp", bound, instant.rfc3339(instant.parse_time(whole.text, self._now())))
        except SettingError as error:
            self._refuse(str(error), whole)

    def _now(self) -> int:
        """One moment for the whole query."""
        if self._now_ns is None:
            self._now_ns = time.time_ns()
        return self._now_ns

    def _number(self, field: str, at: Literal) -> int | float:
        if at.wild:
            self._refuse(f"{field} is a number: write a range, such as {field} >= 500, or * for any", at)
        value = number(at.text)
        if value is None and field in fields.DURATIONS:
            value = duration_ns(at.text)
            if value is None:
                self._refuse(f"{field} is a length of time: write 500ms, 1.5s or 2m, or nanoseconds", at)
        if value is None:
            self._refuse(f"{field} is a number of at most 64 bits: one number is expected here", at)
        return value

    def _at_time(self, field: str, at: Literal) -> Node:
        if not at.wild and (whole_day := instant.day(at.text)) is not None:
            first, last = map(instant.rfc3339, whole_day)
            return And((Range(field, gte=first), Range(field, lte=last)))
        return Match(field, self._time(field, at, last=False))

    def _time(self, field: str, at: Literal, *, last: bool) -> str:
        """A time in its canonical form; a date is its first moment or, as for Elasticsearch, its ``last``."""
        whole_day = None if at.wild else instant.day(at.text)
        ns = whole_day[last] if whole_day else self._moment(at)
        if at.wild or ns is None:
            form = '"2026-11-03T12:00:00Z", 2026-11-03 or now-15m'
            self._refuse(f"{field} is a time: write {form}", at)
        try:
            return instant.rfc3339(ns)
        except OverflowError:
            self._refuse(f"{field} is a time between the years 1 and 9999", at)

    def _moment(self, at: Literal) -> int | None:
        """A time, or as Elasticsearch's date math takes it, one before now."""
        if at.wild or not _RELATIVE.fullmatch(at.text):
            return instant.instant(at.text)
        try:
            return instant.parse_time(at.text, self._now())
        except SettingError:
            return None

    def _compares(self, tree: Any) -> Node:
        """``field >= value``."""
        name, operator = self._literal(tree.children[0].children[0]), str(tree.children[1])
        at = self._literal(tree.children[2].children[0])
        self._count(name)
        if name.text in fields.OWN and not name.wild:
            self._refuse(f"{name.text} is followed by a colon: {fields.OWN[name.text]}", name)
        field = self._field(name)
        if at.wild:
            self._refuse("a range has no wildcards: one value is expected here", at)
        kind = fields.kind_of(field)
        if kind == "level":
            return self._levels(field, operator, at)
        if kind == "label":
            field, kind = self._metric(field, name), "number"
        if kind == "text":
            self._refuse(f"{field} is text and has no order: list what you mean, {field}: (a or b)", name)
        return _range(field, _BOUNDS[operator], self._bound(field, kind, operator, at))

    def _levels(self, field: str, operator: str, at: Literal) -> Node:
        """``level >= warning``: every engine is asked for the names themselves, so all mean the same."""
        names = fields.levels(operator, at.text.lower())
        if names is None:
            self._refuse(f"levels are, from the lowest, {', '.join(group[0] for group in fields.LEVELS)}", at)
        parts = tuple(Match(field, name) for name in names)
        if not parts:
            return Not(Everything())
        return parts[0] if len(parts) == 1 else Or(parts)

    def _bound(self, field: str, kind: fields.Kind, operator: str, at: Literal) -> Value:
        if kind == "number":
            return self._number(field, at)
        if kind == "time":
            return self._time(field, at, last=operator in (">", "<="))
        value = None if at.quoted or fields.is_known(field) else number(at.text)
        return at.text if value is None else value

    def _metric(self, field: str, at: Literal) -> str:
        name = field.removeprefix("labels.")
        if name not in self._metrics:
            self._refuse(f'{field} is kept as text, without order: add "{name}" to the setting metrics for ranges', at)
        return f"clusterlog.metrics.{name}"


def _range(field: str, bound: str, value: Value) -> Range:
    bounds: dict[str, Value] = {bound: value}
    return Range(field, **bounds)
