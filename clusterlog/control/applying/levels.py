"""The levels of standard loggers, and so of native ones, set as rules ask in one swap, and put back as they were.

What the application configured is never written down and never lost: a level that was set here is a number that knows
what was there before. Whatever else is found on a ruled logger was put there by the application meanwhile (drift); it
is the new base, under the same rules.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from clusterlog.control.applying import blocked
from clusterlog.control.applying.drift import Watch
from clusterlog.control.rules.effective import Effective, Levels, lineage
from clusterlog.control.rules.rule import ROOT, Rule

State = Literal["applied", "no-effect", "rejected", "tripped"]


class Ruled(int):
    """A level that a rule set; ``base`` is the level that the application had set, the very object."""

    base: int

    def __new__(cls, level: int, base: int) -> Self:
        """``level`` in force over ``base``."""
        made = super().__new__(cls, level)
        made.base = base
        return made


@dataclass(frozen=True, slots=True)
class Held:
    """What became of a rule here, and why it is not, or not all of, what was asked."""

    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What is really in force in this process: of each rule that means it, of the root logger, of ruled loggers."""

    rules: dict[str, Held]
    level: int
    loggers: dict[str, int]


class InForce:
    """Puts ``Levels`` in force in this process, one set of them at a time, and tells what came of it.

    Safe in threads; every method holds logging's own lock for the time of one pass over the loggers that are ruled.
    """

    def __init__(self) -> None:
        self._levels = Levels()
        self._tripped: dict[str, str] = {}
        self._ruled: dict[str, logging.Logger] = {}
        self._drift: dict[str, int] = {}
        self._watch = Watch(self._configured)

    @property
    def levels(self) -> Levels:
        """What is in force, without the rules that were tripped."""
        return self._levels

    def apply(self, levels: Levels) -> None:
        """Put ``levels`` in force in place of those before, in one swap: no line is judged by half of them."""
        with _lock():
            known = {rule.id for rule in levels.rules}
            self._tripped = {rule: reason for rule, reason in self._tripped.items() if rule in known}
            self._levels = self._without_tripped(levels)
            self._watch.turn(bool(self._levels.loggers()))
            self._drift |= self._swap()

    def restore(self) -> None:
        """Leave every logger with exactly the level that the application gave it."""
        self.apply(Levels())

    def trip(self, rule: str, reason: str) -> None:
        """A rule cost more than it may: it is not in force here any more, until the document forgets it."""
        with _lock():
            self._tripped[rule] = reason
            self._levels = self._without_tripped(self._levels)
            self._drift |= self._swap()

    def drifted(self) -> dict[str, int]:
        """The new bases by logger of what the application has configured since the last look; the rules hold again."""
        with _lock():
            found, self._drift = self._drift | self._swap(), {}
            return found

    def effective(self, logger: str) -> Effective:
        """The level of ``logger`` in force outside of requests, and how it came about."""
        with _lock():
            return self._levels.of(logger, base_level(nearest(logger)))

    def report(self) -> Report:
        """What is in force, and what of it has no effect."""
        with _lock():
            rules = {rule: Held("tripped", reason) for rule, reason in self._tripped.items()}
            rules |= {rule: Held("rejected", why.text) for rule, why in self._levels.refusals.items()}
            for rule in self._levels.mine:
                rules[rule.id] = self._held(rule)
            loggers = {name: nearest(name).getEffectiveLevel() for name in self._levels.loggers() if name}
            return Report(rules, logging.root.getEffectiveLevel(), loggers)

    def _without_tripped(self, levels: Levels) -> Levels:
        kept = tuple(rule for rule in levels.rules if rule.id not in self._tripped)
        return levels if len(kept) == len(levels.rules) else replace(levels, rules=kept)

    def _held(self, rule: Rule) -> Held:
        """What became of a rule that is followed here."""
        refused = self._levels.refusals.get(rule.id)
        told = "" if refused is None else refused.text
        if rule.predicate is not None:
            return Held("applied", told)
        logger = nearest(rule.logger)
        base = base_level(logger)
        found = self._levels.of(rule.logger, base)
        decided = found.steps[-1]
        if refused is None and decided.rule != rule.id and not (rule.kind == "cap" and found.level >= rule.level):
            by = f"rule {decided.rule}" if decided.rule else "this node's ceiling"
            return Held("no-effect", f"{by} decides the level of {rule.logger or 'root'}")
        if found.level < base:
            layers = [layer for layer in blocked.layers(logger, found.level) if layer.certain]
            if layers:
                return Held("no-effect", layers[0].text)
        if not exists(rule.logger):
            told = told or f"no logger {rule.logger} here yet"
        return Held("applied", told)

    def _configured(self, logger: logging.Logger) -> None:
        """The application has made a logger, or given it a level."""
        name = ROOT if logger is logging.root else logger.name
        with _lock():
            if not self._levels.loggers().isdisjoint(lineage(name)):
                self._drift |= self._swap()

    def _swap(self) -> dict[str, int]:
        """Set every level that is not what it should be; gives the new bases found on loggers that were ruled."""
        drift: dict[str, int] = {}
        wanted: dict[logging.Logger, int] = {}  # the level in force of each logger that was looked at
        names = self._levels.loggers()
        ruled: dict[str, logging.Logger] = {}
        changed = False
        for name, logger in _loggers():
            present = logger.level
            was_ruled = name in self._ruled
            if was_ruled and type(present) is not Ruled:
                drift[name] = present
            level: int = own_base(logger)
            if names and not names.isdisjoint(lineage(name)):
                level = self._own(name, logger, level, wanted)
            if type(level) is Ruled:
                ruled[name] = logger
            if level is not present and not (type(level) is type(present) and level == present):
                logger.level = level
                changed = True
        self._ruled = ruled
        if changed:
            _forget_answers()
        return drift

    def _own(self, name: str, logger: logging.Logger, base: int, wanted: dict[logging.Logger, int]) -> int:
        """The level that ``logger`` itself needs so that the one in force is what rules ask; parents come first."""
        level = self._levels.of(name, base_level(logger)).level
        wanted[logger] = level
        parent = logger.parent
        if base:
            inherited = base
        elif parent is None:
            inherited = logging.NOTSET
        else:
            inherited = wanted[parent] if parent in wanted else base_level(parent)
        return base if level == inherited else Ruled(level, base)


def own_base(logger: logging.Logger) -> int:
    """The level that the application gave this logger itself; ``NOTSET`` for none."""
    level = logger.level
    return level.base if type(level) is Ruled else level


def base_level(logger: logging.Logger | None) -> int:
    """The level that would be in force for this logger if there were no rules."""
    while logger is not None:
        level = own_base(logger)
        if level:
            return level
        logger = logger.parent
    return logging.NOTSET


def nearest(name: str) -> logging.Logger:
    """The logger of a name or, where nobody has made it yet, the one it would have its level from."""
    known = logging.root.manager.loggerDict
    for each in lineage(name):
        found = known.get(each)
        if isinstance(found, logging.Logger):
            return found
    return logging.root


def exists(name: str) -> bool:
    """Whether somebody has made the logger of a name, or one below it."""
    return name == ROOT or name in logging.root.manager.loggerDict


def _loggers() -> Iterator[tuple[str, logging.Logger]]:
    """Every logger by name, parents before their children."""
    yield ROOT, logging.root
    known = logging.root.manager.loggerDict
    for name in sorted(known):
        found = known[name]
        if isinstance(found, logging.Logger):
            yield name, found


def _lock() -> Any:
    """Logging's own lock, which it takes itself to fill a cache: while it is held nobody sees half of a change."""
    return logging._lock  # type: ignore[attr-defined]


def _forget_answers() -> None:
    """Have every logger look anew what is enabled; native loggers read the same caches."""
    with suppress(AttributeError):
        logging.root.manager._clear_cache()  # type: ignore[attr-defined]
