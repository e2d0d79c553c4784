"""The guard in front of the road: what a rule makes processes say is counted, and a rule that says too much is tripped.

It stands there only while a rule in force has a limit, or requests may be escalated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from clusterlog.context.request import current
from clusterlog.control.applying.bases import base_level, nearest
from clusterlog.control.applying.requests import Escalated
from clusterlog.control.rules.effective import Levels
from clusterlog.control.rules.rule import Rule
from clusterlog.record.failure import raised_by_signal
from clusterlog.record.slot import Road

_KNOWN = 4096


class _Spent:
    """What one rule has made this process say. Threads may count past each other by a line or two."""

    __slots__ = ("lines", "second", "this_second")

    def __init__(self) -> None:
        self.lines = 0
        self.second = 0
        self.this_second = 0


class Volume:
    """A road that lets lines pass to another one as long as the rule they are said by has not spent its limits.

    ``tripped(rule, reason)`` is told once of a rule that has; from then on its lines end here. So do those of a rule
    that is ``ended``: a process that was stopped, and goes on after a rule's time, may log before anybody has noticed.
    """

    def __init__(
        self,
        road: Road,
        tripped: Callable[[str, str], None],
        ended: Callable[[str], bool] = lambda rule: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.before(road)
        self._told = tripped
        self._ended = ended
        self._clock = clock
        self._levels = Levels()
        self._rules: Mapping[str, Rule] = {}
        self._spent: dict[str, _Spent] = {}
        self._over: set[str] = set()
        self._bases: dict[str, int] = {}

    def before(self, road: Road) -> Self:
        """The same guard in front of ``road``, with all it has counted."""
        self.road = road
        self.bound = road.bound
        self.document = road.document
        self.encoder = getattr(road, "encoder", None)
        return self

    def apply(self, levels: Levels) -> None:
        """Count for these rules; what one of them has spent before stays spent."""
        self._rules = {rule.id: rule for rule in levels.mine}
        self._spent = {rule: spent for rule, spent in self._spent.items() if rule in self._rules}
        self._over &= self._rules.keys()
        self._levels = levels
        self._bases = {}

    def line(
        self,
        level: int,
        logger: str,
        event: Any,
        args: tuple[Any, ...],
        fields: dict[str, Any],
        failure: BaseException | None = None,
        stack: str | None = None,
        wall_ns: int = 0,
        bound: Any = None,
    ) -> None:
        """A log line, or nothing; see ``record.slot.Road``."""
        try:
            base = self._bases.get(logger)
            if base is None:
                base = self._base(logger)
            if level < base and not self._covered(level, logger, base):
                return
        except Exception as error:  # a fault of ours lets the line pass
            if raised_by_signal(error):
                raise
        self.road.line(level, logger, event, args, fields, failure, stack, wall_ns, bound)

    def _base(self, logger: str) -> int:
        if len(self._bases) >= _KNOWN:
            self._bases.clear()
        base = self._bases[logger] = base_level(nearest(logger))
        return base

    def _covered(self, level: int, logger: str, base: int) -> bool:
        """Whether the rule by which this line is said may say it."""
        effective = self._levels.of(logger, base)
        if level >= effective.level:
            by = next((step.rule for step in reversed(effective.steps) if step.rule), "")
            return self._spend(by)
        scope = current.get()
        found: Escalated | None = None if scope is None or scope.request is None else scope.request.escalation
        if found is None:
            return True
        allowed, by = found.level(nearest(logger))
        return level < allowed or (found.spend(by) and self._spend(by))

    def _spend(self, by: str) -> bool:
        rule = self._rules.get(by)
        if rule is None:
            return True
        if by in self._over or self._ended(by):
            return False
        limits, spent = rule.limits, self._spent.get(by)
        if spent is None:
            spent = self._spent[by] = _Spent()
        second = int(self._clock())
        if second != spent.second:
            spent.second, spent.this_second = second, 0
        spent.lines += 1
        spent.this_second += 1
        if limits.lines_per_s and spent.this_second > limits.lines_per_s:
            return self._trip(by, f"more than {limits.lines_per_s} lines a second")
        if limits.lines and spent.lines > limits.lines:
            return self._trip(by, f"more than {limits.lines} lines")
        return True

    def _trip(self, rule: str, reason: str) -> bool:
        self._over.add(rule)
        self._told(rule, reason)
        return False


def limited(levels: Levels) -> bool:
    """Whether any rule in force has a limit to be watched: of lines, or of time."""
    return any(rule.limits.lines or rule.limits.lines_per_s or rule.expires_ns for rule in levels.mine)
