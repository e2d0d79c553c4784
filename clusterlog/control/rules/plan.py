"""What a change would do, said before it is made: by node and logger, from what to what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from logging import NOTSET

from clusterlog.control.rules.effective import Levels, lineage
from clusterlog.control.rules.rule import Member, Rule

_NEWEST = 1 << 62
Reported = Callable[[Member, str], int | None]
"""The level of a logger that a worker said is in force there; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A logger on ``workers`` alike workers of a node. None as a level is what the application has configured.

    ``rules`` are the new ones that this node would follow here; ``some_requests``: they are about some requests only,
    so that the level of other lines stays as it is.
    """

    service: str
    node: str
    workers: int
    logger: str
    before: int | None
    after: int | None
    rules: tuple[str, ...] = ()
    some_requests: bool = False


def plan(
    before: Iterable[Rule], after: Iterable[Rule], members: Iterable[Member], reported: Reported = lambda *_: None
) -> tuple[Planned, ...]:
    """What going from the rules ``before`` to ``after`` does to those of ``members`` whom it touches.

    Rules whose ``rev`` is 0 are new. What a node's own policy makes of them is only known there.
    """
    old = tuple(before)
    new = tuple(rule if rule.rev else replace(rule, rev=_NEWEST) for rule in after)
    differ = set(old) ^ set(new)
    found: dict[Planned, int] = {}
    for member in members:
        was, is_ = Levels(old, member), Levels(new, member)
        for logger in sorted({rule.logger for rule in differ.intersection((*was.mine, *is_.mine))}):
            line = _line(member, logger, was, is_, differ, reported)
            found[line] = found.get(line, 0) + 1
    return tuple(
        Planned(p.service, p.node, count, p.logger, p.before, p.after, p.rules, p.some_requests)
        for p, count in found.items()
    )


def _line(member: Member, logger: str, was: Levels, is_: Levels, differ: set[Rule], reported: Reported) -> Planned:
    base = reported(member, logger) if not _ruled(was, logger) else None
    fresh = [rule for rule in is_.mine if rule in differ and rule.logger == logger]
    return Planned(
        member.service,
        member.node,
        0,
        logger,
        base or _level(was, logger, NOTSET),
        _level(is_, logger, base or NOTSET),
        tuple(rule.id for rule in fresh),
        bool(fresh) and all(rule.predicate for rule in fresh),
    )


def _ruled(levels: Levels, logger: str) -> bool:
    return not levels.loggers().isdisjoint(lineage(logger))


def _level(levels: Levels, logger: str, base: int) -> int | None:
    return levels.of(logger, base).level or None
