"""What must not leave the process: values under the names of secrets, and secrets inside texts.

Redaction happens before any byte exists: a dead letter, a refused document in a store's failure store and a pipeline's
own error log would all show what was only to be masked later. Numbers are kept, so that ``max_tokens=4096`` stays
readable; ``password=4096`` inside a text is not a number yet and goes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any

from clusterlog.record import shapes
from clusterlog.record.shapes import MARK, SHORTEST

CACHED_NAMES = 4096
NAME_LIMIT = 256
"""Of a longer name only so many characters are judged."""

_WORDS = frozenset(
    {"password", "passwd", "pwd", "passphrase", "secret", "token", "authorization", "cookie", "apikey", "credential"}
)
_BEFORE_KEY = frozenset({"private", "access", "api"})
# Names written without any seam: PGPASSWORD, csrfmiddlewaretoken, clientsecret, accesskeyid.
_GLUED_END = ("password", "passwd", "passphrase", "secret", "token", "apikey", "cookie", "credential")
_GLUED = ("apikey", "accesskey", "privatekey", "secretkey")
# Every secret name has one of these in it; in front of them a letter that all of its row have.
_STEMS = (
    ("k", ("token", "cookie", "key")),
    ("s", ("pass", "secret")),
    ("d", ("pwd", "credential")),
    ("z", ("authoriz",)),
)
_COUNTS = frozenset({"tokens", "count", "limit", "max", "min", "total", "usage", "length", "len", "index", "size"})

_CHUNK = re.compile(r"[^\W_]+")
_SEAM = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?\Z")
_EMPTY = frozenset({"", "none", "null", "nil", "true", "false", "undefined", MARK})

# A name and what divides it from its value: ``a=``, ``a: ``, ``"a":``, ``\"a\":``, ``[a] =>``, ``x["a"] =``.
_NAME = re.compile(
    r"(?<![\w.-])(?P<name>[\w.-]{1,128})(?:(?:\\{0,4}[\"'`])?\]?)[ \t]{0,8}(?P<sep>=>|:=|={1,3}|:)[ \t]{0,8}"
)
# The pair ``('a', 'value')`` as multi-dictionaries and lists of headers print it.
_FIRST = re.compile(r"\(b?(?P<quote>[\"'])(?P<name>[\w.-]{1,128})(?P=quote), {0,2}")
# No possessive quantifiers anywhere: Debian 12's Python 3.11.2 gets them wrong.
_QUOTED = re.compile(
    r"[bru]{0,2}(?:\"(?P<double>[^\"\\]*(?:\\.[^\"\\]*)*)\"|'(?P<single>[^'\\]*(?:\\.[^'\\]*)*)'|`(?P<back>[^`]*)`)"
    r"|(?P<mark>\\{1,4}[\"'])(?P<inner>.*?)(?<!\\)(?P=mark)",
    re.DOTALL,
)
_OPEN = re.compile(r"(?:[bru]{0,2}|\\{1,4})[\"'`]")
_LINE = re.compile(r"[^\r\n\\]*(?:\\(?![rn])[^\r\n\\]*)*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,31}[ +]{1,4}(?=[^\s=,;&])")
# Up to a blank or a quote; a comma, semicolon, ampersand or closing bracket ends it only where something new begins.
_BARE = re.compile(
    r"(?:[^\s\"'<>`,;&)\]}]+"
    r"|[,;&](?![\s,;&]|\Z|[\w.-]{1,64}[=:])"
    r"|[)\]}](?![\s,;.)\]}\"'&]|\Z)"
    r"|[\"'](?=\w))*"
)


class Redactor:
    """Judges names and texts; ``words`` are further words that make a name secret (``iban``, ``credit_card``)."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        added = [tuple(_split(word)) for word in words]
        self._added = tuple(parts for parts in added if parts)
        self._stems = (*_STEMS, *((parts[0][0], (parts[0],)) for parts in self._added))
        self._judged: dict[str, bool] = {}

    def is_secret_key(self, name: str) -> bool:
        """Whether a value under this name is withheld; the name is split on case and on all but letters and digits."""
        found = self._judged.get(name)
        if found is None:
            found = self._judge(name[:NAME_LIMIT])
            if len(name) <= NAME_LIMIT:
                if len(self._judged) >= CACHED_NAMES:
                    self._judged.clear()
                self._judged[name] = found
        return found

    def value(self, key: str, value: Any) -> Any:
        """``value`` as it may be said under ``key``: numbers, booleans and None always, texts without their secrets."""
        if value is None or type(value) in (bool, int, float):
            return value
        if self.is_secret_key(key):
            return MARK
        return self.text(value) if type(value) is str else value

    def text(self, text: str) -> str:
        """``text`` with each secret in it replaced by ``[redacted]``; the same object if there is none. Idempotent."""
        if self._names_possible(text):
            text = self._without_named(text, _NAME, literals=False)
            if "(" in text:
                text = self._without_named(text, _FIRST, literals=True)
        return shapes.redacted(text)

    def source(self, text: str) -> str:
        """The same for lines of program text, where ``token = read(file)`` holds no secret and ``token = "…"`` does."""
        if self._names_possible(text):
            text = self._without_named(text, _NAME, literals=True)
        return shapes.redacted(text)

    def suspicious(self, text: str) -> bool:
        """Whether ``text()`` might change this: cheap, with false alarms, but never a false all-clear."""
        if self._names_possible(text):
            return True
        return len(text) >= SHORTEST and shapes.possible(text)

    def _names_possible(self, text: str) -> bool:
        if ":" not in text and "=" not in text and "(" not in text:
            return False
        if "@" in text and "://" in text:
            return True
        folded = text.casefold()
        for letter, stems in self._stems:
            if letter in folded:  # a letter is found in a fifth of the time a word takes
                for stem in stems:
                    if stem in folded:
                        return True
        return False

    def _without_named(self, text: str, names: re.Pattern[str], *, literals: bool) -> str:
        """Replace the values behind secret names; with ``literals`` only those in quotes."""
        told: list[str] = []
        done = at = 0
        while (found := names.search(text, at)) is not None:
            at = found.end()
            if not self.is_secret_key(found["name"]):
                continue
            start, end = _quoted_value(text, at)
            if start < 0 and not literals:
                start, end = _bare_value(text, at, found)
            if start < 0 or _harmless(found["name"], text[start:end]):
                continue
            told += text[done:start], MARK
            done = at = end
        return "".join((*told, text[done:])) if told else text

    def _judge(self, name: str) -> bool:
        parts = _split(name)
        for word in (*parts, *(chunk.casefold() for chunk in _CHUNK.findall(name))):
            single = word.removesuffix("s")
            if single in _WORDS or word in _WORDS or single.endswith(_GLUED_END) or any(g in word for g in _GLUED):
                return True
        for before, word in itertools.pairwise(parts):
            if before in _BEFORE_KEY and word in ("key", "keys"):
                return True
        return any(_within(added, parts) for added in self._added)


def _split(name: str) -> list[str]:
    """``HTTPApiKey_v2`` → http, api, key, v."""
    return [word.casefold() for chunk in _CHUNK.findall(name) for word in _SEAM.findall(chunk)]


def _within(wanted: tuple[str, ...], parts: list[str]) -> bool:
    length = len(wanted)
    return any(tuple(parts[at : at + length]) == wanted for at in range(len(parts) - length + 1))


def _quoted_value(text: str, at: int) -> tuple[int, int]:
    """Where the quoted text at ``at`` begins and ends, without its quotes; (-1, -1) if there is none."""
    found = _QUOTED.match(text, at)
    return found.span(found.lastgroup or 0) if found else (-1, -1)


def _bare_value(text: str, at: int, name: re.Match[str]) -> tuple[int, int]:
    """Where the value ends that stands at ``at`` without quotes, or with one that is never closed."""
    words = _split(name["name"])
    header = "authorization" in words or any(word.startswith("cookie") for word in words)
    opened = _OPEN.match(text, at)
    if opened or (header and name["sep"] == ":"):
        found = _LINE.match(text, opened.end() if opened else at)
    else:
        scheme = _SCHEME.match(text, at) if header else None
        begin = scheme.end() if scheme else at
        if text.startswith(MARK, begin):  # said before; whatever still hangs on it goes, too
            begin += len(MARK)
        found = _BARE.match(text, begin)
    return (at, found.end()) if found and found.end() > at else (-1, -1)


def _harmless(name: str, value: str) -> bool:
    """What says nothing: ``token=None``, and the numbers of ``max_tokens=512``."""
    if value.casefold() in _EMPTY:
        return True
    return _NUMBER.match(value) is not None and not _COUNTS.isdisjoint(_split(name))
