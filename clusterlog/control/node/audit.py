"""What a change of levels is told as: one event for each rule that came into force here, or ceased to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from clusterlog.control.rules.rule import ROOT, Rule, level_name

What = Literal["set", "reset", "expired", "rejected", "tripped", "drift"]


class Tell(Protocol):
    """Puts a state event on the road. Never raises."""

    def __call__(self, action: str, message: str, facts: Mapping[str, object], control: Mapping[str, object]) -> None:
        """``facts`` go under ``clusterlog.state``, ``control`` under ``clusterlog.control``."""


@dataclass(frozen=True, slots=True)
class Audited:
    """One change: ``before`` and ``after`` are the levels of the rule's logger in force."""

    what: What
    rule: Rule
    before: int
    after: int
    version: str = ""
    why: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def message(self) -> str:
        """A line for people: what, where, by whom, why."""
        name = self.rule.logger or "root"
        asked = ("at least " if self.rule.kind == "cap" else "") + level_name(self.rule.level)
        by = f" by {self.rule.actor}" if self.rule.actor else ""
        if self.what == "set":
            said = f"{name} {level_name(self.before)} → {level_name(self.after)}: rule {self.rule.id}{by} ({asked})"
        elif self.what == "rejected":
            said = f"{name} stays {level_name(self.after)}: rule {self.rule.id}{by} ({asked}) is not followed"
        else:
            said = f"{name} {level_name(self.before)} → {level_name(self.after)}: rule {self.rule.id}{by} {self.what}"
        reason = self.why or self.rule.reason
        return f"{said}: {reason}" if reason else said

    def tell(self, tell: Tell, instance: str) -> None:
        """Say it on the road."""
        name = self.rule.logger if self.rule.logger != ROOT else "root"
        facts: dict[str, object] = {"instance": instance, "levels": {name: level_name(self.after)}}
        if self.why or self.rule.reason:
            facts["reason"] = self.why or self.rule.reason
        control: dict[str, object] = {
            "change": self.what,
            "rule": self.rule.id,
            "logger": name,
            "level": level_name(self.rule.level),
            "before": level_name(self.before),
            "after": level_name(self.after),
        }
        control |= {key: value for key, value in (("actor", self.rule.actor), ("version", self.version)) if value}
        if self.rule.predicate is not None:
            control["request"] = self.rule.predicate.request or "*"
        tell("audit", self.message(), facts, control)
