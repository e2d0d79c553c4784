"""JSON bytes: orjson where it is installed, the standard library's encoder where it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

dumps: Callable[[Any], bytes]
"""Serialise what the sanitizer calls legal. Raises TypeError, ValueError or OverflowError for anything else."""

loads: Callable[[bytes], Any]
"""Read back what ``dumps`` wrote."""

try:
    import orjson

    dumps, loads = orjson.dumps, orjson.loads
except ImportError:  # a platform without a wheel: five times dearer, and the same bytes but for exponents of floats
    import json

    _encoder = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    loads = json.loads

    def dumps(value: Any) -> bytes:
        """Serialise with the standard library; as with orjson a name is an exact ``str``, or it might not be judged."""
        if type(value) is dict and any(type(name) is not str for name in value):
            raise TypeError("a name that is no str")
        return _encoder.encode(value).encode("utf-8")
