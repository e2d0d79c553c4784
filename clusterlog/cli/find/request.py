"""The events of the one request that somebody means by an id, the end of an id, or a trace id."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from clusterlog.cli import paint
from clusterlog.cli.find.stored import waiting
from clusterlog.cli.line import escaped
from clusterlog.errors import NotFound
from clusterlog.search.story.event import Document, text
from clusterlog.settings import Settings
from clusterlog.store.base import Store
from clusterlog.store.document import parse
from clusterlog.store.query import Match, Or, Query, Wildcard

_TRACE_ID = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_END_OF_AN_ID = re.compile(r"\.\.[A-Za-z0-9._-]{6,}|[0-9a-f]{6,31}")
"""Only what `search` shows, with its dots or without: other words that are no id are not looked for everywhere."""
_LOOKED_AT = 5000
"""Events that are looked through for the requests an abbreviated id may mean."""


def documents(store: Store, asked: str, settings: Settings) -> list[Document]:
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
            return f"no request {asked}: the store of {settings.home} is empty; {waiting(settings)}"
        ends.append(text(parse(first.body), "@timestamp")[:19] + "Z")
    return f"no request {asked}: stored are events from {ends[0]} to {ends[1]}; {waiting(settings)}"
