"""A change of the desired state as a command makes it: asked about, carried out, waited for, and told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import click

from clusterlog.cli import paint
from clusterlog.cli.control import documents, shown
from clusterlog.cli.home.cluster import Cluster, warn
from clusterlog.control.members import Node
from clusterlog.control.operator.change import Change, Look, Wish
from clusterlog.control.operator.proof import Meant, Minimum, Proof, level_of, proof
from clusterlog.control.operator.waiting import awaited, live
from clusterlog.control.rules.plan import Planned, plan
from clusterlog.control.rules.rule import ROOT, Member, Rule, Selector, level_name, level_number
from clusterlog.control.rules.selecting import meant
from clusterlog.errors import BusUnreachable, NotConfirmed

MANY = 8
"""Workers beyond which DEBUG on the root logger is asked about: one of many is enough to see what happens."""
_DEBUG = 10
SHORT = 24
"""Nodes of which all are listed; of more only those are that did not follow."""


def ask(wanted: Wish, selector: Selector, nodes: Iterable[Node]) -> None:
    """Raises Abort where somebody thinks better of it. Nobody is asked who is not there."""
    if not (paint.terminal(sys.stdin) and paint.terminal(sys.stderr)):
        return
    many = sum(
        documents.counts(worker) and meant(selector, node.member(worker)) for node in nodes for worker in node.workers
    )
    loud = wanted.logger == ROOT and wanted.level <= _DEBUG and wanted.kind == "set" and wanted.predicate is None
    if not wanted.life_s:
        question = f"put {level_name(wanted.level)} in force until somebody resets it?"
    elif loud and many > MANY:
        question = f"make every logger of {paint.counted(many, 'worker')} say {level_name(wanted.level)}?"
    else:
        return
    click.confirm(question, err=True, abort=True)


def carried(cluster: Cluster, change: Change, *, put: bool, wait: float, minimum: Minimum, as_json: bool) -> int:
    """Wait for the proof of what was written, and tell it. The exit code: 6 where too few have confirmed."""
    about = Meant(change.document.version, change.rules, put, _logger(change), cluster.nodes(change.seen.leases))
    found = _awaited(cluster, change, about, wait, minimum)
    _tell(change, found, put, as_json)
    if put and not found.expected:
        warn("nobody is there whom this means: it holds for those who join before it ends")
    elif put and found.unknown_logger:
        warn(f"no node has a logger {about.logger}: the rule holds for one that is made before it ends")
    return 0 if not wait or found.enough(minimum) else NotConfirmed.exit_code


def imported(cluster: Cluster, change: Change, *, wait: float, minimum: Minimum, as_json: bool) -> int:
    """As ``carried``, of a state that was put in place of another one: everybody is meant."""
    about = Meant(change.document.version, (), False, ROOT, cluster.nodes(change.seen.leases))
    found = _awaited(cluster, change, about, wait, minimum)
    if as_json:
        now_ns = change.document.issued_ns
        paint.emit(json.dumps(documents.of_change(found, change.rules, now_ns), ensure_ascii=False).encode())
    else:
        for text in shown.proof(found, everything=len(found.nodes) <= SHORT):
            paint.show(text)
        paint.show(f"{paint.counted(len(change.rules), 'rule')} in force, {shown.summary(found)}")
    return 0 if not wait or found.enough(minimum) else NotConfirmed.exit_code


def _logger(change: Change) -> str:
    """Whose level is told: the root's, where several loggers are meant."""
    loggers = {rule.logger for rule in change.rules}
    return loggers.pop() if len(loggers) == 1 else ROOT


def _awaited(cluster: Cluster, change: Change, about: Meant, wait: float, minimum: Minimum) -> Proof:
    """What the workers say. Where the bus is gone by now, that is said, and nobody has confirmed."""
    with paint.progress("waiting for proof", "workers") as advance:

        def tell(found: Proof) -> None:
            advance(found.applied, found.expected)

        try:
            return awaited(cluster.link, about, cluster.nodes, wait, minimum, tell, leases=live(change.seen.leases))
        except BusUnreachable as error:
            warn(f"written, but nobody's word on it can be read any more: {error}")
            return proof(about, about.nodes)


def _tell(change: Change, found: Proof, put: bool, as_json: bool) -> None:
    now_ns = change.document.issued_ns
    if as_json:
        paint.emit(json.dumps(documents.of_change(found, change.rules, now_ns), ensure_ascii=False).encode())
        return
    for text in shown.changed(change.rules, now_ns, put):
        paint.show(text)
    for text in shown.proof(found, everything=len(found.nodes) <= SHORT):
        paint.show(text)
    paint.show(shown.summary(found))


def plan_of(look: Look, wanted: Wish, selector: Selector, nodes: Iterable[Node]) -> tuple[Planned, ...]:
    """What a wish would do, by node and logger, as far as it is known here."""
    rule = Rule(
        id="new",
        logger=wanted.logger,
        level=wanted.level,
        kind=wanted.kind,
        selector=selector,
        predicate=wanted.predicate,
    )
    members: list[Member] = []
    said: dict[Member, list[str]] = {}
    for node in nodes:
        for worker in filter(documents.counts, node.workers):
            member = node.member(worker)
            members.append(member)
            said.setdefault(member, []).append(level_of(wanted.logger, worker.status.level, worker.status.loggers))

    def reported(member: Member, logger: str) -> int | None:
        name = said[member][0] if logger == wanted.logger else ""
        try:
            return level_number(name)
        except ValueError:  # a level of the application's own, or none said
            return None

    return plan(look.rules(), (*look.rules(), rule), members, reported)


def tell_plan(found: tuple[Planned, ...], as_json: bool) -> None:
    """Say what would change."""
    workers = sum(each.workers for each in found)
    if as_json:
        told = {"schema": documents.LEVEL, "dry_run": True, "rule": {}, "plan": documents.of_plan(found)}
        told |= {"nodes": [], "applied": 0, "expected": workers}
        paint.emit(json.dumps(told, ensure_ascii=False).encode())
        return
    for text in shown.plan(found):
        paint.show(text)
    paint.say(f"{paint.counted(workers, 'worker')} would follow; nothing was changed")
