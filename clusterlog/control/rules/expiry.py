"""When a rule ends here: on a clock of this machine that nobody sets, whatever becomes of the bus.

A deadline is made once, when a rule is first read, and never moved: a longer life is a new rule. In doubt a rule ends
early, never late.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clusterlog.control.rules.rule import Rule

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_ns() -> int:
    """Nanoseconds since the machine was started, those it slept included; setting the time does not move it."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock)


def boot_id() -> str:
    """Which run of the machine this is; empty where it does not say."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def deadline_boot_ns(rule: Rule, snapshot_now_ns: int, boot_ns_before: int, longest_ns: int = 0) -> int | None:
    """When ``rule`` ends on this machine's boot clock; None for one that stays.

    ``snapshot_now_ns`` is the bus's clock from the same look as the rule, ``boot_ns_before`` this machine's from before
    that look, so that its duration shortens the rule. ``longest_ns`` is the longest life from here on, 0 for any.
    """
    if not rule.expires_ns:
        return boot_ns_before + longest_ns if longest_ns else None
    # A bus whose clock went back would else lengthen a life: never more than was meant when the rule was made.
    left = min(rule.expires_ns - snapshot_now_ns, max(0, rule.expires_ns - rule.created_ns))
    return boot_ns_before + (min(left, longest_ns) if longest_ns else left)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """By rule: when it ends, on the boot clock of ``boot``; None for one that stays."""

    boot: str = ""
    by_rule: Mapping[str, int | None] = field(default_factory=dict)

    def armed(self, rules: Iterable[Rule], snapshot_now_ns: int, boot_ns_before: int, longest_ns: int = 0) -> Deadlines:
        """The deadlines of ``rules``: as they were for those known, made now for new ones, and of no others."""
        return Deadlines(
            self.boot,
            {
                rule.id: self.by_rule[rule.id]
                if rule.id in self.by_rule
                else deadline_boot_ns(rule, snapshot_now_ns, boot_ns_before, longest_ns)
                for rule in rules
            },
        )

    def ended(self, rule: Rule, now_boot_ns: int) -> bool:
        """Whether ``rule`` is over; one without a deadline of its own has never begun."""
        if rule.id not in self.by_rule:
            return True
        deadline = self.by_rule[rule.id]
        return deadline is not None and now_boot_ns >= deadline

    def in_force(self, rules: Iterable[Rule], now_boot_ns: int) -> tuple[Rule, ...]:
        """Those of ``rules`` that are not over."""
        return tuple(rule for rule in rules if not self.ended(rule, now_boot_ns))

    def first(self, rules: Iterable[Rule]) -> int | None:
        """When the first of ``rules`` ends, or has ended by now; None for never.

        To be asked of the rules that are in force: of those that are over at this moment, one may still be among them.
        """
        found = [self.by_rule.get(rule.id, 0) for rule in rules]
        return min((due for due in found if due is not None), default=None)


@dataclass(frozen=True, slots=True)
class Saved:
    """Deadlines as they were written down at ``boot_ns`` of that boot and ``wall_ns`` (since the epoch)."""

    deadlines: Deadlines
    boot_ns: int
    wall_ns: int

    def resumed(self, boot: str, now_boot_ns: int, now_wall_ns: int) -> Deadlines:
        """The deadlines in this run of the machine: in the same one exactly as before, in another by the wall clock.

        By the wall clock a rule has never more left than when it was saved. A wall clock that is before that moment is
        wrong, and nobody knows by how much: all rules but those that stay are over.
        """
        if boot and boot == self.deadlines.boot and now_boot_ns >= self.boot_ns:
            return self.deadlines
        passed = now_wall_ns - self.wall_ns
        found: dict[str, int | None] = {}
        for rule, deadline in self.deadlines.by_rule.items():
            if deadline is None:
                found[rule] = None
            else:
                left = deadline - self.boot_ns - passed if passed >= 0 else 0
                found[rule] = now_boot_ns + max(0, left)
        return Deadlines(boot, found)
