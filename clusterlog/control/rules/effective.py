"""The level of a logger in force: what the application configured, then the rules, then what this node allows."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from clusterlog.control.rules.rule import ROOT, Member, RequestFacts, Rule, level_name, level_number, logger_named
from clusterlog.control.rules.selecting import asked, meant, specificity

NOBODY = Member("", "", "")
Source = Literal["base", "rule", "cap", "ceiling"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What this node lets be done to it, whoever asks: the sender's wish ends here (control-plane.md 4.8).

    ``ceilings``: the most verbose level that a rule may set, by logger, which means all below it, too; the longest
    name decides. ``longest_ns``: rules that live longer, those that stay among them, are refused; 0 for no limit.
    ``applies``: whether levels are taken from others at all (a node whose role is ``receive`` takes none).
    """

    ceilings: tuple[tuple[str, int], ...] = ((ROOT, logging.DEBUG),)
    longest_ns: int = 0
    applies: bool = True

    def ceiling(self, logger: str) -> int:
        """The most verbose level a rule may set on ``logger``."""
        known = dict(self.ceilings)
        return next((known[name] for name in lineage(logger) if name in known), logging.DEBUG)


def ceilings(words: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """``INFO`` for all loggers, ``botocore=WARNING`` for some; what comes later wins. Raises ValueError."""
    found = {}
    for word in words:
        logger, separator, level = word.rpartition("=")
        found[logger_named(logger) if separator else ROOT] = level_number(level)
    return tuple(found.items())


@dataclass(frozen=True, slots=True)
class Step:
    """``level`` is what holds after this step; ``rule`` is the id of the rule it is by, empty for what is by none."""

    source: Source
    level: int
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Effective:
    """The level in force, and how it came about: base, each rule that speaks of it, caps, ceiling."""

    level: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a rule is not followed here, or not as it was asked: one word, and a line for people."""

    reason: str
    text: str


def lineage(logger: str) -> Iterable[str]:
    """The logger and all above it, the nearest first, the root last: on dot boundaries, never by raw prefix."""
    name = ROOT if logger == "root" else logger
    while name:
        yield name
        name = name.rpartition(".")[0]
    yield ROOT


def refusal(rule: Rule, policy: Policy) -> Refusal | None:
    """Why this node does not follow ``rule``, or not wholly; None where it does."""
    if not policy.applies:
        return Refusal("role", "this node takes no levels from others")
    life = rule.expires_ns - rule.created_ns
    if policy.longest_ns and (not rule.expires_ns or life > policy.longest_ns):
        lives = f"lives {life / 1e9:.0f} s" if rule.expires_ns else "stays for good"
        return Refusal("longest", f"it {lives}, and rules live {policy.longest_ns / 1e9:.0f} s here at most")
    ceiling = policy.ceiling(rule.logger)
    if rule.kind == "set" and rule.level < ceiling:
        return Refusal(
            "ceiling", f"{level_name(ceiling)} is the most verbose level that {rule.logger or 'root'} may have"
        )
    return None


def _order(rule: Rule) -> tuple[bool, int, tuple[int, ...], int, str]:
    """What is applied later wins: about this request, longest logger, narrowest selector, newest revision."""
    return (rule.predicate is not None, len(rule.logger), specificity(rule.selector), rule.rev, rule.id)


@dataclass(frozen=True, slots=True)
class Levels:
    """What ``rules`` make of the levels of ``member`` under its own ``policy``. Immutable, and cheap to ask.

    ``rules`` are those in force: whoever makes this leaves out what has expired or was tripped.
    """

    rules: tuple[Rule, ...] = ()
    member: Member = NOBODY
    policy: Policy = Policy()
    mine: tuple[Rule, ...] = field(init=False)
    """The rules that mean this member and that it follows, in the order in which they are applied."""
    refusals: Mapping[str, Refusal] = field(init=False)
    """By rule: those that mean this member, and that it does not follow as they ask."""
    _by_logger: Mapping[str, tuple[Rule, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        to_me = [rule for rule in self.rules if meant(rule.selector, self.member)]
        refusals = {rule.id: found for rule in to_me if (found := refusal(rule, self.policy))}
        # A rule above the ceiling is held there, and goes as far as it may.
        kept = [rule for rule in to_me if rule.id not in refusals or refusals[rule.id].reason == "ceiling"]
        mine = tuple(sorted(kept, key=_order))
        names = {rule.logger for rule in mine}
        put = object.__setattr__
        put(self, "mine", mine)
        put(self, "refusals", refusals)
        put(self, "_by_logger", {name: tuple(rule for rule in mine if rule.logger == name) for name in names})

    def of(self, logger: str, base: int, request: RequestFacts | None = None) -> Effective:
        """The level of ``logger``, whose level would be ``base`` without rules; in ``request``, where one is given."""
        found = [
            rule
            for name in lineage(logger)
            for rule in self._by_logger.get(name, ())
            if rule.predicate is None or (request is not None and asked(rule.predicate, request))
        ]
        if not found:
            return Effective(base, (Step("base", base),))
        found.sort(key=_order)
        level = base
        steps = [Step("base", base)]
        for rule in found:
            if rule.kind == "set":
                level = rule.level
                steps.append(Step("rule", level, rule.id))
        for rule in found:
            if rule.kind == "cap":
                level = max(level, rule.level)
                steps.append(Step("cap", level, rule.id))
        held = max(level, min(base, self.policy.ceiling(logger)))
        if held != level:
            steps.append(Step("ceiling", held))
        return Effective(held, tuple(steps))

    def loggers(self) -> frozenset[str]:
        """Whose level may differ from what it inherits, outside requests: those of rules, and ceilings below them."""
        named = {rule.logger for rule in self.mine if rule.predicate is None}
        return frozenset(named | {name for name, _ in self.policy.ceilings if named.intersection(lineage(name))})

    def for_requests(self) -> tuple[Rule, ...]:
        """The rules that are about some requests only, in the order in which they are applied."""
        return tuple(rule for rule in self.mine if rule.predicate is not None)
