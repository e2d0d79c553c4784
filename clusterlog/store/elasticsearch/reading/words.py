"""Words of a text as clauses: runs of letters and digits, whatever joins them.

A server's standard analyser leaves ``httpx.ReadTimeout``, ``can't`` and ``read_timeout`` whole, each one term (Unicode
Standard Annex 29: nothing is cut at a point, an apostrophe or an underscore between letters). What is asked for are the
words in it, so terms are searched that consist of the word and of what is joined to it. In which letters a server and
we agree about what a word is, is bounded (``_LETTERS``); beyond them words are asked for as the server cuts them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from clusterlog.store.elasticsearch.reading.clauses import Clause, Part, all_of, any_of, both, perhaps

LONGEST_WORD = 255
"""Letters of a term (Elasticsearch, "standard tokenizer"); a longer one is cut."""
_MOST_PIECES = 4
_LONGEST_PATTERN = 128
"""Letters; of longer patterns a server would make automatons beyond its bounds."""

_LETTERS = "a-z0-9ß-öø-ɏά-ώа-ҁҊ-ԯ"
"""Lower-cased letters of Latin, Greek and Cyrillic, and digits."""
_JOINTS = "!-/:-@\\[-`{-~\u00b7\u2018\u2019\u2024\u2027\u203f\u2040\u0300-\u036f"
"""What joins words in a term and belongs to none: signs of ASCII, points, apostrophes, ties, accents by themselves."""
_KNOWN = re.compile(f"[{_LETTERS}]*")


def together(name: str, asked: Sequence[str], *, phrase: bool) -> Part:
    """All the words in the text field ``name``; with ``phrase`` side by side, in this order."""
    each = both(_word(name, word) for word in asked)
    if not phrase or len(asked) == 1:
        return each
    beside: Clause = {"match_phrase": {name: {"query": " ".join(asked)}}}
    if not all(map(_is_known, asked)):
        return Part(each.maybe, beside)
    # Where no word of it is joined to others, the server knows which stand side by side.
    joined = any_of(_terms(name, f"(.*[^{_LETTERS}]){word}([^{_LETTERS}].*)?|{word}[^{_LETTERS}].*") for word in asked)
    return Part(any_of((beside, all_of((each.maybe, joined)))), beside)


def patterns(name: str, asked: Sequence[tuple[str, ...]], fits: Callable[[str, tuple[str, ...]], Part]) -> Part:
    """For each of the patterns some word that fits it; ``fits`` makes a pattern over whole terms."""
    return both(_pattern(name, one, fits) for one in asked)


def _word(name: str, word: str) -> Part:
    if not _is_known(word):
        return perhaps({"match": {name: {"query": word, "operator": "and"}}})
    return _within(name, word, word)


def _pattern(name: str, pattern: tuple[str, ...], fits: Callable[[str, tuple[str, ...]], Part]) -> Part:
    if not all(map(_is_known, pattern)) or len(pattern) > _MOST_PIECES or sum(map(len, pattern)) > _LONGEST_PATTERN:
        return perhaps(fits(name, ("", *pattern, "")).maybe)
    return _within(name, ".*".join(pattern), f"[{_LETTERS}]*".join(pattern))


def _within(name: str, maybe: str, sure: str) -> Part:
    """Terms with something in them that stands by itself."""
    around = (
        f"(.*[{between}])?{inside}([{between}].*)?" for inside, between in ((maybe, f"^{_LETTERS}"), (sure, _JOINTS))
    )
    return Part(*(_terms(name, each) for each in around))


def _terms(name: str, expression: str) -> Clause:
    return {"regexp": {name: {"value": expression, "flags": "NONE"}}}


def _is_known(word: str) -> bool:
    return len(word) <= LONGEST_WORD and _KNOWN.fullmatch(word) is not None
