"""The levels of standard loggers, and so of native ones, set as rules ask in one swap, and put back as they were.

What the application configured is never written down and never lost: a level that was set here is a number that knows
what was there before. Whatever else is found on a ruled logger was put there by the application meanwhile (drift); it
is the new base, under the same rules.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from clusterlog.control.applying import blocked
from clusterlog.control.applying.bases import Ruled, base_level, nearest, own_base
from clusterlog.control.applying.drift import Watch
from clusterlog.control.applying.requests import Escalations
from clusterlog.control.applying.token import Tokens
from clusterlog.control.applying.volume import Volume, limited
from clusterlog.control.rules.effective import Effective, Levels, lineage
from clusterlog.control.rules.rule import ROOT, Rule
from clusterlog.record.slot import slot

State = Literal["applied", "no-effect", "rejected", "tripped"]
MOST_CONFIGURED = 50
"""Loggers with a level of their own that are told of beside those of rules."""


@dataclass(frozen=True, slots=True)
class Held:
    """What became of a rule here, and why it is not, or not all of, what was asked."""

    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What is really in force in this process: of each rule that means it, of the root logger, of others by name.

    ``loggers`` are those that rules speak of, and those that the application gave a level of their own.
    """

    rules: dict[str, Held]
    level: int
    loggers: dict[str, int]


class InForce:
    """Puts ``Levels`` in force in this process, one set of them at a time, and tells what came of it.

    Safe in threads; every method holds logging's own lock for the time of one pass over the loggers that are ruled.
    ``on_trip(rule, reason)`` is called when a rule has spent what it may, in the thread whose line was one too many.
    """

    def __init__(
        self,
        tokens: Tokens | None = None,
        user_hash: Callable[[str], str] = str,
        on_trip: Callable[[str, str], object] = lambda rule, reason: None,
        ended: Callable[[str], bool] = lambda rule: False,
    ) -> None:
        """``tokens`` of the cluster, where there is a key; ``user_hash`` gives the ``user.hash`` of an identity.

        ``ended(rule)`` is asked for each line that a rule lets be said: whether the time of that rule is over.
        """
        self._levels = Levels()
        self._tripped: dict[str, str] = {}
        self._ruled: dict[str, logging.Logger] = {}
        self._drift: dict[str, int] = {}
        self._busy = False
        self._watch = Watch(self._configured)
        self._requests = Escalations(tokens, user_hash, self._stand_guard)
        self._guard: Volume | None = None
        self._on_trip = on_trip
        self._ended = ended

    @property
    def levels(self) -> Levels:
        """What is in force, without the rules that were tripped."""
        return self._levels

    def apply(self, levels: Levels) -> None:
        """Put ``levels`` in force in place of those before, in one swap: no line is judged by half of them."""
        with _lock():
            known = {rule.id for rule in levels.rules}
            self._tripped = {rule: reason for rule, reason in self._tripped.items() if rule in known}
            self._put(levels)

    def restore(self) -> None:
        """Leave every logger with exactly the level that the application gave it, and let go of everything."""
        self.apply(Levels())
        self._requests.close()
        self._stand_guard()

    def trip(self, rule: str, reason: str) -> None:
        """A rule cost more than it may: it is not in force here any more, until the document forgets it."""
        with _lock():
            self._tripped[rule] = reason
            self._put(self._levels)

    def drifted(self) -> dict[str, int]:
        """The new bases by logger of what the application has configured since the last look; the rules hold again.

        To be called now and then: what a rule may not cost any more, and grants that are over, end here at the latest.
        """
        with _lock():
            self._put(self._levels)
            found, self._drift = self._drift, {}
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
            ruled = {name: self._level_of(name) for name in self._levels.loggers() if name}
            own = sorted(name for name, logger in _loggers() if name and own_base(logger))
            configured = {name: self._level_of(name) for name in islice(own, MOST_CONFIGURED)}
            return Report(rules, logging.root.getEffectiveLevel(), configured | ruled)

    def _level_of(self, name: str) -> int:
        """The level really in force of a logger; of one that nobody has made yet, the one it will have."""
        logger = nearest(name)
        if name == logger.name:
            return logger.getEffectiveLevel()
        return self._levels.of(name, base_level(logger)).level

    def _put(self, levels: Levels) -> None:
        """``levels`` but for what was tripped, on loggers, for requests and for the guard."""
        before, self._levels = self._levels, self._without_tripped(levels)
        self._watch.turn(bool(self._levels.loggers()))
        self._swap()
        if before is not self._levels:
            self._requests.apply(self._levels, frozenset(self._tripped))
        self._requests.settle()
        self._stand_guard()

    def _stand_guard(self) -> None:
        """Have lines counted in front of the road, if there is a road and something to count."""
        present, needed = slot.road, self._requests.on or limited(self._levels)
        guard = present if isinstance(present, Volume) else None
        if needed and guard is None and present is not None:
            guard = self._guard = (self._guard or Volume(present, self._over, self._ended)).before(present)
            slot.road = guard
        elif not needed and guard is not None:
            slot.road, self._guard = guard.road, None
        if guard is not None:
            guard.apply(self._levels)

    def _over(self, rule: str, reason: str) -> None:
        """The guard lets nothing by ``rule`` pass any more; its level ends now, or when logging's lock is free."""
        self._tripped[rule] = reason
        if not self._busy and _lock().acquire(blocking=False):
            try:
                self._put(self._levels)
            finally:
                _lock().release()
        self._on_trip(rule, reason)

    def _without_tripped(self, levels: Levels) -> Levels:
        kept = tuple(rule for rule in levels.rules if rule.id not in self._tripped)
        return levels if len(kept) == len(levels.rules) else replace(levels, rules=kept)

    def _held(self, rule: Rule) -> Held:
        """What became of a rule that is followed here."""
        refused = self._levels.refusals.get(rule.id)
        told = "" if refused is None else refused.text
        if rule.predicate is not None:
            return self._held_for_requests(rule, told)
        logger = nearest(rule.logger)
        base = base_level(logger)
        found = self._levels.of(rule.logger, base)
        decided = found.steps[-1]
        as_asked = found.level >= rule.level if rule.kind == "cap" else found.level == rule.level
        if refused is None and decided.rule != rule.id and not as_asked:
            by = f"rule {decided.rule}" if decided.rule else "this node's ceiling"
            return Held("no-effect", f"{by} decides the level of {rule.logger or 'root'}")
        if found.level < base:
            layers = blocked.layers(logger, found.level)
            certain = [layer.text for layer in layers if layer.certain]
            if certain:
                return Held("no-effect", certain[0])
            told = told or next((layer.text for layer in layers if layer.layer == "unheard"), "")
        if not exists(rule.logger):
            told = told or f"no logger {rule.logger} here yet"
        return Held("applied", told)

    def _held_for_requests(self, rule: Rule, told: str) -> Held:
        if rule.kind == "cap":
            return Held("no-effect", "a rule about some requests can only say more, not less")
        layers = [layer for layer in blocked.layers(nearest(rule.logger), rule.level) if layer.certain]
        return Held("no-effect", layers[0].text) if layers else Held("applied", told)

    def _configured(self, logger: logging.Logger, made: bool) -> None:
        """The application has made a logger, or given it a level."""
        name = ROOT if logger is logging.root else logger.name
        with _lock():
            names = self._levels.loggers()
            # A logger that has just been made inherits what is in force, unless a rule names what was not there.
            about = _hollow(names) if made else names
            if name in names or not about.isdisjoint(lineage(name)):
                self._swap(within=name)

    def _swap(self, within: str = ROOT) -> None:
        """Set every level that is not what it should be, and note the new bases found on loggers that were ruled.

        ``within``: only of this logger and those below it.
        """
        if self._busy:  # a signal handler or a finaliser inside of it; the next look finds what it left
            return
        self._busy = True
        try:
            if self._set(self._levels.loggers(), within):
                _forget_answers()
        finally:
            self._busy = False

    def _set(self, names: frozenset[str], within: str) -> bool:
        below, changed, hollow = f"{within}.", False, _hollow(names)
        deciding: list[tuple[str, logging.Logger]] = []
        for name, logger in _loggers():
            if within and name != within and not name.startswith(below):
                continue
            present = logger.level
            base = own_base(logger)
            if name in self._ruled and type(present) is not Ruled:
                self._drift[name] = present
            # Every other logger inherits: its level is that of its parent, whatever is in force there.
            about = names if base else hollow
            if name in names or (about and not about.isdisjoint(lineage(name))):
                deciding.append((name, logger))
            elif type(present) is Ruled:
                logger.level = base
                changed = True
                self._ruled.pop(name, None)
        for name, logger in sorted(deciding, key=lambda each: each[0]):  # parents before their children
            changed |= self._decide(name, logger)
        return changed

    def _decide(self, name: str, logger: logging.Logger) -> bool:
        """Give ``logger`` the level of its own that it needs so that the one in force is what rules ask."""
        present, base = logger.level, own_base(logger)
        wanted = self._levels.of(name, base_level(logger)).level
        inherited = base or (logging.NOTSET if logger.parent is None else logger.parent.getEffectiveLevel())
        level: int = base if wanted == inherited else Ruled(wanted, base)
        if type(level) is Ruled:
            self._ruled[name] = logger
        else:
            self._ruled.pop(name, None)
        if level == present and type(level) is type(present):
            return False
        logger.level = level
        return True


def _hollow(names: frozenset[str]) -> frozenset[str]:
    """Those of ``names`` that no logger has: loggers below them have no parent to inherit from what they ask."""
    known = logging.root.manager.loggerDict
    return frozenset(name for name in names if name and not isinstance(known.get(name), logging.Logger))


def exists(name: str) -> bool:
    """Whether somebody has made the logger of a name, or one below it."""
    return name == ROOT or name in logging.root.manager.loggerDict


def _loggers() -> Iterator[tuple[str, logging.Logger]]:
    """Every logger by name, the root first."""
    yield ROOT, logging.root
    for name, found in tuple(logging.root.manager.loggerDict.items()):
        if isinstance(found, logging.Logger):
            yield name, found


def _lock() -> Any:
    """Logging's own lock, which it takes itself to fill a cache: while it is held nobody sees half of a change."""
    return logging._lock  # type: ignore[attr-defined]


def _forget_answers() -> None:
    """Have every logger look anew what is enabled; native loggers read the same caches.

    The library's own ``_clear_cache`` fails where a signal handler makes a logger meanwhile.
    """
    for logger in (logging.root, *tuple(logging.root.manager.loggerDict.values())):
        if isinstance(logger, logging.Logger):
            logger._cache.clear()  # type: ignore[attr-defined]
