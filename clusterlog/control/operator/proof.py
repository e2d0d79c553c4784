"""The proof of a change: who was meant, who has it in force by its own word, and why the others have not.

Who counts is fixed when the change is written: workers that lived then. Who comes later is told of, and not waited for;
who leaves in good order is no longer expected; silence is never success.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from clusterlog.control.members import Node, Status, Worker
from clusterlog.control.rules.document import Version
from clusterlog.control.rules.effective import lineage
from clusterlog.control.rules.rule import Rule, Selector
from clusterlog.control.rules.selecting import meant

State = Literal["applied", "no-effect", "rejected", "tripped", "expired", "pending", "lost", "silent", "left"]
NodeState = Literal[State, "partial"]

_GRAVEST: tuple[State, ...] = ("lost", "rejected", "tripped", "no-effect", "expired", "pending", "silent", "left")
EVERYBODY = Selector()
NOT_YET = "no logger "
"""How the reason of a rule begins that is applied where nobody has made its logger yet."""


@dataclass(frozen=True, slots=True)
class Told:
    """One worker: the level of ``logger`` really in force there, and what became of the change.

    ``counted``: it is expected to follow. It lived when the change was written, and has not left in good order since.
    """

    pid: int
    instance: str
    number: int
    effective: str
    state: State
    reason: str = ""
    counted: bool = True


@dataclass(frozen=True, slots=True)
class NodeProof:
    """A node that is meant, what became of the change there, and its workers."""

    node: str
    service: str
    host: str
    state: NodeState
    reason: str
    seen_s: float
    workers: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """Of ``expected`` workers ``applied`` have said that the change is in force."""

    logger: str
    nodes: tuple[NodeProof, ...]
    applied: int
    expected: int

    def enough(self, minimum: Minimum) -> bool:
        """Whether so many have confirmed as somebody asked for."""
        return self.applied >= minimum.of(self.expected)

    @property
    def settled(self) -> bool:
        """Whether no more is to be expected: nobody who lives still has to say something."""
        return not any(told.counted and told.state == "pending" for node in self.nodes for told in node.workers)

    @property
    def unknown_logger(self) -> bool:
        """Whether it is applied, and nobody has such a logger."""
        told = [each for node in self.nodes for each in node.workers if each.state == "applied"]
        return bool(told) and all(each.reason.startswith(NOT_YET) for each in told)


@dataclass(frozen=True, slots=True)
class Minimum:
    """How many have to confirm: ``share`` of those expected, or so many workers; without both all of them."""

    share: float | None = None
    workers: int | None = None

    def of(self, expected: int) -> int:
        """Of so many expected."""
        if self.workers is not None:
            return self.workers
        if self.share is None:
            return expected
        return -int(-expected * self.share // 100)

    @classmethod
    def read(cls, text: str) -> Minimum:
        """``all``, ``12`` or ``95%``. Raises ValueError with the forms."""
        word = text.strip().lower()
        if word == "all":
            return cls()
        number = word.removesuffix("%")
        try:
            if word.endswith("%") and 0 <= float(number) <= 100:
                return cls(share=float(number))
            if number.isascii() and number.isdecimal() and word == number:
                return cls(workers=int(number))
        except ValueError:
            pass
        raise ValueError("all, a number of workers such as 12, or a share such as 95%")


@dataclass(frozen=True, slots=True)
class Meant:
    """Whom a change is about, as of when it was written, and the version that has it."""

    version: Version
    rules: tuple[Rule, ...]
    """The rules put in force or taken back; empty: everybody is meant."""
    put: bool
    """Whether they are put in force."""
    logger: str
    nodes: tuple[Node, ...]

    def here(self, node: Node, worker: Worker) -> bool:
        """Whether the worker is meant."""
        return not self.rules or any(meant(rule.selector, node.member(worker)) for rule in self.rules)

    def counts(self, node: Node) -> bool:
        """Whether its workers are expected to follow: those that only receive are where they were chosen on purpose."""
        chosen = any(rule.selector != EVERYBODY for rule in self.rules)
        return not self.put or node.role != "receive" or chosen


def proof(change: Meant, now: Iterable[Node]) -> Proof:
    """What is known of a change by what all workers said last; ``now`` is the roster as of now."""
    present = {(node.service, node.node, node.host): node for node in _newest_last(now)}
    found = []
    for node in change.nodes:
        judged = _judged(change, node, present.pop((node.service, node.node, node.host), None))
        if judged is not None:
            found.append(judged)
    for node in present.values():
        judged = _judged(change, replace(node, workers=()), node)
        if judged is not None:
            found.append(judged)
    told = [each for node in found for each in node.workers if each.counted]
    return Proof(change.logger, tuple(found), sum(each.state == "applied" for each in told), len(told))


def _newest_last(nodes: Iterable[Node]) -> list[Node]:
    """Of two boots of one host the one that spoke last has the word."""
    return sorted(nodes, key=lambda node: -node.seen_s)


def _judged(change: Meant, then: Node, now: Node | None) -> NodeProof | None:
    """What became of the change on a node; None where nobody is meant there."""
    workers: dict[str, Told] = {}
    today = {worker.status.instance: worker for worker in now.workers} if now else {}
    for worker in then.workers:
        if change.here(then, worker):
            told = _of_target(change, worker, today.get(worker.status.instance))
            workers[worker.status.instance] = told if change.counts(then) else replace(told, counted=False)
    for instance, worker in today.items():
        if now and worker.state != "silent" and instance not in workers and change.here(now, worker):
            workers[instance] = replace(_of_report(change, worker.status), counted=False)
    if not workers:
        return None
    every = tuple(sorted(workers.values(), key=lambda each: (each.number, each.pid)))
    state, reason = _summed(every)
    known = now or then
    return NodeProof(then.node, then.service, then.host, state, reason, known.seen_s, every)


def _of_target(change: Meant, then: Worker, now: Worker | None) -> Told:
    """A worker that was there when the change was written."""
    status = now.status if now else then.status
    if then.state == "silent":
        if now is None or now.state == "silent":
            ago = f"said nothing for {_spoken(now.seen_s if now else then.seen_s)} when this was written"
            return _told(change, status, "silent", ago, counted=False, effective="")
        return replace(_of_report(change, status), counted=False)
    if now is None:
        return _told(change, status, "left", "it has left in good order", counted=False)
    found = _of_report(change, status)
    if now.state == "silent" and found.state == "pending":
        return replace(found, state="lost", reason="its process has ended, or it is cut off", effective="")
    return found


def _of_report(change: Meant, status: Status) -> Told:
    """What a worker says of the change itself."""
    if not follows(status.applied, change.version):
        return _told(change, status, "pending", "it has not said so yet")
    if not change.put:
        return _told(change, status, "applied")
    said = [status.rules[rule.id] for rule in change.rules if rule.id in status.rules]
    if not said and change.rules:
        return _told(change, status, "expired", "the rule is over, or was reset meanwhile")
    worst = next((each for each in said if each.state != "applied"), None) or (said[0] if said else None)
    return _told(change, status, worst.state, worst.reason) if worst else _told(change, status, "applied")


def _told(
    change: Meant, status: Status, state: State, reason: str = "", *, counted: bool = True, effective: str | None = None
) -> Told:
    level = level_of(change.logger, status.level, status.loggers) if effective is None else effective
    return Told(status.pid, status.instance, status.number, level, state, reason, counted)


def follows(applied: str, version: Version) -> bool:
    """Whether what a worker has applied is ``version`` or what came after it."""
    try:
        found = Version.read(applied)
    except ValueError:
        return False
    return found.epoch == version.epoch and found.rev >= version.rev


def level_of(logger: str, root: str, loggers: Mapping[str, str]) -> str:
    """The level in force of ``logger`` by what a worker says: its own, or that of the nearest one above it."""
    return next((loggers[name] for name in lineage(logger) if name in loggers), root)


def _summed(told: tuple[Told, ...]) -> tuple[NodeState, str]:
    counted = [each for each in told if each.counted] or list(told)
    states = Counter(each.state for each in counted)
    if len(states) == 1:
        return counted[0].state, counted[0].reason
    worst = next(state for state in _GRAVEST if state in states)
    reason = next(each.reason for each in counted if each.state == worst)
    return ("partial" if states["applied"] else worst), reason


def _spoken(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


Progress = Callable[[Proof], None]
"""Told of the proof whenever more of it has come."""
