"""What commands tell programs of levels and nodes: ``clusterlog.level/1`` and ``clusterlog.nodes/1``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from clusterlog.control.members import Node, Worker
from clusterlog.control.operator.change import Look
from clusterlog.control.operator.proof import NodeProof, Proof, follows
from clusterlog.control.rules.document import Version
from clusterlog.control.rules.plan import Planned
from clusterlog.control.rules.rule import ROOT, Rule, level_name
from clusterlog.control.rules.wire import written

LEVEL = "clusterlog.level/1"
NODES = "clusterlog.nodes/1"


def named(logger: str) -> str:
    """The name under which people and the standard library know a logger of a rule."""
    return "root" if logger == ROOT else logger


def rule(found: Rule, now_ns: int) -> dict[str, Any]:
    """A rule as it is on the wire, with the root logger by its name, its age, and what is left of its life (s)."""
    left = round((found.expires_ns - now_ns) / 1e9, 3) if found.expires_ns else None
    age = round((now_ns - found.created_ns) / 1e9, 3)
    return {**written(found), "logger": named(found.logger), "age_s": max(0.0, age), "left_s": left}


def of_change(proof: Proof, rules: Sequence[Rule], now_ns: int, **more: Any) -> dict[str, Any]:
    """A change and its proof; ``rule`` is the one that it is about, where it is about one."""
    told = [rule(each, now_ns) for each in rules]
    return {
        "schema": LEVEL,
        "rule": told[0] if len(told) == 1 else {},
        **({} if len(told) == 1 else {"rules": told}),
        "nodes": [_node(each, proof.logger) for each in proof.nodes],
        "applied": proof.applied,
        "expected": proof.expected,
        **more,
    }


def _node(proof: NodeProof, logger: str) -> dict[str, Any]:
    return {
        "node": proof.node,
        "service": proof.service,
        "host": proof.host,
        "state": proof.state,
        "reason": proof.reason,
        "workers": [
            {
                "pid": told.pid,
                "instance": told.instance,
                "logger": named(logger),
                "effective": told.effective or None,
                "state": told.state,
                "reason": told.reason,
                "counted": told.counted,
            }
            for told in proof.workers
        ],
    }


def of_plan(planned: Iterable[Planned]) -> list[dict[str, Any]]:
    """What a change would do; ``None`` as a level is what the application has configured there."""
    return [
        {
            "node": each.node,
            "service": each.service,
            "workers": each.workers,
            "logger": named(each.logger),
            "before": None if each.before is None else level_name(each.before),
            "after": None if each.after is None else level_name(each.after),
            "some_requests": each.some_requests,
        }
        for each in planned
    ]


def of_state(look: Look, nodes: Iterable[Node]) -> dict[str, Any]:
    """Every rule, and every level that a worker tells of; ``applied`` are workers that have all of the rules."""
    nodes = tuple(nodes)
    version = look.document.version if look.document else None
    living = [worker for node in nodes for worker in node.workers if counts(worker)]
    return {
        "schema": LEVEL,
        "rule": {},
        "version": str(version) if version else "",
        "rules": [rule(each, look.now_ns) for each in look.rules()],
        "refused": [{"id": each.id, "reason": each.text} for each in look.refused()],
        "nodes": [
            {
                "node": node.node,
                "service": node.service,
                "host": node.host,
                "state": node.state,
                "workers": [row for worker in node.workers for row in _levels(worker, version)],
            }
            for node in nodes
        ],
        "applied": sum(has_all(worker, version) for worker in living),
        "expected": len(living),
    }


def counts(worker: Worker) -> bool:
    """Whether a worker is expected to follow: it lives, as far as anybody knows."""
    return worker.state not in ("silent", "left")


def has_all(worker: Worker, version: Version | None) -> bool:
    """Whether a worker has applied the document of that version, or a later one."""
    return version is None or follows(worker.status.applied, version)


def _levels(worker: Worker, version: Version | None) -> list[dict[str, Any]]:
    status = worker.status
    levels = {ROOT: status.level, **status.loggers}
    return [
        {
            "pid": status.pid,
            "instance": status.instance,
            "logger": named(logger),
            "effective": level or None,
            "state": "applied" if has_all(worker, version) else "pending",
        }
        for logger, level in sorted(levels.items())
    ]


def of_nodes(nodes: Iterable[Node]) -> dict[str, Any]:
    """The roster."""
    return {"schema": NODES, "nodes": [_member(node) for node in nodes]}


def _member(node: Node) -> dict[str, Any]:
    return {
        "node": node.node,
        "service": node.service,
        "host": node.host,
        "role": node.role,
        "tags": list(node.tags),
        "state": node.state,
        "seen_s": round(node.seen_s, 3),
        "conflict": node.conflict,
        "workers": [
            {
                "pid": worker.status.pid,
                "instance": worker.status.instance,
                "number": worker.status.number,
                "state": worker.state,
                "level": worker.status.level or None,
                "loggers": dict(worker.status.loggers),
                "applied": worker.status.applied,
                "dropped": worker.status.dropped,
            }
            for worker in node.workers
        ],
        "version": node.version,
        "lag_s": node.lag_s,
        "dropped": node.dropped,
    }
