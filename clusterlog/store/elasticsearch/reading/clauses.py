"""Clauses of Elasticsearch's query language, and pairs of them: what may match, and what surely does.

An index cannot say everything that a query means: it holds no text longer than a limit, no number as it was spelled,
no value that did not fit its mapping. So a condition becomes two clauses. ``maybe`` finds at least what matches,
``sure`` nothing but what matches. Where both are one the server has the last word, elsewhere the reference evaluator
(``store.predicate``) has it about each event in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clusterlog.store.document import words

Clause = dict[str, Any]

ALL: Clause = {"match_all": {}}
NONE: Clause = {"match_none": {}}


@dataclass(frozen=True, slots=True)
class Part:
    """What becomes of a condition."""

    maybe: Clause
    sure: Clause

    @property
    def exact(self) -> bool:
        """Whether the server alone can judge it."""
        return self.maybe is self.sure or self.maybe == self.sure


def exactly(clause: Clause) -> Part:
    """A condition that the index knows all about."""
    return Part(clause, clause)


def perhaps(clause: Clause) -> Part:
    """A condition of which the index only knows what cannot match."""
    return Part(clause, NONE)


EVERYTHING, NOTHING, UNKNOWN = exactly(ALL), exactly(NONE), perhaps(ALL)


def both(parts: Iterable[Part]) -> Part:
    """All of them; of none, everything."""
    each = list(parts)
    return Part(all_of(part.maybe for part in each), all_of(part.sure for part in each))


def either(parts: Iterable[Part]) -> Part:
    """Any of them; of none, nothing."""
    each = list(parts)
    return Part(any_of(part.maybe for part in each), any_of(part.sure for part in each))


def negated(part: Part) -> Part:
    """What may match and what surely does change places."""
    return Part(none_of(part.sure), none_of(part.maybe))


def all_of(clauses: Iterable[Clause]) -> Clause:
    """What matches each of the clauses, as one ``bool`` without another directly inside."""
    wanted: list[Clause] = []
    unwanted: list[Clause] = []
    for clause in clauses:
        inner = clause.get("bool", {})
        if inner and inner.keys() <= {"filter", "must_not"}:
            wanted += inner.get("filter", ())
            unwanted += inner.get("must_not", ())
        elif clause != ALL:
            wanted.append(clause)
    if NONE in wanted or ALL in unwanted:
        return NONE
    if len(wanted) == 1 and not unwanted:
        return wanted[0]
    told = {name: found for name, found in (("filter", wanted), ("must_not", unwanted)) if found}
    return {"bool": told} if told else ALL


def any_of(clauses: Iterable[Clause]) -> Clause:
    """What matches any of the clauses; equal values that are looked for in one field are one clause."""
    found: list[Clause] = []
    for clause in clauses:
        inner = clause.get("bool", {})
        if inner.keys() == {"should"}:
            found += inner["should"]
        elif clause != NONE:
            found.append(clause)
    if ALL in found:
        return ALL
    found = _joined(found)
    if not found:
        return NONE
    return found[0] if len(found) == 1 else {"bool": {"should": found}}


def none_of(clause: Clause) -> Clause:
    """What does not match the clause."""
    if clause == ALL:
        return NONE
    if clause == NONE:
        return ALL
    inner = clause.get("bool", {})
    if inner.keys() == {"must_not"} and len(inner["must_not"]) == 1:
        only: Clause = inner["must_not"][0]
        return only
    return {"bool": {"must_not": [clause]}}


def ignored(name: str, *, below: bool = False) -> Clause:
    """Documents with a value of this field that the field could not take; with ``below`` also of one below it."""
    own: Clause = {"term": {"_ignored": name}}
    return any_of((own, {"prefix": {"_ignored": f"{name}."}})) if below else own


def _joined(clauses: Iterable[Clause]) -> list[Clause]:
    """Each once, and all ``term`` and ``terms`` of a field in one: a server bounds how many clauses it is given."""
    found: list[Clause] = []
    terms: dict[str, dict[Any, None]] = {}
    places: dict[str, int] = {}
    for clause in clauses:
        ((kind, inside),) = clause.items()
        if kind not in ("term", "terms"):
            if clause not in found[-_COMPARED:]:
                found.append(clause)
            continue
        ((field, value),) = inside.items()
        if field not in terms:
            terms[field], places[field] = {}, len(found)
            found.append(clause)
        terms[field].update(dict.fromkeys(value if kind == "terms" else (value,)))
    for field, place in places.items():
        values = list(terms[field])
        found[place] = {"term": {field: values[0]}} if len(values) == 1 else {"terms": {field: values}}
    return found


_COMPARED = 32
"""Among so many of the last clauses one that is there already is left out."""


def size(clause: Clause) -> int:
    """How many clauses a server counts in it."""
    ((kind, inside),) = clause.items()
    if kind == "bool":
        return sum(size(each) for group in inside.values() for each in group)
    if kind in ("match", "match_phrase"):
        ((_, asked),) = inside.items()
        return max(1, len(words(asked["query"])))
    return 1


def depth(clause: Clause) -> int:
    """How many ``bool`` stand within each other in it."""
    if "bool" not in clause:
        return 0
    return 1 + max((depth(each) for group in clause["bool"].values() for each in group), default=0)
