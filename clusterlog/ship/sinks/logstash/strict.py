"""Which events Logstash's parser of JSON takes as they are. Pure.

Its http input answers 200 to what it cannot parse, and makes one event of the whole batch's text; its beats input
closes the connection, again each time, after it has queued what came before. So nothing of the kind is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from clusterlog.encode.compact import dumps
from clusterlog.store import document
from clusterlog.store.base import Delivery, Outcome

DEEPEST = 1_000
LONGEST_NUMBER = 10_000
"""Levels and digits (Logstash's limits for Jackson, StreamReadConstraints)."""
_LONG = re.compile(rb"[-+.eE0-9]{%d}" % (LONGEST_NUMBER + 1))


def unfit(body: bytes) -> str:
    """Why an event cannot be sent, empty if it can."""
    try:
        event = document.parse(body)
    except ValueError as error:
        return str(error)
    # More brackets than levels are allowed are rare, and mostly in texts.
    if body.count(b"{") + body.count(b"[") > DEEPEST and _depth(event) > DEEPEST:
        return f"nested more than {DEEPEST} deep"
    if _LONG.search(body) and _has_long_number(body):
        return f"a number of more than {LONGEST_NUMBER} digits"
    return ""


def sorted_out(batch: Sequence[Delivery]) -> tuple[list[bytes], dict[int, Outcome]]:
    """The bodies that can be sent, and what is refused instead, by place in the batch."""
    bodies: list[bytes] = []
    refused: dict[int, Outcome] = {}
    for at, delivery in enumerate(batch):
        reason = unfit(delivery.body)
        if reason:
            refused[at] = Outcome("refused", reason)
        else:
            bodies.append(delivery.body)
    return bodies, refused


def joined(outcomes: Sequence[Outcome], refused: dict[int, Outcome]) -> list[Outcome]:
    """The outcomes of what was sent, with those of what was refused in their places."""
    found = list(outcomes)
    for at in sorted(refused):
        found.insert(at, refused[at])
    return found


def one_line(body: bytes) -> bytes:
    """An event without line breaks between its members."""
    return dumps(document.parse(body)) if b"\n" in body or b"\r" in body else body


def _depth(value: Any) -> int:
    deepest, pending = 0, [(value, 1)]
    while pending:
        node, depth = pending.pop()
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
        if inner is not None:
            deepest = max(deepest, depth)
            pending += [(each, depth + 1) for each in inner]
    return deepest


def _has_long_number(body: bytes) -> bool:
    found: list[int] = []

    def measure(digits: str) -> int:
        found.append(len(digits))
        return 0

    json.loads(body, parse_int=measure, parse_float=measure)
    return max(found, default=0) > LONGEST_NUMBER
