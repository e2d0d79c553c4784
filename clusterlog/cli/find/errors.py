"""``clusterlog errors``: what goes wrong, each fault once."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.home.stored import opened
from clusterlog.cli.options import on_screen, with_format, with_settings, with_times
from clusterlog.encode.compact import dumps
from clusterlog.settings import Settings
from clusterlog.store.query import Query

if TYPE_CHECKING:
    from clusterlog.search.errors import Sort

NOTHING = 1
_DAY_NS = 86_400 * 1_000_000_000


@click.command()
@click.argument("query", nargs=-1, shell_complete=candidates.query_words)
@click.option("--new", "only_new", is_flag=True, help="Only what occurred first within --since; without it, in a day.")
@click.option(
    "--sort",
    type=click.Choice(["cause", "last", "first", "events", "requests"]),
    default="cause",
    show_default=True,
    help="What comes first: first errors of requests, the last seen, the last begun, or what occurs most.",
)
@with_times
@click.option(
    "--limit", metavar="N", type=click.IntRange(0), default=100, show_default=True, help="At most so many; 0 is all."
)
@with_settings("home", "store", "token_file")
@on_screen
@with_format("human", "plain", "json", "ndjson")
def errors(
    settings: Settings,
    query: tuple[str, ...],
    only_new: bool,
    sort: Sort,
    since: int | None,
    until: int | None,
    limit: int,
    output: str,
) -> int:
    """Group errors by what they are: how often, since when, where, and a request to look at. Exit 1 if there are none.

    An error is an event with an exception, or at level error and above; with QUERY only of those that match it. Events
    with one exception fingerprint are one fault, others by type, logger and message template. Faults that were the
    first error of a request, by recorded times, come before those that only followed from others.
    """
    from clusterlog.search.errors import IS_ERROR, SCHEMA, document
    from clusterlog.search.errors import errors as grouped
    from clusterlog.search.language.parsing import parse as parse_query

    asked = " ".join(query)
    where = parse_query(asked, metrics=frozenset(settings.metrics))
    if only_new and since is None:
        since = (time.time_ns() if until is None else until) - _DAY_NS
    question = Query(where, since, until, limit=None if limit == 0 else limit + 1)
    with opened(settings) as store:
        with paint.progress("looking", "events") as advance:
            whole = store.count(question.narrowed(IS_ERROR)) if paint.terminal(sys.stderr) else 0
            found = grouped(store, question, sort=sort, only_new=only_new, watch=lambda seen: advance(seen, whole))
        if not found and paint.terminal(sys.stderr):
            from clusterlog.cli.find.request import stored

            paint.say(f"no error {'is new' if only_new else 'matches'}: {stored(store, settings)}")
        shown = found[: limit or None]
        if output == "json":
            paint.emit(dumps({"schema": SCHEMA, "query": asked, "errors": [document(each) for each in shown]}))
        elif output == "ndjson":
            for each in shown:
                paint.emit(dumps(document(each)))
        elif shown:
            from clusterlog.cli.drawing.errors import blocks, rows

            ascii_only = not paint.unicode()
            with paint.paged():
                drawn = blocks(shown, width=paint.width(), ascii_only=ascii_only) if output == "human" else None
                paint.show_rows(drawn or rows(shown, ascii_only=ascii_only))
        if len(found) > len(shown) and paint.terminal(sys.stderr):
            paint.say(f"the first {paint.counted(len(shown), 'fault')}; --limit 0 shows all")
    return 0 if shown else NOTHING
