"""Requests that say more than others: those that a rule is about, and those whose caller sent a token of the cluster.

What a request is found to be is kept on it and shared by all its tasks; the lines of requests that nobody means are
dropped as ever (``record.gate.armed``). Where nothing is in force nobody is asked.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from clusterlog.context import request as context
from clusterlog.context.request import Request, Scope
from clusterlog.control.applying.bases import base_level
from clusterlog.control.applying.token import LIFE_S, LINES, Grant, Tokens
from clusterlog.control.rules.effective import Levels, lineage
from clusterlog.control.rules.rule import RequestFacts, Rule, Selector
from clusterlog.control.rules.selecting import asked
from clusterlog.record.failure import raised_by_signal
from clusterlog.record.gate import armed

_MOST_TOKENS = 4
"""So many values of one header are looked at."""
_EVERYBODY = Selector()


class Granted(NamedTuple):
    """A grant, and until when it holds by this process's own monotonic clock."""

    grant: Grant
    until: float


class Escalated:
    """What a request may say beyond its loggers' levels, by rules and by grants of its caller."""

    __slots__ = ("_known", "_spent", "_token", "facts", "granted", "levels", "rules", "token_until", "until")

    def __init__(
        self, levels: Levels, facts: RequestFacts, rules: tuple[Rule, ...], granted: tuple[Granted, ...]
    ) -> None:
        self.levels = levels
        self.facts = facts
        self.rules = rules
        self.granted = granted
        self.until = min((each.until for each in granted), default=float("inf"))
        self.token_until = 0.0
        self._token = ""
        self._known: dict[str, tuple[int, str]] = {}
        self._spent: dict[str, int] = {}

    def level(self, logger: logging.Logger) -> tuple[int, str]:
        """The level of ``logger`` in this request, and the id of the rule it is by."""
        known = self._known.get(logger.name)
        if known is None:
            known = self._known[logger.name] = self._found(logger)
        return known

    def _found(self, logger: logging.Logger) -> tuple[int, str]:
        name = logger.name
        effective = self.levels.of(name, base_level(logger), self.facts)
        level = effective.level
        rule = next((step.rule for step in reversed(effective.steps) if step.rule), "")
        above = frozenset(lineage(name))
        for grant, _ in self.granted:
            if grant.logger in above and self._left(grant) > 0:
                allowed = max(grant.level, self.levels.policy.ceiling(name))
                if allowed < level:
                    level, rule = allowed, grant.rule
        return level, rule

    def _left(self, grant: Grant) -> int:
        return grant.lines - self._spent.get(grant.rule, 0)

    def spend(self, rule: str) -> bool:
        """Whether a line by ``rule`` is still covered, where a caller has granted it; what is spent is spent."""
        for grant, _ in self.granted:
            if grant.rule == rule:
                if self._left(grant) <= 0:
                    self._known.clear()
                    return False
                self._spent[rule] = self._spent.get(rule, 0) + 1
                return True
        return True

    def token(self, made: Callable[[], str], now: float) -> str:
        """The token for those whom this request calls, made anew when half of its life is over."""
        if now >= self.token_until:
            self._token = made()
            self.token_until = now + LIFE_S / 2
        return self._token


class Escalations:
    """Judges requests by the rules in force; ``context.request.Watching``, and asked by ``record.gate.armed``."""

    def __init__(
        self,
        tokens: Tokens | None = None,
        user_hash: Callable[[str], str] = str,
        turned: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """``tokens`` of the cluster, where there is a key; ``user_hash`` gives ``user.hash`` of an identity.

        ``turned`` is called when ``on`` has changed.
        """
        self._tokens = tokens
        self._user_hash = user_hash
        self._turned = turned
        self._clock, self._wall = clock, wall
        self._levels = Levels()
        self._rules: tuple[Rule, ...] = ()
        self._tripped: frozenset[str] = frozenset()
        self._until = 0.0
        self._on = False

    @property
    def on(self) -> bool:
        """Whether any request may be escalated now."""
        return self._on

    def apply(self, levels: Levels, tripped: frozenset[str] = frozenset()) -> None:
        """Judge by ``levels`` from here on; also what was judged before."""
        self._levels, self._tripped = levels, tripped
        self._rules = tuple(rule for rule in levels.for_requests() if rule.kind == "set")
        context.watching = self
        armed.forget()
        self.settle()

    def settle(self) -> None:
        """Have lines looked at while there is something to look for, and not a moment longer."""
        on = bool(self._rules) or self._clock() < self._until
        if on is self._on:
            return
        self._on = on
        if on:
            armed.ask(self.admits)
        else:
            armed.ask_no_more(self.admits)
        self._turned()

    def close(self) -> None:
        """Judge nobody any more."""
        self._rules, self._until = (), 0.0
        self.settle()
        if context.watching is self:
            context.watching = None

    def admits(self, scope: Scope, level: int, logger: logging.Logger) -> bool | None:
        """See ``record.gate.armed.Admits``."""
        request = scope.request
        if request is None or scope.over():
            return None
        found = self.of(scope)
        if found is None:
            # Which template answers is known later than the first lines.
            waits = callable(request.route) and any(rule.predicate and rule.predicate.route for rule in self._rules)
            return False if waits else None
        return level >= found.level(logger)[0] and logger.manager.disable < level

    def of(self, scope: Scope) -> Escalated | None:
        """What the request of ``scope`` may say more, as far as is known by now."""
        request = scope.request
        if request is None or not (self._rules or request.granted):
            return None
        found: Escalated | None = request.escalation
        if found is not None and found.levels is self._levels and self._clock() < found.until:
            return found
        return self._judged(request, self._facts(request, scope))

    def _judged(self, request: Request, facts: RequestFacts) -> Escalated | None:
        rules = tuple(rule for rule in self._rules if rule.predicate is not None and asked(rule.predicate, facts))
        now = self._clock()
        granted: tuple[Granted, ...] = ()
        if request.granted and self._levels.policy.applies:
            granted = tuple(
                each for each in request.granted if now < each.until and each.grant.rule not in self._tripped
            )
        if not rules and not granted:
            request.escalation = None
            return None
        made = request.escalation = Escalated(self._levels, facts, rules, granted)
        armed.forget()  # of the other tasks of this request, some may have been spared
        return made

    def _facts(self, request: Request, scope: Scope | None) -> RequestFacts:
        """What is known of a request; what one of its tasks has bound once counts for all."""
        before: Escalated | None = request.escalation
        known = RequestFacts() if before is None else before.facts
        labels = context.NOTHING if scope is None else scope.labels
        user = request.user if scope is None or scope.user is None else scope.user
        tenant = labels.get("tenant") or request.facts.get("tenant")
        route = request.route() if callable(request.route) else request.route
        by_user = user is not None and any(rule.predicate and rule.predicate.user for rule in self._rules)
        return RequestFacts(
            request.id,
            self._user_hash(user) if by_user and user is not None else known.user,
            known.tenant if tenant is None else str(tenant),
            route or known.route,
        )

    def arrived(self, request: Request, tokens: Sequence[str]) -> None:
        """See ``context.request.Watching``."""
        try:
            if self._tokens is None:
                return
            for token in tokens[:_MOST_TOKENS]:
                grants = self._tokens.read(token, request.id)
                if grants:
                    now, wall = self._clock(), self._wall()
                    granted = tuple(Granted(each, now + min(LIFE_S, each.expires_s - wall)) for each in grants)
                    request.granted = granted
                    self._until = max(self._until, *(each.until for each in granted))
                    self.settle()
                    return
        except Exception as error:  # a header of somebody else's, and a request of the host's
            if raised_by_signal(error):
                raise

    def learned(self, request: Request) -> None:
        """See ``context.request.Watching``."""
        try:
            if self._rules:
                found: Escalated | None = request.escalation
                facts = self._facts(request, None)
                meant = [rule for rule in self._rules if rule.predicate is not None and asked(rule.predicate, facts)]
                if meant and (found is None or not set(meant) <= set(found.rules)):
                    self._judged(request, facts)
        except Exception as error:  # facts are of any type
            if raised_by_signal(error):
                raise

    def token(self, scope: Scope) -> str:
        """See ``context.request.Watching``; a rule with a selector stays where it is meant."""
        try:
            found = None if self._tokens is None else self.of(scope)
            if found is None or scope.over():
                return ""
            return found.token(lambda: self._made(found), self._clock())
        except Exception as error:
            if raised_by_signal(error):
                raise
            return ""

    def _made(self, found: Escalated) -> str:
        wall = self._wall()
        own = [
            Grant(
                found.facts.request,
                rule.id,
                rule.logger,
                rule.level,
                rule.limits.lines or LINES,
                min(wall + LIFE_S, rule.expires_ns / 1e9) if rule.expires_ns else wall + LIFE_S,
            )
            for rule in found.rules
            if rule.selector == _EVERYBODY
        ]
        known = {grant.rule for grant in own}
        passed_on = [each.grant for each in found.granted if each.grant.rule not in known]
        grants = tuple(each for each in (*own, *passed_on) if each.expires_s > wall)
        return self._tokens.made(grants) if self._tokens is not None and grants else ""
