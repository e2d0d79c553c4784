"""``clusterlog nodes``: who is in the cluster, in what state, and at which levels."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.control.wish import of_name
from clusterlog.cli.home.cluster import OPTIONS, Cluster, reached, warn
from clusterlog.cli.options import as_json, on_screen, with_settings
from clusterlog.control.members import Node
from clusterlog.control.operator.change import Look
from clusterlog.errors import NotFound
from clusterlog.settings import Settings

LOOK_S = 1.0
_CLEAR = "\x1b[H\x1b[2J"


@click.command()
@click.argument("name", metavar="[NAME]", required=False, shell_complete=candidates.cluster_nodes)
@click.option("--watch", is_flag=True, help="Look every second, until Ctrl-C; in a pipe whenever something changed.")
@with_settings(*OPTIONS)
@on_screen
@as_json
def nodes(settings: Settings, name: str | None, watch: bool, as_json: bool) -> int:
    """Show every node of the cluster: its state, when it was last heard of, its workers and their levels.

    Trouble comes first. up: heard of in time; late: one or two heartbeats are missing; silent: three and more, or its
    processes are gone; left: it has ended in good order. NAME is a node, or a pattern such as orders-*. Exit 1 where
    there is none.
    """
    with reached(settings) as cluster:
        look = cluster.operator.look()
        found = of_name(name, cluster.nodes(look.leases))
        if watch:
            _watch(cluster, name, look, as_json)
            return 0
        if not found and not as_json:
            warn(f"nobody is there: applications join {cluster.bus.name} a second after start()")
        _tell(found, look, as_json)
    return 0 if found else NotFound.exit_code


def _tell(found: Sequence[Node], look: Look, as_json: bool) -> None:
    from clusterlog.cli.control import documents, shown

    if as_json:
        paint.emit(json.dumps(documents.of_nodes(found), ensure_ascii=False).encode())
    elif found:
        for text in shown.nodes(found, shown.ruled_of(look)):
            paint.show(text)
        for text in shown.conflicts(found):
            warn(text)


def _watch(cluster: Cluster, name: str | None, look: Look, as_json: bool) -> None:
    """Tell it again and again: on a terminal in its place, in a pipe where more than an age has changed."""
    from clusterlog.cli.control import documents

    screen = paint.terminal(sys.stdout) and not as_json
    before: object = None
    while True:
        found = of_name(name, cluster.nodes(look.leases))
        told = documents.of_nodes(found)
        facts = [{**each, "seen_s": 0, "lag_s": 0} for each in told["nodes"]]
        if screen:
            sys.stdout.write(_CLEAR)
        if screen or facts != before:
            _tell(found, look, as_json)
            sys.stdout.flush()
        before = facts
        cluster.link.wait(LOOK_S)
        look = cluster.operator.look()
