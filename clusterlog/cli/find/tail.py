"""``clusterlog tail``: the newest events that match, and then every one as it is logged."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Iterator

import click

from clusterlog.cli import candidates, paint
from clusterlog.cli.drawing.lines import Columns
from clusterlog.cli.find.feed import Feed, Polled, Reader, feed_of
from clusterlog.cli.find.follow import of_request, show
from clusterlog.cli.find.people import people
from clusterlog.cli.options import on_screen, with_format, with_settings
from clusterlog.search.live.pace import Pace
from clusterlog.search.live.stream import Order, Stream, Told, without_pulse
from clusterlog.settings import Settings
from clusterlog.store.document import parse
from clusterlog.store.query import And, Query

NEWEST = 10
FOR_EYES = 500
"""Events a second a terminal is given; more nobody reads."""


@click.command()
@click.argument("query", nargs=-1, shell_complete=candidates.query_words)
@click.option(
    "--request",
    metavar="ID",
    shell_complete=candidates.request_ids,
    help="Only events of this request, in any form `trace` takes.",
)
@click.option("--user", metavar="NAME", help="Only events of this user, who is stored as a hash alone.")
@click.option("--session", metavar="ID", help="Only events of this session: the value of its cookie.")
@click.option("--since", metavar="TIME", is_flag=False, flag_value="", help="Begin with all from then on, as `search`.")
@click.option("--lines", "-n", metavar="N", type=click.IntRange(0), help="Begin with the newest N; without --since 10.")
@click.option(
    "--order",
    type=click.Choice(["time", "arrival"]),
    default="time",
    show_default=True,
    help="By time holds each event back for 30 ms, in case an earlier one comes.",
)
@click.option(
    "--limit-rate",
    metavar="N",
    type=click.IntRange(0),
    help="Show at most N events a second, and say how many there were; 0 is all. On a terminal 500, else all.",
)
@with_settings("home", "store", "token_file")
@on_screen
@with_format("human", "plain", "ndjson")
@click.option("--json", "as_json", is_flag=True, help="The same as --ndjson.")
def tail(
    settings: Settings,
    query: tuple[str, ...],
    request: str | None,
    user: str | None,
    session: str | None,
    since: str | None,
    lines: int | None,
    order: Order,
    limit_rate: int | None,
    output: str,
    as_json: bool,
) -> None:
    """Show the newest events that match QUERY, then every one as it is logged, until Ctrl-C.

    QUERY is written as for `search`. What processes say of themselves while all is well (open, heartbeat, close) is
    shown only if QUERY asks for it: dataset: clusterlog.state. A home that is not there yet is waited for.
    """
    from clusterlog.search.instant import parse_time
    from clusterlog.search.language.parsing import parse as parse_query

    now = time.time_ns()
    since_ns = parse_time(since, now) if since else None
    where = without_pulse(parse_query(" ".join(query), metrics=frozenset(settings.metrics), now_ns=now))
    asked = [where, *([of_request(request)] if request is not None else [])]
    reader = Reader()
    rate = FOR_EYES if limit_rate is None and output == "human" else limit_rate or None
    as_stored = as_json or output == "ndjson"
    columns = None if as_stored else Columns(whole_ids=output == "plain", ascii_only=not paint.unicode())
    with feed_of(settings, reader) as looked:
        wanted = And((*asked, *people(settings, user, session)))
        looked.wants(wanted)
        stream = Stream(wanted, order=order, since=since_ns, window_ns=looked.window_ns)
        show(_history(looked, stream, since_ns, NEWEST if lines is None and since is None else lines), columns)
        _follow(looked, stream, Pace(rate), columns, reader)


def _history(feed: Feed | Polled, stream: Stream, since: int | None, newest: int | None) -> Iterator[Told]:
    """What was logged until now: from the store, and what is not there yet from the spools, in the order of time."""
    waiting: list[Told] = []
    is_behind = True
    while is_behind:
        stream.offer(feed.arrivals(), time.time_ns())
        waiting = sorted((*waiting, *stream.all()), key=_key)[-newest if newest else 0 :]
        is_behind = feed.behind
    if newest is None:
        return _once(
            heapq.merge(_stored(feed, Query(stream.where, since, order="oldest", limit=None)), waiting, key=_key)
        )
    stored = list(_stored(feed, Query(stream.where, since, limit=newest))) if newest else []
    return iter(deque(_once(heapq.merge(reversed(stored), waiting, key=_key)), newest))


def _stored(feed: Feed | Polled, query: Query) -> Iterator[Told]:
    return (Told(found.key, parse(found.body), found.body) for found in feed.find(query))


def _once(told: Iterator[Told]) -> Iterator[Told]:
    """Equal ones stand side by side: what waited in a spool may have been stored meanwhile."""
    last = None
    for each in told:
        if each.key != last:
            yield each
        last = each.key


def _key(told: Told) -> tuple[int, str]:
    return told.key


def _follow(feed: Feed | Polled, stream: Stream, pace: Pace, columns: Columns | None, reader: Reader) -> None:
    while True:
        stream.offer(feed.arrivals(), time.time_ns())
        now = time.time_ns()
        show(pace.let(stream.due(now), now), columns)
        if (skipped := pace.skipped(now)) is not None:
            paint.say(f"showing {skipped.shown:,} of {skipped.matched:,}/s; --limit-rate 0 shows all")
        feed.pause(reader)
