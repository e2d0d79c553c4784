"""An event as its index document: which of its values are found by which field (see ``schema``)."""

from __future__ import annotations

import re
from typing import Any

from clusterlog.encode.compact import dumps
from clusterlog.store.document import TEXT_FIELDS, Event, text, words
from clusterlog.store.embedded.index.schema import KEYWORDS, LONGEST_WORD, NUMBERS

LONGEST_VALUE = 256
"""Characters of a value that is one term; of a longer one the beginning is indexed and the event is unsure there."""

LONGEST_PATH = 512
MOST_NUMBER_PATHS = 1_000
"""Paths with a column of numbers in one partition; a column is not free, and nobody counts the keys of ``labels``."""

MOST_KNOWN_PATHS = 10_000
EXACT_INTEGER = 2**53
NUL = "\0"
EVERYTHING = "*"

PLAIN_PATH = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*").fullmatch
"""Paths that tantivy's JSON fields keep apart from all others; ranges over the rest are judged by the raw events."""

_LONG_RUN = re.compile(rf"[0-9A-Za-z]{{{LONGEST_WORD + 1}}}")
_LEAST, _GREATEST = -(2**63), 2**63 - 1
_TEXT, _NUMBER, _TIME, _ID = "text", "number", "time", "id"
_RULES: dict[str, str] = (
    dict.fromkeys(TEXT_FIELDS, _TEXT) | dict.fromkeys(NUMBERS, _NUMBER) | {"@timestamp": _TIME, "event.id": _ID}
)

_Tree = dict[str, Any]


def _tree() -> _Tree:
    """The known paths as nested dictionaries, so that the usual event is walked without joining a single path.

    A keyword's leaf is its path, any other known leaf its path and its rule.
    """
    root: _Tree = {}
    for path in (*KEYWORDS, *_RULES):
        *above, last = path.split(".")
        node = root
        for key in above:
            node = node.setdefault(key, {})
        node[last] = (path, _RULES[path]) if path in _RULES else path
    return root


_TREE = _tree()


class Indexer:
    """Makes index documents for the events of one partition."""

    __slots__ = ("number_paths", "paths")

    def __init__(self) -> None:
        self.number_paths: set[str] = set()
        self.paths: set[str] = set()

    def document(self, event: Event, id: str, seq: int, time_us: int, *, own_time: bool) -> str:
        """The index document, as JSON, of the event with that ``event.id``.

        ``own_time``: it is found at its ``@timestamp`` and not elsewhere.
        """
        draft = _Draft(self)
        draft.document["ts"] = time_us
        draft.document["seq"] = seq
        try:
            draft.walk(event, _TREE, "")
            for path, value in draft.later:
                draft.anything(path, value)
        except (RecursionError, _OddPathError):
            return minimal(id, seq, time_us)
        if not own_time:
            draft.unsure.append("@timestamp")
        draft.id(id)
        return draft.json()


def minimal(id: str, seq: int, time_us: int) -> str:
    """The document of an event that cannot be indexed as it is: found by its id and its time, judged by its bytes."""
    return dumps({"ts": time_us, "seq": seq, "unsure": [EVERYTHING], "leaf": [id_token(id)]}).decode()


def id_token(found: str) -> str:
    """The term by which an id that is not of our own form is found."""
    return f"event.id{NUL}{found[:LONGEST_VALUE]}"


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

    def walk(self, node: Event, tree: _Tree, prefix: str) -> None:
        """The usual way through an event: known objects, with strings where strings belong.

        Every event goes through here; the tests are ordered by how often they say yes.
        """
        document = self.document
        for key, value in node.items():
            known = tree.get(key)
            kind = type(value)
            if type(known) is str:
                if kind is str and len(value) <= LONGEST_VALUE:
                    document[known] = value
                else:
                    self.later.append((known, value))
            elif type(known) is dict:
                if kind is dict:
                    self.walk(value, known, f"{prefix}{key}.")
                else:
                    self.later.append((prefix + key, value))
            elif known is None:
                if "." in key:
                    self.later.append((prefix + key, value))
                elif kind is dict:
                    self.leaves(f"{prefix}{key}.", value)
                else:
                    self.leaf(prefix + key, value)
            else:
                path, rule = known
                if rule is _NUMBER and kind is int and _LEAST <= value <= _GREATEST:
                    document[path] = value
                elif rule is _TEXT and kind is str:
                    self.text(path, value)
                elif kind is not str or rule is _NUMBER:
                    self.later.append((path, value))

    def leaves(self, prefix: str, node: dict[str, Any]) -> None:
        """An object that is not a known one, ``labels`` above all: tokens for everything in it."""
        paths, numbers, tokens = self.indexer.paths, self.indexer.number_paths, self.tokens
        for key, value in node.items():
            path = prefix + key
            kind = type(value)
            if kind is str and path in paths and len(value) <= LONGEST_VALUE:
                tokens.append(f"{path}{NUL}{value}")
            elif (
                kind is int
                and path in numbers
                and path not in self.numbers
                and -EXACT_INTEGER <= value <= EXACT_INTEGER
            ):
                tokens.append(f"{path}{NUL}{value}")
                self.numbers[path] = value
            elif kind is dict:
                self.leaves(f"{path}.", value)
            else:
                self.leaf(path, value)

    def leaf(self, path: str, value: Any) -> None:
        """A value at a path that is not a known one nor leads to one: tokens for itself and everything below it."""
        kind = type(value)
        if kind is str:
            self.token(path, value)
        elif kind is dict:
            self.leaves(f"{path}.", value)
        elif kind is list:
            for inner in value:
                self.leaf(path, inner)
        elif kind is bool:
            self.token(path, "true" if value else "false")
        elif value is not None:
            self.token(path, text(value))
            self.number(path, value)

    def token(self, path: str, value: str) -> None:
        """``path`` holds ``value``."""
        if path not in self.indexer.paths:
            self._meet(path)
        if len(value) > LONGEST_VALUE:
            value = value[:LONGEST_VALUE]
            self.unsure.append(path)
        self.tokens.append(f"{path}{NUL}{value}")

    def _meet(self, path: str) -> None:
        if len(path) > LONGEST_PATH or NUL in path:
            raise _OddPathError
        if len(self.indexer.paths) < MOST_KNOWN_PATHS:
            self.indexer.paths.add(path)

    def number(self, path: str, value: float) -> None:
        """``path`` holds a number that can be asked for by range."""
        known = self.indexer.number_paths
        if path not in known:
            if PLAIN_PATH(path) is None:
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
        self.tokens.append(path + NUL)
        _put(self.document, path, value)

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
        if path in KEYWORDS:
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
            if type(sequence) is int and sequence >= 0 and found == f"{instance}-{sequence:011x}":
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
