"""``clusterlog search``: every event that a query matches."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import click

from clusterlog.cli import paint
from clusterlog.cli.find.stored import opened
from clusterlog.cli.line import Columns, letter
from clusterlog.cli.options import as_json, with_settings
from clusterlog.encode.compact import dumps
from clusterlog.settings import Settings
from clusterlog.store.base import Found, Store
from clusterlog.store.document import parse
from clusterlog.store.query import Query

SCHEMA = "clusterlog.search/1"
NOTHING = 1


@click.command()
@click.argument("query", nargs=-1)
@click.option(
    "--since", metavar="TIME", is_flag=False, flag_value="", help="From when on: 15m, 2h, 7d, a date or time."
)
@click.option("--until", metavar="TIME", help="Until when, as --since.")
@click.option("--limit", type=click.IntRange(0), default=100, show_default=True, help="Only the newest; 0 is all.")
@click.option("--count", "only_count", is_flag=True, help="How many there are, as one integer.")
@click.option("--ndjson", is_flag=True, help="The documents as they are stored, one per line.")
@with_settings("home")
@as_json
def search(
    settings: Settings,
    query: tuple[str, ...],
    since: str | None,
    until: str | None,
    limit: int,
    only_count: bool,
    ndjson: bool,
    as_json: bool,
) -> int:
    """List the events that match QUERY, oldest first; without one, all. Exit 1 if there are none.

    QUERY is written as in Kibana: level: error and node: shop-1, status >= 500, message: "timed out", request: 019a*.
    """
    from clusterlog.search.instant import parse_time
    from clusterlog.search.language.parsing import parse as parse_query

    asked = " ".join(query)
    now = time.time_ns()
    question = Query(
        where=parse_query(asked, metrics=frozenset(settings.metrics)),
        since=parse_time(since, now) if since else None,
        until=parse_time(until, now) if until else None,
        limit=limit or None,
    )
    with opened(settings) as store:
        if only_count:
            matching = store.count(question)
            click.echo(str(matching))
            return 0 if matching else NOTHING
        if as_json:
            events = [parse(each.body) for each in _oldest_first(store, question)]
            paint.emit(dumps({"schema": SCHEMA, "query": asked, "events": events}))
            return 0 if events else NOTHING
        return _listed(store, question, ndjson)


def _listed(store: Store, question: Query, ndjson: bool) -> int:
    columns = Columns(whole_ids=not paint.terminal(sys.stdout))
    shown = 0
    for shown, each in enumerate(_oldest_first(store, question), 1):  # noqa: B007 - counted for afterwards
        if ndjson:
            paint.emit(each.body)
        else:
            event = parse(each.body)
            paint.show(paint.inked(columns.line(event), letter(event)))
    if shown and shown == question.limit and paint.terminal(sys.stderr):
        matching = store.count(question)
        if matching > shown:
            paint.say(f"the newest {shown} of {paint.counted(matching, 'event')}; --limit 0 shows all")
    return 0 if shown else NOTHING


def _oldest_first(store: Store, question: Query) -> Iterator[Found]:
    """All, streamed; or the newest as far as the limit goes, turned round."""
    if question.limit is None:
        return store.find(replace(question, order="oldest"))
    return reversed(list(store.find(replace(question, order="newest"))))
