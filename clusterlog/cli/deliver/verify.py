"""``clusterlog verify``: what became of every sequence number, by what is stored and what still waits here."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.line import escaped
from clusterlog.cli.options import as_json, on_screen, with_settings, with_times
from clusterlog.errors import NotFound
from clusterlog.settings import Settings

if TYPE_CHECKING:
    from clusterlog.search.accounts import Stretch
    from clusterlog.search.audit import Audited, Selection, Spools
    from clusterlog.store.base import Store

SCHEMA = "clusterlog.verify/1"
INCOMPLETE = 5
SETTLED_S = 2.5
"""How long a store elsewhere may take, as a rule, to find what it has acknowledged."""


@click.command()
@with_times
@click.option("--service", metavar="NAME", shell_complete=candidates.services, help="Only processes of this service.")
@click.option("--node", metavar="NAME", shell_complete=candidates.nodes, help="Only processes on this node.")
@with_settings("home", "store", "token_file")
@on_screen
@as_json
def verify(
    settings: Settings, since: int | None, until: int | None, service: str | None, node: str | None, as_json: bool
) -> int:
    """Account for every event: stored, lost with a reason, or still in a spool. Exit 5 if one is not.

    Each process numbers its events without gaps. This reads all that is stored, and looks for the other numbers in what
    drop events and dead letters tell and in the spools of this home. Nothing is delivered or changed. What waits in a
    spool is not lost, and what was lost for a known reason is accounted for.

    --since and --until choose processes that have an event in that time; each is verified as a whole.
    """
    from clusterlog.cli.home.stored import opened, place, waiting
    from clusterlog.search.audit import Selection

    selection = Selection(service, node, since, until)
    with opened(settings, fresh=False, partly=False) as store:
        found = _audited(settings, store, selection)
        if settings.store and not found.complete:  # what was delivered a moment ago is not found elsewhere yet
            time.sleep(SETTLED_S)
            found = _audited(settings, store, selection)
    if not any(each.stored for each in found.accounts):
        chosen = selection != Selection()
        if chosen:
            raise NotFound(f"no such process in {escaped(place(settings))}")
        raise NotFound(f"{escaped(place(settings))} is empty; {waiting(settings)}")
    if as_json:
        paint.emit(json.dumps(_document(found)).encode())
    else:
        from clusterlog.cli.drawing.accounts import shown

        for text in shown(found, everything=not paint.terminal(sys.stdout)):
            paint.show(text)
    return 0 if found.complete else INCOMPLETE


def _audited(settings: Settings, store: Store, selection: Selection) -> Audited:
    from clusterlog.search.audit import audit

    spools = _spools(settings)
    with paint.progress("reading the store", "events" if settings.store else "bytes") as advance:
        return audit(store, spools, selection, advance)


def _spools(settings: Settings) -> Spools:
    from clusterlog.search.accounts import Spooled
    from clusterlog.search.audit import Spools
    from clusterlog.ship.acknowledged import Acknowledged
    from clusterlog.ship.homelock import is_served
    from clusterlog.ship.inventory import inventory, kept_aside

    home, began = settings.home_path, time.time_ns()
    with paint.progress("reading the spools", "bytes") as advance:
        found = inventory(home, advance)
    return Spools(
        began,
        {
            instance: Spooled(each.numbers, each.alive, each.until, tuple(each.states), each.first)
            for instance, each in found.items()
        },
        kept_aside(home),
        seen=(home / "spool").is_dir(),
        own=frozenset(Acknowledged.load(home).known()) if settings.store or is_served(home) else None,
    )


def _document(found: Audited) -> dict[str, Any]:
    def listed(fate: str) -> list[dict[str, Any]]:
        return [_as_row(stretch) for each in found.accounts for stretch in getattr(each, fate)]

    return {
        "schema": SCHEMA,
        "complete": found.complete,
        "accepted": sum(each.last_seq for each in found.accounts),
        "stored": sum(each.stored for each in found.accounts),
        "explained": listed("explained"),
        "pending": listed("pending"),
        "unexplained": listed("unexplained"),
        "duplicates": listed("duplicates"),
        "instances": [
            {
                "id": each.instance,
                "service": found.origins[each.instance].service or None,
                "node": found.origins[each.instance].node or None,
                "last_seq": each.last_seq,
                "stored": each.stored,
                "tail": each.tail,
                "heard_ns": each.heard_ns,
            }
            for each in found.accounts
        ],
    }


def _as_row(stretch: Stretch) -> dict[str, Any]:
    return {
        "instance": stretch.instance,
        "first_seq": stretch.first_seq,
        "last_seq": stretch.last_seq,
        "count": stretch.count,
        "reason": stretch.reason or None,
        "event_id": stretch.event_id or None,
    }
