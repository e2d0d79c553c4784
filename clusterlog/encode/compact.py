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
except ImportError:  # a platform without a wheel: five times dearer, the same bytes but for escapes
    import json

    _encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
    loads = json.loads

    def dumps(value: Any) -> bytes:
        """Serialise with the standard library, everything outside ASCII escaped, so that lone surrogates are legal."""
        return _encoder.encode(value).encode("ascii")
