"""Facts of what both requests have, where they differ: how it ended, what went wrong, the caller's own fields."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clusterlog.search.compare.stretches import EventPair, Stretch, visit_node, visit_service
from clusterlog.search.story.event import Event, method_and_route, part, target, text
from clusterlog.search.template import template

ABSENT = "-"

_RANK = {"node": 1}
"""What comes behind how things ended; behind these, the caller's own fields."""


@dataclass(frozen=True, slots=True)
class Change:
    """A fact with another value in each request, and all pairs of events of which it holds.

    ``field`` is ``status`` (of an answer or a call; ``failed`` where there was no answer), ``outcome`` (of a step),
    ``error``, ``reason``, ``level`` (of a line), ``route``, ``target`` (of a call whose callee left no events),
    ``node``, or a name in ``labels.``. A value that is not there is ``-``.
    """

    field: str
    service: str
    a: str
    b: str
    pairs: tuple[EventPair, ...]

    @property
    def where(self) -> str:
        """What it is a fact of: of the first of the events, and how many more there are."""
        more = f" and {len(self.pairs) - 1} more" if len(self.pairs) > 1 else ""
        return self.service if self.field == "node" else f"{template(self.pairs[0][0])} on {self.service}{more}"

    @property
    def text(self) -> str:
        """The change as a sentence."""
        return f"{self.field} of {self.where}: {self.a} in A, {self.b} in B"


def changes(stretches: Iterable[Stretch], place: Mapping[str, int], linked: frozenset[str]) -> tuple[Change, ...]:
    """What has other values: first how things ended, then where they ran, then the caller's fields by name.

    A field with the same two values in several events of a service is one change. ``place`` numbers the
    events of ``a`` in causal order. ``linked`` has the ids of calls whose callee is known: its node says more than its
    address.
    """
    found: dict[tuple[str, str, str, str], list[EventPair]] = {}
    for stretch in stretches:
        if stretch.a is None or stretch.b is None:
            continue
        service = visit_service(stretch.a)
        if visit_node(stretch.a) != visit_node(stretch.b):
            key = "node", service, visit_node(stretch.a), visit_node(stretch.b)
            found.setdefault(key, []).append((stretch.a.events[0], stretch.b.events[0]))
        for a, b in (*stretch.pairs, *stretch.moved):
            for field, before, after in _differing(a, b, linked):
                # The caller's fields mean the same wherever they are told: an order's number is told once.
                key = field, "" if field.startswith("labels.") else service, before, after
                found.setdefault(key, []).append((a, b))
    told = [
        Change(field, service or pairs[0][0].service or pairs[0][0].node, a, b, tuple(pairs))
        for (field, service, a, b), pairs in found.items()
    ]
    return tuple(sorted(told, key=lambda change: _rank(change, place)))


def _rank(change: Change, place: Mapping[str, int]) -> tuple[int, str, int]:
    """How things ended in causal order, so that the cause comes first; the caller's fields by name."""
    if change.field.startswith("labels."):
        return 2, change.field, 0
    return _RANK.get(change.field, 0), "", min(place[a.id] for a, _ in change.pairs)


def _differing(a: Event, b: Event, linked: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """Field and both values of each difference."""
    facts = {
        "status": (_ended(a), _ended(b)),
        "outcome": (a.outcome, b.outcome) if a.kind == "span" and a.status == b.status else ("", ""),
        "error": (_error(a), _error(b)),
        "reason": (text(a.document, "event.reason"), text(b.document, "event.reason")),
        "level": (a.level, b.level) if a.kind == "line" else ("", ""),
        "route": (method_and_route(a), method_and_route(b)) if a.kind == "access" else ("", ""),
        "target": (target(a), target(b)) if a.kind == "call" and not {a.id, b.id} & linked else ("", ""),
    }
    for field, (before, after) in facts.items():
        if before != after:
            yield field, before or ABSENT, after or ABSENT
    yield from _fields(part(a.document, "labels"), part(b.document, "labels"))


def _ended(event: Event) -> str:
    if event.status is not None or event.kind not in ("access", "call"):
        return "" if event.status is None else str(event.status)
    return "failed" if event.failed else event.outcome


def _fields(a: Any, b: Any) -> Iterator[tuple[str, str, str]]:
    before, after = (each if isinstance(each, dict) else {} for each in (a, b))
    for name in dict.fromkeys((*before, *after)):
        values = _shown(before.get(name)), _shown(after.get(name))
        if values[0] != values[1]:
            yield f"labels.{name}", *values


def _shown(value: Any) -> str:
    if value is None:
        return ABSENT
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _error(event: Event) -> str:
    return ": ".join(filter(None, (text(event.document, "error.type"), text(event.document, "error.message"))))
