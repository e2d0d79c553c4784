"""``clusterlog trace`` and ``clusterlog search``: one request put together again, and every event a query matches."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

import click

from clusterlog.cli import paint
from clusterlog.cli.line import Columns, escaped, letter
from clusterlog.cli.options import as_json, with_settings
from clusterlog.cli.ship import deliver
from clusterlog.encode.compact import dumps
from clusterlog.errors import HomeBusy, NotAllowed, NotFound, SettingError, StoreUnavailable, TimedOut
from clusterlog.search.event import Document, text
from clusterlog.settings import Settings
from clusterlog.store.base import Found, Store
from clusterlog.store.document import parse
from clusterlog.store.query import Match, Or, Query, Wildcard

SCHEMA = "clusterlog.search/1"
NOTHING = 1
OTHERS_SHIPPER_S = 5.0
"""How long an answer waits for the shipper of the home to deliver what was in the spools when it was asked for."""

_TRACE_ID = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_END_OF_AN_ID = re.compile(r"\.\.[A-Za-z0-9._-]{6,}|[0-9a-f]{6,31}")
"""Only what `search` shows, with its dots or without: other words that are no id are not looked for everywhere."""
_LOOKED_AT = 5000
"""Events that are looked through for the requests an abbreviated id may mean."""


@click.command()
@click.argument("request_id", metavar="ID")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII alone, as where the locale is not UTF-8.")
@click.option("--width", type=click.IntRange(40, 1000), help="Columns to draw in; in a pipe nothing is cut.")
@with_settings("home")
@as_json
def trace(settings: Settings, request_id: str, ascii_only: bool, width: int | None, as_json: bool) -> None:
    """Show one request: every event on every node in causal order, what failed first, where the time went.

    ID is a request id, as it stands in the response header X-Request-ID, or its end as `search` shows it, or a trace
    id (32 hex digits).
    """
    from clusterlog.search.journey import journey

    with opened(settings) as store:
        found = journey(_documents(store, request_id.strip(), settings))
    if as_json:
        from clusterlog.search.trace import document

        paint.emit(dumps(document(found)))
        return
    from clusterlog.cli.drawing import rows

    for row in rows(found, width=width or paint.width(), ascii_only=ascii_only or not paint.unicode()):
        paint.show("".join(paint.inked(text, role) for text, role in row).rstrip())


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
    from clusterlog.search.language import parse as parse_query

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


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The store of these settings for reading; what waits in the spools of an embedded one is delivered first.

    Raises NotFound where there is no home, SettingError for a store this version cannot ask, StoreUnavailable.
    """
    if settings.store:
        raise SettingError(f"store = {settings.store!r}: this version asks the embedded store only")
    home = settings.home_path
    if not home.is_dir():
        raise NotFound(f"no home at {home}: nothing has logged there; --home DIR names another")
    _freshen(settings)
    if not (home / "store").is_dir():
        raise NotFound(f"nothing is stored in {home} yet; {_waiting(settings)}")
    from clusterlog.store.embedded import EmbeddedStore

    store = EmbeddedStore.open(home / "store", "read")
    try:
        yield store
    finally:
        store.close()


def _freshen(settings: Settings) -> None:
    """Deliver what lies in the spools, or wait a moment for whoever ships this home. An answer comes in any case."""
    from clusterlog.ship.waiting import undelivered

    if settings.sink or not undelivered(settings.home_path):
        return
    try:
        deliver(settings, OTHERS_SHIPPER_S)
    except (TimedOut, NotAllowed, HomeBusy, StoreUnavailable, OSError) as error:
        paint.say(f"clusterlog: the newest events may be missing: {escaped(str(error))}")


def _documents(store: Store, asked: str, settings: Settings) -> list[Document]:
    """Every event of the request. Raises NotFound with what is stored instead."""
    hex_digits = asked.replace("-", "").lower()
    where: Any = Match("http.request.id", asked)
    if _TRACE_ID.fullmatch(hex_digits):
        spellings = dict.fromkeys((asked, hex_digits))
        where = Or((*(Match("http.request.id", each) for each in spellings), Match("trace.id", hex_digits)))
    found: list[Document] = [parse(each.body) for each in store.find(Query(where, order="oldest", limit=None))]
    if not found:
        whole = _completed(store, asked)
        if whole is None:
            raise NotFound(_absent(store, asked, settings))
        found = [parse(each.body) for each in store.find(Query(whole, order="oldest", limit=None))]
    _tell_of_several(found)
    return found


def _completed(store: Store, asked: str) -> Match | None:
    """The one request whose id ends so, or ``None`` if there is none. Raises NotFound if there are several."""
    if not _END_OF_AN_ID.fullmatch(asked):
        return None
    end = asked.removeprefix("..")
    matching = store.find(Query(Wildcard("http.request.id", ("", end)), limit=_LOOKED_AT))
    ids = dict.fromkeys(text(parse(each.body), "http.request.id") for each in matching)
    if len(ids) > 1:
        raise NotFound(f"{len(ids)} requests end in {end}: {', '.join(islice(ids, 3))}; write more of the id")
    return Match("http.request.id", next(iter(ids))) if ids else None


def _tell_of_several(documents: list[Document]) -> None:
    requests = list(dict.fromkeys(filter(None, (text(each, "http.request.id") for each in documents))))
    if len(requests) > 1:
        listed = ", ".join(map(escaped, requests[:5])) + (", ..." if len(requests) > 5 else "")
        paint.say(f"{len(requests)} requests of one trace, shown together: {listed}")


def _absent(store: Store, asked: str, settings: Settings) -> str:
    """One line that says what there is instead."""
    ends = []
    for order in ("oldest", "newest"):
        first = next(iter(store.find(Query(order=order, limit=1))), None)
        if first is None:
            return f"no request {asked}: the store of {settings.home} is empty; {_waiting(settings)}"
        ends.append(text(parse(first.body), "@timestamp")[:19] + "Z")
    return f"no request {asked}: stored are events from {ends[0]} to {ends[1]}; {_waiting(settings)}"


def _waiting(settings: Settings) -> str:
    """What no store has yet."""
    from clusterlog.ship.status import status

    try:
        backlog = status(settings)["backlog"]["events"]
    except (OSError, StoreUnavailable):
        return "the spools cannot be read"
    return f"{paint.counted(backlog, 'event')} not delivered yet" if backlog else "nothing waits in the spools"
