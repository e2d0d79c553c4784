"""Whether a home's cluster can be reached, whether its nodes can be told apart, and whether all of them still speak."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from clusterlog.cli.home.cluster import reached
from clusterlog.cli.paint import counted
from clusterlog.control.members import Node
from clusterlog.errors import BusUnreachable, ClusterlogError, NotFound
from clusterlog.settings import Settings


class Told(NamedTuple):
    """What becomes a finding of ``clusterlog doctor``."""

    check: str
    state: Literal["ok", "note", "warning", "problem"]
    text: str
    mend: str = ""


_MOST = 5
"""So many nodes are named."""


def examine(settings: Settings) -> Iterator[Told]:
    """Everything about the cluster; a home in which nobody has taken part yet is left alone."""
    if settings.bus == "off":
        yield Told("cluster", "note", "the setting bus is off: levels and messages reach nobody here")
        return
    if not settings.bus and not (settings.home_path / "control" / "bus.db").exists():
        return
    try:
        with reached(settings) as cluster:
            name, nodes = cluster.bus.name, cluster.nodes()
    except NotFound:
        return
    except BusUnreachable as error:
        mend = "rules in force end on time meanwhile, and applications try again; see that it runs and can be reached"
        yield Told("cluster", "problem", f"the bus does not answer: {error}", mend)
        return
    except ClusterlogError as error:
        yield Told("cluster", "problem", str(error), "without it every process keeps the levels it has configured")
        return
    yield from _judged(name, nodes)


def _judged(name: str, nodes: tuple[Node, ...]) -> Iterator[Told]:
    speaking = [node for node in nodes if node.state in ("up", "late")]
    workers = sum(len(node.workers) for node in speaking)
    yield Told("cluster", "ok", f"{counted(len(speaking), 'node')}, {counted(workers, 'worker')}, over {name}")
    same: dict[tuple[str, str], list[str]] = {}
    for node in nodes:
        if node.conflict:
            same.setdefault((node.service, node.node), []).append(node.host)
    for (service, node_name), hosts in same.items():
        text = f"{len(hosts)} nodes of {service} are called {node_name}, on {', '.join(sorted(set(hosts)))}"
        mend = "set node (CLUSTERLOG_NODE) to a name of its own on each: rules and figures cannot tell them apart"
        yield Told("node name", "problem", text, mend)
    silent = [f"{node.node} of {node.service}" for node in nodes if node.state == "silent"]
    if silent:
        more = f" and {len(silent) - _MOST} more" if len(silent) > _MOST else ""
        text = f"silent: {', '.join(silent[:_MOST])}{more}"
        yield Told("cluster", "warning", text, "see whether they run; `clusterlog nodes` tells since when")
