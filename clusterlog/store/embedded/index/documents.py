"""An event as its index document: which of its values are found by which field (see ``schema``)."""

from __future__ import annotations

import re
from typing import Any

from clusterlog.encode.compact import dumps
from clusterlog.store.document import TEXT_FIELDS, Event, text, words
from clusterlog.store.embedded.index.schema import IDS, LONGEST_WORD, NUMBERS

LONGEST_VALUE = 256
"""Characters of a value that is one term; of a longer one the beginning is indexed and the event is unsure there."""

LONGEST_PATH = 512
MOST_NUMBER_PATHS = 1_000
"""Paths with a column of numbers in one partition; a column is not free, and nobody counts the keys of ``labels``."""

MOST_KNOWN_PATHS = 10_000
EXACT_INTEGER = 2**53
SEPARATOR = "\x7f"
"""Between path and value of a term: a character nobody writes, and one that JSON need not escape on its way in."""

EVERYTHING = "*"

PLAIN_PATH = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*").fullmatch
"""Paths that tantivy's JSON fields keep apart from all others; ranges over the rest are judged by the raw events."""

_LONG_RUN = re.compile(rf"[0-9A-Za-z]{{{LONGEST_WORD + 1}}}")
_LEAST, _GREATEST = -(2**63), 2**63 - 1
_TEXT, _NUMBER, _TIME, _ID = "text", "number", "time", "id"
_RULES: dict[str, str] = (
    dict.fromkeys(TEXT_FIELDS, _TEXT) | dict.fromkeys(NUMBERS, _NUMBER) | {"@timestamp": _TIME, "event.id": _ID}
)


class _Token(str):
    """The beginning of a leaf's term, ``path DEL``; a type of its own, so that one look tells it from an id's."""

    __slots__ = ("has_numbers", "path")

    path: str
    has_numbers: bool

    @classmethod
    def of(cls, path: str) -> _Token:
        """The token of a path, and whether its numbers are kept in a column."""
        token = cls(path + SEPARATOR)
        token.path = path
        token.has_numbers = has_numbers(path)
        return token


def has_numbers(path: str) -> bool:
    """Whether ranges over the numbers at ``path`` can be asked of the index."""
    return PLAIN_PATH(path) is not None and not path.startswith(("labels.", "process."))


_Tree = dict[str | None, Any]


def _tree() -> _Tree:
    """The known paths as nested dictionaries, so that the usual event is walked without joining a single path.

    ``None`` leads to a dictionary's own prefix. An id's leaf is its path, a token's its ``_Token``, any other known
    leaf its path and its rule.
    """
    root: _Tree = {None: ""}
    for path in (*IDS, *_RULES):
        *above, last = path.split(".")
        node = root
        for key in above:
            node = node.setdefault(key, {None: f"{node[None]}{key}."})
        node[last] = (path, _RULES[path]) if path in _RULES else path
    return root


class Indexer:
    """Makes index documents for the events of one partition.

    It learns the paths it meets: from the second event on a label costs one look-up and one join.
    """

    __slots__ = ("known_paths", "number_paths", "tree")

    def __init__(self) -> None:
        self.tree = _tree()
        self.known_paths = 0
        self.number_paths: set[str] = set()

    def document(self, event: Event, id: str, seq: int, time_us: int, own_time: bool) -> str:
        """The index document, as JSON, of the event with that ``event.id``.

        ``own_time``: it is found at its ``@timestamp`` and not elsewhere.
        """
        draft = _Draft(self)
        draft.document["ts"] = time_us
        draft.document["seq"] = seq
        try:
            draft.walk(event, self.tree)
            for path, value in draft.later:
                draft.anything(path, value)
        except (RecursionError, _OddPathError):
            return minimal(id, seq, time_us)
        if not own_time:
            draft.unsure.append("@timestamp")
        draft.id(id)
        return draft.json()

    def head(self, event: Event) -> tuple[dict[str, Any], list[str]] | None:
        """Fields and tokens of members that many events share, ``None`` where they are not the usual ones.

        ``document`` puts the number of each event beside them.
        """
        draft = _Draft(self)
        draft.walk(event, self.tree)
        if draft.later or draft.unsure or draft.numbers:
            return None
        return draft.document, draft.tokens

    def behind(self, fields: dict[str, Any], tokens: list[str], rest: Event, id: str) -> str:
        """As ``document``, for an event with a known head, of which ``rest`` is what stands behind it."""
        draft = _Draft(self)
        draft.document = fields
        draft.tokens = tokens.copy()
        try:
            draft.walk(rest, self.tree)
            if draft.later:
                for path, value in draft.later:
                    draft.anything(path, value)
                draft.id(id)  # one of them may be another sequence or process
        except (RecursionError, _OddPathError):
            return minimal(id, fields["seq"], fields["ts"])
        return draft.json()

    def learn(self, tree: _Tree, key: str, value: Any) -> Any:
        """What stands in the tree for a key met for the first time, ``None`` for what is not worth keeping."""
        path = f"{tree[None]}{key}"
        if "." in key or len(path) > LONGEST_PATH or SEPARATOR in path or self.known_paths >= MOST_KNOWN_PATHS:
            return None
        self.known_paths += 1
        tree[key] = {None: f"{path}."} if type(value) is dict else _Token.of(path)
        return tree[key]


def minimal(id: str, seq: int, time_us: int) -> str:
    """The document of an event that cannot be indexed as it is: found by its id and its time, judged by its bytes."""
    return dumps({"ts": time_us, "seq": seq, "unsure": [EVERYTHING], "leaf": [id_token(id)]}).decode()


def id_token(found: str) -> str:
    """The term by which an id that is not of our own form is found."""
    return f"event.id{SEPARATOR}{found[:LONGEST_VALUE]}"


class _OddPathError(Exception):
    """A path cannot be part of a term."""


class _Draft:
    """One index document in the making."""

    __slots__ = ("document", "indexer", "later", "numbers", "tokens", "unsure")

    def __init__(self, indexer: Indexer) -> None:
        self.document: dict[str, Any] = {}
        self.tokens: list[str] = []
        self.unsure: list[str] = []
        self.numbers: dict[str, Any] = {}
        self.later: list[tuple[str, object]] = []
        self.indexer = indexer

    def json(self) -> str:
        document = self.document
        if self.tokens:
            document["leaf"] = self.tokens
        if self.numbers:
            document["number"] = self.numbers
        if self.unsure:
            document["unsure"] = self.unsure
        return dumps(document).decode()

    def walk(self, event: Event, tree: _Tree) -> None:
        """The usual way through an event, with strings where strings belong; the rest is put off.

        Every event goes through here, and this loop is the dearest of the whole intake: no recursion, one type test
        per value before all others, and the branches in the order of how often they are taken.
        """
        document, token, later = self.document, self.tokens.append, self.later
        pending = [(event, tree)]
        while pending:
            node, tree = pending.pop()
            for key, value in node.items():
                known = tree.get(key)
                if known is None:
                    known = self.indexer.learn(tree, key, value)
                kind, shape = type(value), type(known)
                if kind is str:
                    if shape is str and len(value) <= LONGEST_VALUE:
                        document[known] = value
                        continue
                    if shape is _Token and len(value) <= LONGEST_VALUE:
                        token(known + value)
                        continue
                    if shape is tuple and known[1] is not _NUMBER:
                        if known[1] is _TEXT:
                            self.text(known[0], value)
                        continue
                elif kind is dict:
                    if shape is dict:
                        pending.append((value, known))
                        continue
                elif kind is int:
                    if shape is _Token and not known.has_numbers:
                        token(f"{known}{value}")
                        continue
                    if shape is tuple and known[1] is _NUMBER and _LEAST <= value <= _GREATEST:
                        document[known[0]] = value
                        continue
                elif kind is bool and shape is _Token:
                    token(known + ("true" if value else "false"))
                    continue
                later.append((f"{tree[None]}{key}", value))

    def leaf(self, path: str, value: Any) -> None:
        """A value at a path of no rule: a token for itself and for everything below it."""
        kind = type(value)
        if kind is str:
            self.token(path, value)
        elif kind is bool:
            self.token(path, "true" if value else "false")
        elif kind is int or kind is float:
            self.token(path, text(value))
            self.number(path, value)
        elif value is not None:
            self.anything(path, value)

    def token(self, path: str, value: str) -> None:
        """``path`` holds ``value``."""
        if len(path) > LONGEST_PATH or SEPARATOR in path:
            raise _OddPathError
        if len(value) > LONGEST_VALUE:
            value = value[:LONGEST_VALUE]
            self.unsure.append(path)
        self.tokens.append(f"{path}{SEPARATOR}{value}")

    def number(self, path: str, value: float) -> None:
        """``path`` holds a number that can be asked for by range."""
        known = self.indexer.number_paths
        if path not in known:
            if not has_numbers(path):
                return
            if len(known) >= MOST_NUMBER_PATHS:
                self.unsure.append(path)
                return
            known.add(path)
        if type(value) is int and not -EXACT_INTEGER <= value <= EXACT_INTEGER:
            self.unsure.append(path)
        else:
            _put(self.numbers, path, value)

    def text(self, path: str, value: str) -> None:
        """``path`` is searched by words. What is not ASCII is cut into words here, so that all engines cut alike."""
        if not value.isascii():
            found = words(value)
            if any(len(word) > LONGEST_WORD // 4 and len(word.encode()) > LONGEST_WORD for word in found):
                self.unsure.append(path)
            value = " ".join(found)
        elif len(value) > LONGEST_WORD and _LONG_RUN.search(value):
            self.unsure.append(path)
        if not value[:1].isalnum() and not words(value):
            self.tokens.append(path + SEPARATOR)  # no word stands for it, and yet it is there
        if path in self.document:
            _put(self.document, path, value)
        else:
            self.document[path] = value

    def anything(self, path: str, value: Any) -> None:
        """The long way: a value of any type at any path, known or not."""
        if type(value) is dict:
            for key, inner in value.items():
                self.anything(f"{path}.{key}", inner)
        elif type(value) is list:
            for inner in value:
                self.anything(path, inner)
        elif value is not None:
            self._scalar(path, value)

    def _scalar(self, path: str, value: Any) -> None:
        rule = _RULES.get(path)
        if path in IDS:
            own = text(value)
            if len(own) > LONGEST_VALUE:
                own = own[:LONGEST_VALUE]
                self.unsure.append(path)
            _put(self.document, path, own)
        elif rule is None:
            self.leaf(path, value)
        elif rule is _TEXT:
            self.text(path, text(value))
        elif rule is _NUMBER and type(value) is int and _LEAST <= value <= _GREATEST:
            _put(self.document, path, value)
        else:
            self.unsure.append(path)
            self.token(path, text(value))

    def id(self, found: str) -> None:
        """An id of our own form is found by its instance and sequence and costs no term; another one has a token."""
        instance, sequence = self.document.get("process.entity_id"), self.document.get("event.sequence")
        if instance is not None and sequence is not None:
            if type(sequence) is int and found == f"{instance}-{sequence:011x}":
                return
            self.unsure.append("event.id")
        self.tokens.append(id_token(found))


def _put(target: dict[str, Any], name: str, value: Any) -> None:
    """One more value of a field that may have several."""
    there = target.get(name)
    if there is None:
        target[name] = value
    elif type(there) is list:
        there.append(value)
    else:
        target[name] = [there, value]
