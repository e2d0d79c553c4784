"""Facts under names of ours: who speaks, what an access, call or span event knows, how often a line repeated itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusterlog.encode.sanitize import Sanitizer
from clusterlog.record.gate.throttle import Repeated

ECS_VERSION = "9.1.0"
TOPS = frozenset(
    """agent client cloud clusterlog container data_stream destination device dns ecs email error event faas file group
    host http labels log network observer orchestrator organization package process registry related rule server
    service source span threat tls trace transaction url user user_agent volume vulnerability""".split()
)
"""The objects at the top of an ECS document (Elastic Common Schema 9, field reference), and what is ours beside."""
ID_LIMIT = 256
_IDS = frozenset({"id", "span_id", "trace_id"})
_HEX = frozenset("0123456789abcdef")
_MOST = 1 << 63


def is_id(value: Any) -> bool:
    """Whether a value can be an ``event.id``."""
    return type(value) is str and 0 < len(value) <= ID_LIMIT and value.isprintable()


@dataclass(frozen=True, slots=True)
class Origin:
    """Who speaks: the members that are equal in every event of a process."""

    service: str
    node: str
    environment: str
    host: str

    def document(self) -> dict[str, Any]:
        """As nested ECS objects."""
        return {
            "ecs": {"version": ECS_VERSION},
            "service": {"name": self.service, "node": {"name": self.node}, "environment": self.environment},
            "host": {"name": self.host},
        }


def came_after(line: bytes, sequence: int) -> bytes:
    """A line that will be numbered late, with the number of what was written last when it was said.

    The numbers of a process are its causal order, and where such a line belongs is behind that one. ``line`` is
    without its head, as ``Encoder.line`` gives it; one that was made by hand has no place for it, and stays.
    """
    # Quotation marks of texts are escaped, so that the first place that looks so is the object itself.
    return line.replace(b',"clusterlog":{', b',"clusterlog":{"recorded":{"after":%d},' % sequence, 1)


def legal(facts: Mapping[str, Any], sanitizer: Sanitizer) -> dict[str, Any]:
    """Nested facts, legal and without secrets, at a fifth of what the sanitizer's own walk costs.

    The walk judges every name and counts every value, which names and trees of our own do not need. Ids of a trace are
    left as they are: a span's sixteen hex digits are all decimal once in two thousand, and of those each tenth would
    pass for the number of a credit card.
    """
    told: dict[str, Any] = {}
    for name, value in facts.items():
        kind = type(value)
        if kind is str:
            if name not in _IDS or len(value) not in (16, 32) or not _HEX.issuperset(value):
                value = sanitizer.text(value, sanitizer.limits.text)
        elif kind is dict:
            value = legal(value, sanitizer)
        elif kind is int:
            if not -_MOST <= value < _MOST:
                value = sanitizer.tree({name: value})[name]
        elif value is not None and kind is not bool:
            value = sanitizer.tree({"value": value}).get("value")
        told[name] = value
    return told


def repeated(told: Repeated) -> tuple[str, dict[str, Any]]:
    """Message and facts of the line that tells of lines held back; its samples are what ``Encoder.sample`` made."""
    (first, *_), (last, template, _) = told.first, told.last
    times = f"{told.count:,} times in {_length(told.last_ns - told.first_ns)}" if told.count > 1 else "once more"
    facts = {
        "count": told.count,
        "first": {"time": instant(told.first_ns), "message": first},
        "last": {"time": instant(told.last_ns), "message": last},
    }
    return f"repeated {times}: {last}", {"clusterlog": {"template": template, "repeated": facts}}


def _length(ns: int) -> str:
    if ns < 1_000_000_000:
        return f"{max(1, ns // 1_000_000)} ms"
    return f"{ns / 1e9:.{0 if ns >= 10_000_000_000 else 1}f} s"


def instant(ns: int) -> str:
    """Nanoseconds since the epoch in RFC 3339, UTC, with nine digits."""
    second, fraction = divmod(ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{fraction:09d}Z"
