"""How large what an application says may become, and how what is too large is cut.

A field's text is bounded in bytes of UTF-8, because a store refuses a whole document for one term that is too long
(Lucene: 32,766 bytes, the field's name included). What is cut says so, with the length and SHA-256 of the whole, so
that it can be recognised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HASHED = 4 << 20
"""Characters; of a longer text no hash is made: a log call is no place for it."""
_PORTION = 1 << 20
_CUT = "...[cut]"
_ID = 256
"""No id is longer, so that none is ever cut."""
_IDENTIFYING = frozenset({"log", "ecs", "service", "host", "http", "trace", "span", "user"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one event.

    In bytes of UTF-8: ``text`` of a field, ``message``, ``event`` as a whole. In characters: ``name`` of a field.
    Counts: ``names`` and ``values`` in an event, ``items`` in one container, ``depth`` of containers in containers.
    """

    text: int = 32_000
    message: int = 256 << 10
    event: int = 1 << 20
    name: int = 256
    names: int = 1000
    values: int = 10_000
    items: int = 1000
    depth: int = 20


def within(text: str, most: int) -> bool:
    """Whether ``text`` takes at most ``most`` bytes; of nearly all texts the length alone tells."""
    length = len(text)
    if length * 4 <= most or length > most:
        return length <= most
    return text.isascii() or len(text.encode("utf-8", "surrogatepass")) <= most


def cut(text: str, most: int, whole: str) -> str:
    """``text``, which stands for ``whole``, in at most ``most`` bytes, at its end a note of what ``whole`` was.

    ``text`` is without lone surrogates; ``whole`` may be anything.
    """
    if most < 256:
        note = _CUT
    elif len(whole) > HASHED:
        note = f"...[cut, {len(whole)} characters]"
    else:
        note = f"...[cut, {len(whole)} characters, sha256 {_sha256(whole)}]"
    kept = text[:most].encode()[: max(0, most - len(note))].decode("utf-8", "ignore")
    return (kept + note)[: max(0, most)]


def _sha256(text: str) -> str:
    digest = hashlib.sha256()
    for start in range(0, len(text), _PORTION):  # in portions, so that no second whole stands in memory
        digest.update(text[start : start + _PORTION].encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def fit(document: dict[str, Any], most: int, dumps: Callable[[Any], bytes]) -> bytes:
    """``document``, a legal tree, as JSON of at most ``most`` bytes.

    What does not fit loses the ends of its long texts first, then the caller's own fields, at last all that does not
    identify the event. Ids survive everything.
    """
    encoded = dumps(document)
    long, short = max(_ID, most >> 7), max(_ID, most >> 10)
    for longest in (long, short):
        if len(encoded) <= most:
            return encoded
        encoded = dumps(_shorter(document, longest))
    if len(encoded) > most:
        count = len(document.get("labels", ()))
        rest = {**document, "labels": {"_cut": f"{count} names, too large together"}}
        encoded = dumps(_shorter(rest, short))
    if len(encoded) > most:
        encoded = dumps(_shorter({n: part for n, part in document.items() if n in _IDENTIFYING}, _ID))
    return encoded


def _shorter(value: Any, longest: int) -> Any:
    if type(value) is str:
        return value if len(value) <= longest else value[: longest - len(_CUT)] + _CUT
    if type(value) is dict:
        return {name: _shorter(each, longest) for name, each in value.items()}
    if type(value) is list:
        return [_shorter(each, longest) for each in value]
    return value
