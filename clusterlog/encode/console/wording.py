"""How events are put into words for people, wherever they are shown: levels, lengths of time, fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

LETTERS = {"debug": "D", "info": "I", "warning": "W", "error": "E", "critical": "C"}
"""The letter of a level; what has another one is ``-``."""

_SECOND = 1_000_000_000
_BARE = re.compile(r"[^\s\"'=]+")


def spoken(ns: int) -> str:
    """A length of time as it is read aloud, three digits at most: ``3 ms``, ``412 ms``, ``1.40 s``, ``2 min 05 s``."""
    if ns < 0:
        return f"-{spoken(-ns)}"
    if ns < 999_500:
        return f"{(ns + 500) // 1000} us"
    if ns < 9_950_000 and (ns + 50_000) // 100_000 % 10:
        return f"{ns / 1e6:.1f} ms"
    if ns < 999_500_000:
        return f"{(ns + 500_000) // 1_000_000} ms"
    if ns < 9_995_000_000:
        return f"{ns / 1e9:.2f} s"
    if ns < 59_950_000_000:
        return f"{ns / 1e9:.1f} s"
    seconds = (ns + _SECOND // 2) // _SECOND
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    if seconds < 172_800:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3600:02d} h"


def fields(labels: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The caller's own fields, name and value; a value as it is where that cannot be mistaken, else as JSON."""
    for name, value in labels.items():
        bare = isinstance(value, str) and _BARE.fullmatch(value)
        yield name, value if bare else json.dumps(value, ensure_ascii=False, default=str)
