"""What workers say of a logger when they are asked, node by node: workers that answer alike are one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from clusterlog.cli import paint
from clusterlog.cli.control.documents import named
from clusterlog.cli.home.cluster import Cluster
from clusterlog.cli.line import escaped
from clusterlog.control.members import Node
from clusterlog.control.node.answers import EXPLAIN
from clusterlog.control.node.membership import FUNCTIONALITY
from clusterlog.control.operator import asking
from clusterlog.control.operator.proof import level_of
from clusterlog.errors import NodeUnavailable

SCHEMA = "clusterlog.explain/1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the workers ``pids`` of a node say alike; ``data`` is None where they did not answer.

    ``effective`` is then the level of the logger by what they said of themselves last.
    """

    node: Node
    pids: tuple[int, ...]
    data: dict[str, Any] | None
    effective: str
    why: str = ""


def answers(cluster: Cluster, nodes: Iterable[Node], logger: str, level: int | None = None) -> tuple[Answer, ...]:
    """Ask every living worker of ``nodes``. Raises NodeUnavailable where some are expected to answer, and none does."""
    nodes = tuple(nodes)
    asked: dict[str, Any] = {"logger": logger} if level is None else {"logger": logger, "level": level}
    with paint.progress("asking", "workers") as advance:
        found = asking.asked(cluster.link, cluster.sealer, (FUNCTIONALITY, EXPLAIN), asked, nodes, tell=advance)
    if found.missing and not len(found):
        raise NodeUnavailable(
            f"none of {paint.counted(len(found.missing), 'worker')} answers: `clusterlog nodes` tells who lives"
        )
    replies = {reply.sender.instance: reply for reply in found}
    grouped: dict[tuple[int, str], list[int]] = {}
    told: dict[tuple[int, str], Answer] = {}
    for number, node in enumerate(nodes):
        for worker in node.workers:
            status = worker.status
            reply = replies.get(status.instance)
            data = reply.data if reply is not None and isinstance(reply.data, dict) else None
            why = "" if data is not None else (reply.failed if reply is not None else f"no answer: {worker.state}")
            level_said = str(data["effective"]) if data else level_of(logger, status.level, status.loggers)
            key = (number, json.dumps([data, why, level_said], sort_keys=True))
            grouped.setdefault(key, []).append(status.pid)
            told[key] = Answer(node, (), data, level_said, why)
    return tuple(Answer(a.node, tuple(grouped[key]), a.data, a.effective, a.why) for key, a in told.items())


def document(logger: str, found: Iterable[Answer]) -> dict[str, Any]:
    """``clusterlog.explain/1``."""
    return {"schema": SCHEMA, "logger": named(logger), "nodes": [_node(each) for each in found]}


def _node(answer: Answer) -> dict[str, Any]:
    data = answer.data or {}
    return {
        "node": answer.node.node,
        "service": answer.node.service,
        "state": answer.node.state,
        "pids": list(answer.pids),
        "base": data.get("base"),
        "effective": answer.effective or None,
        "steps": data.get("steps", []),
        "blocked_by": blocked_by(answer),
        "exists": data.get("exists"),
        "requests": data.get("requests", []),
        "error": answer.why,
    }


def blocked_by(answer: Answer) -> str | None:
    """What stops even lines of the level in force: ``handler: the handler of clusterlog takes INFO and above``."""
    stop = next((each for each in stops(answer) if each["certain"]), None)
    return f"{stop['layer']}: {stop['text']}" if stop else None


def stops(answer: Answer) -> list[dict[str, Any]]:
    """What stops a line there, the first layer first."""
    return list((answer.data or {}).get("stops", []))


def told(found: Iterable[Answer]) -> Iterator[str]:
    """A block of lines for answers that are alike, under the nodes that gave them."""
    alike: dict[str, list[Answer]] = {}
    for answer in found:
        alike.setdefault(json.dumps([answer.data, answer.why, answer.effective], sort_keys=True), []).append(answer)
    for number, group in enumerate(alike.values()):
        if number:
            yield ""
        names = ", ".join(dict.fromkeys(answer.node.node for answer in group))
        workers = paint.counted(sum(len(answer.pids) for answer in group), "worker")
        first = group[0]
        yield f"{paint.inked(escaped(names), 'id')}  {workers}"
        yield from _steps(first)


_BY = {
    "base": "what the application has configured",
    "rule": "rule {rule}",
    "cap": "rule {rule}, a cap",
    "ceiling": "the node's own ceiling",
}


def _steps(answer: Answer) -> Iterator[str]:
    if answer.data is None:
        yield f"  {escaped(answer.why)}; it last said {answer.effective or 'nothing'}"
        return
    for step in answer.data.get("steps", []):
        how = _BY.get(step["source"], "{source}").format(rule=step["rule"], source=step["source"])
        yield f"  {step['level']:<8}  {escaped(how)}"
    yield f"  {answer.effective:<8}  in force" + (
        "" if answer.data.get("exists") else "; nobody has made this logger yet"
    )
    if stop := blocked_by(answer):
        yield f"  {paint.inked('blocked', 'bad')}   {escaped(stop)}"
    if requests := answer.data.get("requests"):
        yield f"  more      in requests that are meant by {escaped(', '.join(requests))}"
