"""JSON that is the same bytes wherever it is written: sorted names, nothing between them, UTF-8."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from clusterlog.errors import Rejected


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_refuse)


def canonical(value: Any) -> bytes:
    """Serialise plain data. Raises ValueError, TypeError or RecursionError for what is none, lone surrogates too."""
    return _ENCODER.encode(value).encode("utf-8")


def plain(data: bytes, most: int) -> dict[str, Any]:
    """The object that ``data`` is, of at most ``most`` bytes.

    Raises ``Rejected``: ``size`` for more than that, ``garbage`` for what is no JSON object.
    """
    if len(data) > most:
        raise Rejected(f"{len(data)} bytes, and at most {most} are read", "size")
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Rejected(f"this is no JSON: {error}", "garbage") from None
    if not isinstance(value, dict):
        raise Rejected("this is JSON, but no object", "garbage")
    return value
