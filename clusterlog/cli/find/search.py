"""``clusterlog search``: every event that a query matches, or every request that has one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.drawing.lines import ALIGNED, Columns
from clusterlog.cli.find.people import people
from clusterlog.cli.home.stored import opened
from clusterlog.cli.line import letter
from clusterlog.cli.options import on_screen, with_format, with_settings, with_times
from clusterlog.encode.compact import dumps
from clusterlog.settings import Settings
from clusterlog.store.base import Found, Store
from clusterlog.store.document import parse
from clusterlog.store.query import Match, Node, Not, Query, fields_of

if TYPE_CHECKING:
    from clusterlog.search.requests import Sort, Summary

SCHEMA = "clusterlog.search/1"
NOTHING = 1
_STATE = Match("event.kind", "state")
_OF_STATE = ("event.kind", "event.dataset", "event.action", "event.id", "event.sequence", "process.entity_id")


@click.command()
@click.argument("query", nargs=-1, shell_complete=candidates.query_words)
@click.option("--user", metavar="NAME", help="Only events of this user, who is stored as a hash alone.")
@click.option("--session", metavar="ID", help="Only events of this session: the value of its cookie.")
@click.option("--group", type=click.Choice(["request"]), help="One row per request that has a matching event.")
@click.option(
    "--sort",
    type=click.Choice(["time", "duration", "events"]),
    help="With --group, what comes last: the newest (as ever), the slowest, or the largest of all that match.",
)
@with_times
@click.option(
    "--limit", metavar="N", type=click.IntRange(0), default=100, show_default=True, help="Only the newest; 0 is all."
)
@click.option("--count", "only_count", is_flag=True, help="How many there are, as one integer.")
@click.option("--state", is_flag=True, help="List state events too: how processes began, lived, lost and ended.")
@with_settings("home", "store", "token_file")
@on_screen
@with_format("human", "plain", "json", "ndjson")
def search(
    settings: Settings,
    query: tuple[str, ...],
    user: str | None,
    session: str | None,
    group: str | None,
    sort: Sort | None,
    since: int | None,
    until: int | None,
    limit: int,
    only_count: bool,
    state: bool,
    output: str,
) -> int:
    """List the events that match QUERY, oldest first; without one, all. Exit 1 if there are none.

    QUERY is written as in Kibana: level: error and node: shop-1, status >= 500, message: "timed out", request: 019a*.

    On a terminal state events are left out, unless QUERY names their fields; --state lists them, and pipes get all.

    With --group request each row tells of a whole request, on all its nodes; --user and --session then ask whose
    request it is, and QUERY what happened in it. --limit counts requests.
    """
    from clusterlog.search.language.parsing import parse as parse_query

    if sort and not group:
        raise click.UsageError("--sort orders requests: add --group request")
    asked = " ".join(query)
    where = parse_query(asked, metrics=frozenset(settings.metrics))
    question = Query(where, since, until, limit=limit or None)
    whose = people(settings, user, session)
    if group:
        return _requests(settings, question, whose, asked, sort or "time", only_count, output)
    for each in whose:
        question = question.narrowed(each)
    with opened(settings) as store:
        if only_count:
            return _counted(store.count(question))
        if output == "json":
            events = [parse(each.body) for each in _oldest_first(store, question)]
            paint.emit(dumps({"schema": SCHEMA, "query": asked, "events": events}))
            return 0 if events else NOTHING
        with_state = state or output != "human" or _asks_for_state(where)
        return _listed(store, question, output, with_state, settings)


def _asks_for_state(where: Node) -> bool:
    """Whether a query names what tells state events apart, or a process: whoever does wants to see them."""
    return any(field in _OF_STATE or field.startswith("clusterlog.state") for field in fields_of(where))


def _counted(matching: int) -> int:
    click.echo(str(matching))
    return 0 if matching else NOTHING


def _listed(store: Store, question: Query, output: str, with_state: bool, settings: Settings) -> int:
    columns = Columns(whole_ids=output != "human", ascii_only=not paint.unicode())
    shown = 0
    everything, question = question, question if with_state else question.narrowed(Not(_STATE))
    found = _oldest_first(store, question)
    with paint.paged():
        if output != "ndjson":
            begun = list(islice(found, ALIGNED))
            columns.see(parse(each.body) for each in begun)
            found = chain(begun, found)
        for shown, each in enumerate(found, 1):  # noqa: B007 - counted for afterwards
            if output == "ndjson":
                paint.emit(each.body)
            else:
                event = parse(each.body)
                line = columns.line(event)
                paint.show(paint.inked(line, letter(event)) if output == "human" else line)
    if shown and shown == question.limit and paint.terminal(sys.stderr):
        matching = store.count(question)
        if matching > shown:
            paint.say(f"the newest {shown} of {paint.counted(matching, 'event')}; --limit 0 shows all")
    hidden = 0
    if not with_state and (not shown or paint.terminal(sys.stderr)):
        hidden = store.count(everything.narrowed(_STATE))
    if hidden:
        paint.say(f"{paint.counted(hidden, 'state event')} not shown; --state shows them")
    elif not shown and paint.terminal(sys.stderr):
        _say_nothing_matches("event", store, settings)
    return 0 if shown else NOTHING


def _say_nothing_matches(what: str, store: Store, settings: Settings) -> None:
    from clusterlog.cli.find.request import stored

    paint.say(f"no {what} matches: {stored(store, settings)}")


def _oldest_first(store: Store, question: Query) -> Iterator[Found]:
    """All, streamed; or the newest as far as the limit goes, turned round."""
    if question.limit is None:
        return store.find(replace(question, order="oldest"))
    return reversed(list(store.find(replace(question, order="newest"))))


def _requests(
    settings: Settings, question: Query, people: Sequence[Node], asked: str, sort: Sort, only_count: bool, output: str
) -> int:
    from clusterlog.search.requests import SCHEMA, document, matching, requests

    with opened(settings) as store:
        if only_count:
            with _looking(store, question, people) as watch:
                return _counted(sum(1 for _ in matching(store, question, people, watch)))
        with _looking(store, question, people) as watch:
            shown, more = requests(store, question, people, sort=sort, watch=watch)
        if not shown and paint.terminal(sys.stderr):
            _say_nothing_matches("request", store, settings)
        if output == "json":
            paint.emit(dumps({"schema": SCHEMA, "query": asked, "requests": [document(each) for each in shown]}))
        elif output == "ndjson":
            for each in shown:
                paint.emit(dumps(document(each)))
        elif shown:
            _show(shown, whole=output != "human")
        if more and paint.terminal(sys.stderr):
            which = {"time": "newest", "duration": "slowest", "events": "largest"}[sort]
            paint.say(f"the {which} {paint.counted(len(shown), 'request')}; --limit 0 shows all")
    return 0 if shown else NOTHING


def _show(found: Sequence[Summary], *, whole: bool) -> None:
    from clusterlog.cli.drawing.requests import rows

    with paint.paged():
        paint.show_rows(rows(found, whole=whole, width=paint.width(), ascii_only=not paint.unicode()))


@contextmanager
def _looking(store: Store, question: Query, people: Sequence[Node]) -> Iterator[Callable[[int], None]]:
    """Shows how far the look through the events is; how many there are is asked only if somebody sees it."""
    with paint.progress("looking", "events") as advance:
        if not paint.terminal(sys.stderr):
            yield lambda seen: None
            return
        total: list[int] = []

        def watch(seen: int) -> None:
            if not seen % 256:
                if not total:
                    total.append(store.count(replace(question, where=people[0]) if people else question))
                advance(seen, total[0])

        yield watch
