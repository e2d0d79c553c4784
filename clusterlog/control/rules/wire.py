"""Rules on the wire: the fields of ``Rule``, what is empty left out, and what may stand in each of them.

A field of a rule that is not known is kept and passed over; but a kind, a term or a limit that is not known would make
the rule mean more than its author meant, so that the rule is refused, alone, and its reason said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from clusterlog.control.canonical import canonical
from clusterlog.control.rules.rule import (
    MOST_TEXT,
    Limits,
    Predicate,
    Rule,
    Selector,
    level_name,
    level_number,
    logger_named,
)
from clusterlog.errors import Rejected

_NAMES = tuple(field.name for field in fields(Rule) if field.name != "more")
_TIMES = ("created_ns", "expires_ns", "rev")
_LATEST = 1 << 63
_MOST_VALUES = 1000


@dataclass(frozen=True, slots=True)
class Refused:
    """A rule that is not followed here: ``reason`` is one word, ``text`` a line, ``raw`` the rule as it was read."""

    id: str
    reason: str
    text: str
    raw: Mapping[str, Any]


def written(rule: Rule) -> dict[str, Any]:
    """The rule as plain data, with whatever another version has said in it."""
    found: dict[str, Any] = json.loads(rule.more) if rule.more else {}
    found |= {"id": rule.id, "logger": rule.logger, "level": level_name(rule.level), "kind": rule.kind}
    for name in ("selector", "predicate", "limits"):
        terms = _terms(getattr(rule, name))
        if terms:
            found[name] = terms
    found |= {name: getattr(rule, name) for name in (*_TIMES, "actor", "reason") if getattr(rule, name)}
    return found


def _terms(part: Selector | Predicate | Limits | None) -> dict[str, Any]:
    if part is None:
        return {}
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value not in ("", (), None, 0) or (name == "percent" and value == 0)
    }


def read_rules(raw: Iterable[Any]) -> tuple[tuple[Rule, ...], tuple[Refused, ...]]:
    """The rules that can be followed, and those that cannot. Raises ``Rejected`` (``garbage``) for what is no rule."""
    followed: dict[str, Rule] = {}
    refused = []
    for each in raw:
        if not isinstance(each, dict) or not isinstance(each.get("id"), str) or not each["id"]:
            raise Rejected("every rule is an object with an id", "garbage")
        try:
            rule = read_rule(each)
            if rule.id in followed:
                raise Rejected(f"there are two rules {rule.id}", "duplicate")
            followed[rule.id] = rule
        except Rejected as error:
            refused.append(Refused(each["id"], error.reason, str(error), each))
    return tuple(followed.values()), tuple(refused)


def read_rule(raw: Mapping[str, Any]) -> Rule:
    """The rule that ``raw`` is. Raises ``Rejected``; its reason names the field that cannot be followed."""
    kind = raw.get("kind", "set")
    if kind not in ("set", "cap"):
        raise Rejected(f"{kind!r} is a kind of rule that this version of clusterlog does not know", "kind")
    more = {name: value for name, value in raw.items() if name not in _NAMES}
    return Rule(
        id=_text(raw, "id"),
        logger=_logger(raw),
        level=_level(raw),
        kind=kind,
        selector=_selector(raw),
        predicate=Predicate(**_texts(raw, "predicate", Predicate)) if raw.get("predicate") else None,
        limits=_limits(raw),
        actor=_text(raw, "actor"),
        reason=_text(raw, "reason"),
        more=canonical(more).decode() if more else "",
        **{name: _whole(raw, name, name) for name in _TIMES},
    )


def _text(raw: Mapping[str, Any], name: str, reason: str = "") -> str:
    value = raw.get(name, "")
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise Rejected(f"{name} is a text of at most {MOST_TEXT} characters", reason or name)
    return value


def _whole(raw: Mapping[str, Any], name: str, reason: str) -> int:
    value = raw.get(name, 0)
    if type(value) is not int or not 0 <= value < _LATEST:
        raise Rejected(f"{name} is a whole number", reason)
    return value


def _logger(raw: Mapping[str, Any]) -> str:
    name = _text(raw, "logger")
    try:
        if logger_named(name) == name:
            return name
    except ValueError:
        pass
    raise Rejected(f"{name!r} is no logger's name", "logger")


def _level(raw: Mapping[str, Any]) -> int:
    name = raw.get("level")
    try:
        if isinstance(name, str):
            return level_number(name)
        raise ValueError("a level's name")
    except ValueError as error:
        raise Rejected(f"{name!r} is no level: {error}", "level") from None


def _part(raw: Mapping[str, Any], name: str, known: type[Selector | Predicate | Limits]) -> Mapping[str, Any]:
    """The terms of a part of a rule, all of them known: one that is passed over would widen what is meant."""
    terms = raw.get(name, {})
    if not isinstance(terms, dict):
        raise Rejected(f"{name} has terms", name)
    strange = terms.keys() - {field.name for field in fields(known)}
    if strange:
        raise Rejected(f"{name} {min(strange)!r} is a term that this version of clusterlog does not know", name)
    return terms


def _texts(raw: Mapping[str, Any], name: str, known: type[Predicate]) -> dict[str, str]:
    terms = _part(raw, name, known)
    return {term: _text(terms, term, name) for term in terms}


def _selector(raw: Mapping[str, Any]) -> Selector:
    terms = _part(raw, "selector", Selector)
    found: dict[str, Any] = {}
    for term, value in terms.items():
        if term == "percent":
            if type(value) not in (int, float) or not 0 <= value <= 100:
                raise Rejected("percent is a number from 0 to 100", "selector")
            found[term] = value
            continue
        kind = int if term == "worker" else str
        if not isinstance(value, list) or len(value) > _MOST_VALUES or any(type(each) is not kind for each in value):
            raise Rejected(f"{term} of a selector is a list of {'numbers' if kind is int else 'names'}", "selector")
        found[term] = tuple(value)
    return Selector(**found)


def _limits(raw: Mapping[str, Any]) -> Limits:
    terms = _part(raw, "limits", Limits)
    return Limits(**{term: _whole(terms, term, "limits") for term in terms})
