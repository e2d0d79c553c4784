"""``clusterlog why``: which layer stops a line of a logger, from the call to the store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.control import asked
from clusterlog.cli.control import wish as wishing
from clusterlog.cli.control.documents import named
from clusterlog.cli.home.cluster import OPTIONS, reached, warn
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, on_screen, with_settings
from clusterlog.control.rules.rule import level_name
from clusterlog.errors import StoreUnavailable
from clusterlog.settings import Settings

SCHEMA = "clusterlog.why/1"
LATE_S = 60.0
"""What waits longer than this in the spools is worth a word."""

Stop = dict[str, Any]


@click.command()
@click.argument("logger", metavar="LOGGER", callback=wishing.logger, shell_complete=candidates.loggers)
@click.argument("number", metavar="LEVEL", callback=wishing.level, shell_complete=candidates.levels)
@click.option(
    "--node", metavar="NAME", default=None, shell_complete=candidates.cluster_nodes, help="Only this node, or orders-*."
)
@with_settings(*OPTIONS, "store")
@on_screen
@as_json
def why(settings: Settings, logger: str, number: int, node: str | None, as_json: bool) -> None:
    """Show what stops a line: logger, rule, filter, handler, gate, spool or store.

    Every worker is asked what becomes of a line of LEVEL that LOGGER says there, and the home is looked at for what
    becomes of it on its way to the store. A layer that stops some lines only, as a filter does, is said to.
    """
    with reached(settings) as cluster:
        nodes = wishing.of_name(node, cluster.nodes())
        found = asked.answers(cluster, nodes, logger, number)
        place = cluster.bus.name
    road = list(_road(settings))
    if as_json:
        told: dict[str, Any] = {"schema": SCHEMA, "logger": named(logger), "level": level_name(number)}
        told |= {"nodes": [_node(answer) for answer in found], "road": road}
        paint.emit(json.dumps(told, ensure_ascii=False).encode())
        return
    for text in _told(found, logger, level_name(number)):
        paint.show(text)
    for stop in road:
        paint.show(_line(stop))
    if not found:
        warn(f"nobody is there: applications join {place} a second after start()")


def _node(answer: asked.Answer) -> dict[str, Any]:
    return {
        "node": answer.node.node,
        "service": answer.node.service,
        "state": answer.node.state,
        "pids": list(answer.pids),
        "effective": answer.effective or None,
        "passes": None if answer.data is None else not any(each["certain"] for each in asked.stops(answer)),
        "stops": asked.stops(answer),
        "error": answer.why,
    }


def _told(found: Iterable[asked.Answer], logger: str, level: str) -> Iterator[str]:
    """Nodes of which the same is to be said are told of at once."""
    alike: dict[str, list[asked.Answer]] = {}
    for answer in found:
        alike.setdefault(json.dumps([asked.stops(answer), answer.why]), []).append(answer)
    for group in alike.values():
        names = ", ".join(dict.fromkeys(answer.node.node for answer in group))
        workers = paint.counted(sum(len(answer.pids) for answer in group), "worker")
        first = group[0]
        stops = asked.stops(first)
        if first.data is None:
            verdict = escaped(first.why)
        elif any(each["certain"] for each in stops):
            verdict = paint.inked("stopped", "bad")
        else:
            verdict = paint.inked("passes", "good")
        yield f"{paint.inked(escaped(names), 'id')}  {workers}: {level} of {escaped(named(logger))} {verdict}"
        for stop in stops:
            yield _line(stop)
        if first.data and first.data.get("requests"):
            rules = escaped(", ".join(first.data["requests"]))
            yield f"  {'rule':<8}  it passes in requests that are meant by {rules}"


def _line(stop: Stop) -> str:
    some = "" if stop["certain"] else ": stops some lines, or none"
    return f"  {escaped(str(stop['layer'])):<8}  {escaped(str(stop['text']))}{some}"


def _road(settings: Settings) -> Iterator[Stop]:
    """What stops lines behind the application: in the spools of this home, or before the store has them."""
    from clusterlog.cli.home.delivery import dropped
    from clusterlog.ship.status import status

    if not settings.home_path.is_dir():
        return
    try:
        told = status(settings)
    except (OSError, StoreUnavailable) as error:
        yield _stop("spool", f"the spools cannot be read: {error}", certain=False)
        return
    if told["dropped"]:
        yield _stop("spool", f"lost before they were written: {dropped(told['dropped'])}", certain=False)
    store, backlog = told["store"], told["backlog"]
    elsewhere = "://" in store["url"]
    if store["error"]:
        yield _stop("store", f"{store['url']}: {store['error'].removeprefix(store['url'] + ': ')}")
    elif elsewhere and told["shipper"]["state"] != "running" and backlog["events"]:
        waits = paint.counted(backlog["events"], "event")
        yield _stop("store", f"{waits} wait in the spools: nobody ships them; `clusterlog ship` does")
    elif elsewhere and (backlog["oldest_age_s"] or 0) > LATE_S:
        yield _stop("store", f"delivery is {backlog['oldest_age_s']:.0f} s behind", certain=False)
    if told["dead"]:
        refused = paint.counted(told["dead"], "event")
        yield _stop("store", f"it refused {refused}, the first for: {told['dead_reason'] or '-'}", certain=False)


def _stop(layer: str, text: str, certain: bool = True) -> Stop:
    return {"layer": layer, "text": text, "certain": certain}
